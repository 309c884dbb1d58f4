// tools/io/random.h — inputs for a graph that nobody gave one.
#pragma once

#include <cstdint>
#include <vector>

#include "fovea/fovea.h"
#include "tools/io/tensor.h"

namespace fovea::tools {

// A random input of a graph: normal for floats, 0 or 1 for bool, small integers; integers that are
// used as coordinates lie within their axes. The same for the same seed, whatever else is given.
Tensor random_input(const Graph& graph, const ir::Node& input,
                    const std::vector<std::int64_t>& extents, unsigned seed);

}  // namespace fovea::tools
