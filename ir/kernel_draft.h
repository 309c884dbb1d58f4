// ir/kernel_draft.h — a graph in the making, without sharing and without inference: what
// ir/kernel_graph.cpp writes kernels down with.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "ir/graph.h"
#include "ir/infer.h"
#include "ir/kernel_graph.h"

namespace fovea::ir {

class Draft {
 public:
  explicit Draft(const Graph& source) { made.graph.axes = source.axes; }

  NodeId add(Node node) {
    made.graph.nodes.push_back(std::move(node));
    made.checked.push_back(false);
    return static_cast<NodeId>(made.graph.nodes.size()) - 1;
  }
  NodeId constant(double value, Dtype dtype) { return add({Constant{value}, {}, {dtype, {}}, {}}); }
  NodeId map(Fn fn, const std::vector<NodeId>& inputs, Dtype dtype) {
    std::vector<AxisId> axes;
    for (const NodeId input : inputs) {
      std::vector<AxisId> more = type(input).axes, both;
      std::ranges::sort(more);  // an input has them in the order of its layout
      std::ranges::set_union(axes, more, std::back_inserter(both));
      axes = std::move(both);
    }
    return add({Map{fn}, inputs, {dtype, axes}, {}});
  }
  NodeId where(NodeId condition, NodeId x, NodeId y) {
    return map(Fn::Where, {condition, x, y}, computed(type(x).dtype));
  }
  // x at the first coordinate along some axes.
  NodeId first(NodeId x, const std::vector<AxisId>& along) {
    Read read;
    std::vector<NodeId> inputs{x};
    Type type = this->type(x);
    for (const AxisId axis : along) {
      read.at.push_back({axis, false});
      inputs.push_back(constant(0, Dtype::I32));
      std::erase(type.axes, axis);
    }
    return add({std::move(read), std::move(inputs), std::move(type), {}});
  }
  const Type& type(NodeId id) const { return made.graph.node(id).type; }

  KernelGraph made;
};

}  // namespace fovea::ir
