// ir/contraction.h — sums of products, over one axis or several at once.
#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"
#include "ir/region.h"

namespace fovea::ir {

// sum(a, sum(b, term)) as one sum over `axes`, outermost first: a, b.
struct Sum {
  std::vector<AxisId> axes;
  NodeId term = kNone;
};

// Of f32 values over axes that are not ragged, down to the first sum that is a leaf; nothing if
// `node` is no such sum. A sum of the same value again and again (is_multiple) is none.
std::optional<Sum> sum_of(const Graph& graph, NodeId node, const Leaves& leaves);

// Whether a sum multiplies matrices: some factor of its term has an axis of the result that another
// lacks, and the other way round.
bool is_matrix_product(const Graph& graph, NodeId node, const Leaves& leaves);

}  // namespace fovea::ir
