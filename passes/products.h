// passes/products.h — sums of products taken apart and put together again.
//
// A factor or divisor outside of a sum differs from the same inside in one point: inside, a term
// that is exactly 0 annihilates it even when it is infinite or NaN (DESIGN: masks and padded rows
// rely on it). So outside it is applied only where the sum is not 0, unless it is known to be
// harmless.
//
// That keeps all finite values and the zeros of masked and padded rows. What is left is a factor that
// is not finite and meets the sum instead of its terms. Infinite, it gives an infinity where terms
// of both signs would make NaN; infinite or NaN, it gives 0 where the sum cancels to exactly 0. And
// the other way round: a sum that cancels to exactly 0 no longer annihilates what it was multiplied
// with, once its terms are. The signs of all terms would tell, at the price of the sums over again.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "ir/build.h"
#include "ir/graph.h"

namespace fovea::passes {

// The inputs of a map of that function.

// Whether a value is known never to be 0: a number, max(l, positive number), or
// where(l == 0, number, l), as softmax keeps empty rows.
bool is_never_zero(const ir::Builder& b, ir::NodeId id);

// y * c and y / l, taken out of the sum y.
ir::NodeId times_outside(ir::Builder& into, ir::NodeId y, ir::NodeId c);
ir::NodeId divide_outside(ir::Builder& into, ir::NodeId y, ir::NodeId l);

// The product of factors, those over the fewest points first; 1 if there are none.
ir::NodeId multiply(ir::Builder& into, const ir::Graph& extents, std::vector<ir::NodeId> factors);

// A new axis with the extent of one of the graph's, called after it.
ir::AxisId copy_axis(ir::Builder& into, const ir::Graph& graph, ir::AxisId axis);

// The graph with one node replaced. `build` is given the new graph's id of every earlier node.
using Build = std::function<ir::NodeId(ir::Builder& into, const std::vector<ir::NodeId>& to)>;
ir::Graph replace(const ir::Graph& graph, ir::NodeId site, const Build& build);

}  // namespace fovea::passes
