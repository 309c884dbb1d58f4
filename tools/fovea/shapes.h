// tools/fovea/shapes.h — the shapes of inputs that are to be made up.
#pragma once

#include "tools/fovea/source.h"
#include "tools/io/tensor.h"

namespace fovea::tools {

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

// The shape of every input: of those given, their own; of the others, from the extents that those
// and `sizes` tell. An @mechanism's axes but i and j have extent 1 where nothing tells, which is
// added to `sizes`. Code::dimension_mismatch lists the axes that are missing.
Shapes complete_shapes(const Loaded& loaded, const Tensors& given, Sizes& sizes);

}  // namespace fovea::tools
