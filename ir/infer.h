// ir/infer.h — the type of a node from its op and inputs; what does not fit is the user's error.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace fovea::ir {

// What inference may look at: the axes, with the degrees known so far, and the nodes made so far.
struct Known {
  const std::vector<Axis>& axes;
  const std::vector<Node>& nodes;

  const Node& node(NodeId id) const { return nodes[static_cast<std::size_t>(id)]; }
  const Axis& axis(AxisId id) const { return axes[static_cast<std::size_t>(id)]; }
  // What messages call a node: its name, or the op that it is the result of.
  std::string call(NodeId id) const;
};

// `dtype` is what a Cast or a Constant gives. Arity has been checked. Not for an Input.
Type infer(const Known& known, const Op& op, std::span<const NodeId> inputs, Dtype dtype);

// The dtype that a value of this dtype is computed in: F32, I32 or Bool.
Dtype computed(Dtype dtype);

// The dtype of either of two values: F32 if one is a float, Bool if both are, else I32.
Dtype unify(Dtype a, Dtype b);

// The inputs that an op takes.
std::size_t input_count(const Op& op);

}  // namespace fovea::ir
