// ir/query.h — the questions that code asks about a node, each answered here, once, for every op.
//
// An op is taken apart by `match`, which handles every kind, or through these. Whoever adds an op is
// led by the compiler to each of them.
#pragma once

#include <optional>
#include <vector>

#include "ir/graph.h"

namespace fovea::ir {

// The node's op if it is of this kind, or null.
const Input* input_of(const Node& node);
const Constant* constant_of(const Node& node);
const Index* index_of(const Node& node);
const Map* map_of(const Node& node);
const Reduce* reduce_of(const Node& node);
const Scan* scan_of(const Node& node);
const Read* read_of(const Node& node);
const TopK* topk_of(const Node& node);

inline bool is_input(const Node& node) { return input_of(node) != nullptr; }
inline bool is_constant(const Node& node) { return constant_of(node) != nullptr; }
inline bool is_index(const Node& node) { return index_of(node) != nullptr; }
inline bool is_map(const Node& node) { return map_of(node) != nullptr; }
inline bool is_reduce(const Node& node) { return reduce_of(node) != nullptr; }
inline bool is_scan(const Node& node) { return scan_of(node) != nullptr; }
inline bool is_read(const Node& node) { return read_of(node) != nullptr; }
inline bool is_topk(const Node& node) { return topk_of(node) != nullptr; }

// Returns true if the node is this element function.
bool is_map(const Node& node, Fn fn);

// Returns the number that a Constant is everywhere, or nothing for any other op.
std::optional<double> number_of(const Node& node);
bool is_number(const Node& node, double value);  // a Constant of this value

// Returns true if the node folds by this function.
bool is_reduce(const Node& node, ReduceFn fn);

// Returns true if each element depends only on the inputs' elements at the same point. This holds for
// Map, and for Constant and Index, which have no inputs.
bool is_pointwise(const Node& node);

// Returns true if an element depends on many elements along an axis, as in Reduce, Scan and TopK.
bool is_fold(const Node& node);

// Returns true if the node sums the same value again and again, which is a product with an extent.
// size(j) is such a sum.
bool is_multiple(const Graph& graph, NodeId node);

// Returns true if the node is a fold that has to look at elements, which is any but a multiple.
bool is_single_fold(const Graph& graph, NodeId node);

// The axis along which a fold takes its elements, or kNone for what is no fold.
AxisId folded_axis(const Node& node);

// The axis of the result along which elements are made one after another, as those of Scan and of
// TopK are: whoever needs one of them makes them all. kNone for any other op.
AxisId ordered_axis(const Node& node);

// The axes whose ends a result depends on: those that the op folds, reads or picks along.
std::vector<AxisId> bounded_axes(const Op& op);

// The axes that an op names, whose degrees have to be known before it: those, or that of an Index.
std::vector<AxisId> axes_of(const Op& op);

// Returns true if the values are places along an axis that a fold has chosen, as in TopK and ArgMax.
bool chooses_places(const Node& node);

}  // namespace fovea::ir
