// codegen/column_fold.h — folds over rows, element by element of a row. For .cpp files of this
// folder, which include Halide.h first.
#pragma once

#include <optional>

#include "codegen/lower.h"

namespace fovea::codegen {

// A sum, maximum or minimum of rows as they lie in memory, of fixed length: several rows at a time,
// each into accumulators of its own. A running sum of such rows. Nothing if the result is neither.
std::optional<Special> lower_column_fold(const Source& source, Signature& signature,
                                         const Result& result, int number);

}  // namespace fovea::codegen
