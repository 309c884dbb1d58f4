#include "ir/query.h"

namespace fovea::ir {

const Input* input_of(const Node& node) { return std::get_if<Input>(&node.op); }
const Constant* constant_of(const Node& node) { return std::get_if<Constant>(&node.op); }
const Index* index_of(const Node& node) { return std::get_if<Index>(&node.op); }
const Map* map_of(const Node& node) { return std::get_if<Map>(&node.op); }
const Reduce* reduce_of(const Node& node) { return std::get_if<Reduce>(&node.op); }
const Scan* scan_of(const Node& node) { return std::get_if<Scan>(&node.op); }
const Read* read_of(const Node& node) { return std::get_if<Read>(&node.op); }
const TopK* topk_of(const Node& node) { return std::get_if<TopK>(&node.op); }

bool is_map(const Node& node, Fn fn) {
  const Map* map = map_of(node);
  return map && map->fn == fn;
}

std::optional<double> number_of(const Node& node) {
  const Constant* constant = constant_of(node);
  return constant ? std::optional(constant->value) : std::nullopt;
}

bool is_number(const Node& node, double value) { return number_of(node) == value; }

bool is_reduce(const Node& node, ReduceFn fn) {
  const Reduce* reduce = reduce_of(node);
  return reduce && reduce->fn == fn;
}

bool is_pointwise(const Node& node) {
  return match(
      node.op, [](const Input&) { return false; }, [](const Constant&) { return true; },
      [](const Index&) { return true; }, [](const Map&) { return true; },
      [](const Reduce&) { return false; }, [](const Scan&) { return false; },
      [](const Read&) { return false; }, [](const TopK&) { return false; });
}

bool is_fold(const Node& node) { return folded_axis(node) != kNone; }

bool is_multiple(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  return is_reduce(node, ReduceFn::Sum) &&
         !graph.node(node.inputs[0]).type.has(reduce_of(node)->axis);
}

bool is_single_fold(const Graph& graph, NodeId id) {
  return is_fold(graph.node(id)) && !is_multiple(graph, id);
}

AxisId folded_axis(const Node& node) {
  return match(
      node.op, [](const Input&) { return kNone; }, [](const Constant&) { return kNone; },
      [](const Index&) { return kNone; }, [](const Map&) { return kNone; },
      [](const Reduce& op) { return op.axis; }, [](const Scan& op) { return op.axis; },
      [](const Read&) { return kNone; }, [](const TopK& op) { return op.axis; });
}

AxisId ordered_axis(const Node& node) {
  return match(
      node.op, [](const Input&) { return kNone; }, [](const Constant&) { return kNone; },
      [](const Index&) { return kNone; }, [](const Map&) { return kNone; },
      [](const Reduce&) { return kNone; }, [](const Scan& op) { return op.axis; },
      [](const Read&) { return kNone; }, [](const TopK& op) { return op.into; });
}

std::vector<AxisId> bounded_axes(const Op& op) {
  using Axes = std::vector<AxisId>;
  return match(
      op, [](const Input&) { return Axes{}; }, [](const Constant&) { return Axes{}; },
      [](const Index&) { return Axes{}; }, [](const Map&) { return Axes{}; },
      [](const Reduce& reduce) { return Axes{reduce.axis}; },
      [](const Scan& scan) { return Axes{scan.axis}; },
      [](const Read& read) {
        Axes axes;
        for (const Read::Coordinate& at : read.at) axes.push_back(at.axis);
        return axes;
      },
      [](const TopK& topk) {
        return Axes{topk.axis, topk.into};
      });
}

std::vector<AxisId> axes_of(const Op& op) {
  const auto* index = std::get_if<Index>(&op);
  return index ? std::vector{index->axis} : bounded_axes(op);
}

bool chooses_places(const Node& node) {
  return match(
      node.op, [](const Input&) { return false; }, [](const Constant&) { return false; },
      [](const Index&) { return false; }, [](const Map&) { return false; },
      [](const Reduce& op) { return op.fn == ReduceFn::ArgMax; }, [](const Scan&) { return false; },
      [](const Read&) { return false; }, [](const TopK&) { return true; });
}

}  // namespace fovea::ir
