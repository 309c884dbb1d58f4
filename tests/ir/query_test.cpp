#include "ir/query.h"

#include <doctest/doctest.h>

#include <optional>
#include <vector>

#include "ir/build.h"

using namespace fovea;
using ir::Node;

namespace {

struct Ops {
  ir::Builder b;
  ir::AxisId i = b.axis("i"), j = b.axis("j"), n = b.axis("n");
  ir::NodeId x = b.input("x", ir::Dtype::F32, {i, j}), number = b.constant(2.5), index = b.index(j);
  ir::NodeId map = b.map(ir::Fn::Mul, {x, number}), sum = b.reduce(ir::ReduceFn::Sum, j, x);
  ir::NodeId argmax = b.reduce(ir::ReduceFn::ArgMax, j, x), scan = b.scan(j, x);
  ir::NodeId read = b.read(x, {{j, b.constant(0, ir::Dtype::I32)}}), topk = b.topk(j, n, x);
};

}  // namespace

TEST_CASE("questions about every op") {
  const Ops ops;
  struct Row {
    ir::NodeId node;
    bool is_pointwise, is_fold, chooses_places;
    ir::AxisId folded, ordered;
    std::vector<ir::AxisId> named, bounded;
  };
  const ir::AxisId j = ops.j, n = ops.n, none = ir::kNone;
  const Row rows[] = {{ops.x, false, false, false, none, none, {}, {}},
                      {ops.number, true, false, false, none, none, {}, {}},
                      {ops.index, true, false, false, none, none, {j}, {}},
                      {ops.map, true, false, false, none, none, {}, {}},
                      {ops.sum, false, true, false, j, none, {j}, {j}},
                      {ops.argmax, false, true, true, j, none, {j}, {j}},
                      {ops.scan, false, true, false, j, j, {j}, {j}},
                      {ops.read, false, false, false, none, none, {j}, {j}},
                      {ops.topk, false, true, true, j, n, {j, n}, {j, n}}};
  for (const Row& row : rows) {
    CAPTURE(row.node);
    const Node& node = ops.b[row.node];
    CHECK(is_pointwise(node) == row.is_pointwise);
    CHECK(is_fold(node) == row.is_fold);
    CHECK(chooses_places(node) == row.chooses_places);
    CHECK(folded_axis(node) == row.folded);
    CHECK(ordered_axis(node) == row.ordered);
    CHECK(ir::axes_of(node.op) == row.named);
    CHECK(ir::bounded_axes(node.op) == row.bounded);
    const int kinds = is_input(node) + is_constant(node) + is_index(node) + is_map(node) +
                      is_reduce(node) + is_scan(node) + is_read(node) + is_topk(node);
    CHECK(kinds == 1);
  }
}

TEST_CASE("questions about one kind of op") {
  Ops ops;
  CHECK(number_of(ops.b[ops.number]) == 2.5);
  CHECK(number_of(ops.b[ops.map]) == std::nullopt);
  CHECK(is_number(ops.b[ops.number], 2.5));
  CHECK_FALSE(is_number(ops.b[ops.number], 2));
  CHECK(is_map(ops.b[ops.map], ir::Fn::Mul));
  CHECK_FALSE(is_map(ops.b[ops.map], ir::Fn::Add));
  CHECK(is_reduce(ops.b[ops.sum], ir::ReduceFn::Sum));
  CHECK_FALSE(is_reduce(ops.b[ops.sum], ir::ReduceFn::Max));

  // the extent of j, times 2.5: a sum that looks at no element
  const ir::NodeId multiple = ops.b.reduce(ir::ReduceFn::Sum, ops.j, ops.number);
  const ir::Graph graph = ops.b.finish({{"m", multiple, {}}, {"s", ops.sum, {}}});
  CHECK(ir::is_multiple(graph, graph.outputs[0].node));
  CHECK_FALSE(ir::is_single_fold(graph, graph.outputs[0].node));
  CHECK_FALSE(ir::is_multiple(graph, graph.outputs[1].node));
  CHECK(ir::is_single_fold(graph, graph.outputs[1].node));
}
