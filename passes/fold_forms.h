// passes/fold_forms.h — in which of the forms that there are a kernel off the planes folds: what
// codegen decides, told beforehand. A part of `cost`.
#pragma once

#include <vector>

#include "ir/graph.h"
#include "ir/region.h"

namespace fovea::passes {

struct FoldForm {
  enum class Kind {
    Loop,      // one number after the other
    Vectors,   // of neighbours in the result
    Rows,      // partial sums of neighbours along the folded axis
    Columns,   // several rows at a time
    Matrices,  // tiles in registers, one operand packed
    Inner      // a part of an outer sum over several axes
  };
  Kind kind = Kind::Loop;
  // Of matrices: columns of the packed operand, rows of the other one, and along what they are
  // multiplied; whether columns are packed as they lie.
  ir::AxisId column = ir::kNone, row = ir::kNone;
  std::vector<ir::AxisId> terms = {};
  bool packs_vectors = false;
};

// How the kernel of `result`, which finds leaves in memory, computes one of its folds. `lanes` are
// those of the machine; folds are all that the kernel computes.
FoldForm form_of(const ir::Graph& graph, ir::NodeId fold, ir::NodeId result,
                 const std::vector<ir::NodeId>& folds, const ir::Leaves& leaves, int lanes);

// Whether what folds nothing is computed in vectors of neighbours of the result.
bool is_of_vectors(const ir::Graph& graph, ir::NodeId result, const ir::Leaves& leaves, int lanes);

}  // namespace fovea::passes
