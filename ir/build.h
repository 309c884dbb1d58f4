// ir/build.h — makes graphs: infers types, shares equal nodes, tells users what does not fit.
//
// Every graph comes from a Builder, so every graph is well typed, free of duplicates and in
// canonical order (depth first from the outputs, then from the degrees of ragged axes and the nodes
// of kernels).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace fovea::ir {

class Builder {
 public:
  Builder();
  explicit Builder(
      const Graph& axes_of);  // starts with the axes of another graph, same ids; degrees unset
  ~Builder();
  Builder(Builder&&) noexcept;
  Builder& operator=(Builder&&) noexcept;

  // Declares an axis. The same name twice is an error (invalid_config).
  AxisId axis(std::string_view name, Extent extent = {});
  // Makes an axis ragged, before anything is folded, read or picked along it. `degree` is an
  // integer node that does not vary along the axis, nor along axes that are ragged over it.
  void set_degree(AxisId axis, NodeId degree);

  NodeId input(std::string_view name, Dtype dtype, std::vector<AxisId> layout);
  NodeId constant(double value, Dtype dtype = Dtype::F32);
  NodeId index(AxisId axis);
  // Integer with float is float; bool counts as 0 and 1; comparisons and logic give Bool.
  NodeId map(Fn fn, std::vector<NodeId> inputs);
  NodeId cast(Dtype to, NodeId x);
  NodeId reduce(ReduceFn fn, AxisId axis, NodeId x);
  NodeId scan(AxisId axis, NodeId x);
  struct At {
    AxisId axis;
    NodeId coordinate;
    NodeId otherwise = kNone;
  };
  // Coordinates of axes that x lacks are dropped; with none left, x itself. Keeps the dtype of x,
  // but with an `otherwise` the dtype is that of where(inside, x, otherwise).
  NodeId read(NodeId x, std::vector<At> at);
  NodeId topk(AxisId axis, AxisId into, NodeId x);

  // Built from the ops above. Over no elements: mean NaN, softmax nothing, logsumexp -inf; a
  // softmax of a row of only -inf is a row of zeros. The order of several axes
  // means nothing.
  NodeId size(AxisId axis);  // Reduce(Sum, axis) of the integer 1
  NodeId fold(ReduceFn fn, std::span<const AxisId> axes, NodeId x);  // one Reduce after another
  NodeId sum(std::span<const AxisId> axes, NodeId x);
  NodeId mean(std::span<const AxisId> axes, NodeId x);
  NodeId softmax(std::span<const AxisId> axes, NodeId x);
  NodeId logsumexp(std::span<const AxisId> axes, NodeId x);

  // The same op on other inputs; the type is inferred anew. `dtype` is what a Cast or a Constant
  // gives. Not for an Input, whose layout an op does not tell.
  NodeId node(const Op& op, std::vector<NodeId> inputs, Dtype dtype = Dtype::F32);
  // A node of another graph with the same axes on other inputs, name included. What `rewrite` is
  // made of.
  NodeId copy(const Node& old, std::vector<NodeId> inputs);

  // Names are unique and the first one stays: a node that has one keeps it, and a name that another
  // node has is not given again; `_1`, `_2`, … are for print to give. `finish` drops names that an
  // output or an axis has.
  void set_name(NodeId node, std::string_view name);
  const Node& operator[](NodeId node) const;
  const Axis& axis(AxisId id) const;
  std::size_t axis_count() const;

  // The finished graph: only what outputs, degrees and kernels reach. An empty layout means the
  // order of the axis statements. Ids inside `kernels` are this builder's and are renumbered.
  // Storing a ragged axis is an error.
  Graph finish(std::vector<Output> outputs, std::vector<Kernel> kernels = {});

 private:
  // The node that an op on these inputs is only another way to say, if there is one.
  std::optional<NodeId> known_as(const Op& op, const std::vector<NodeId>& inputs, Dtype dtype);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea::ir
