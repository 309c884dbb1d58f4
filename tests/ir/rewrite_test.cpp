#include "ir/rewrite.h"

#include <doctest/doctest.h>

#include "ir/query.h"

using namespace fovea::ir;

namespace {

std::optional<NodeId> keep(Builder&, NodeId, const Node&, const std::vector<NodeId>&) {
  return std::nullopt;
}

// o = exp(x) + exp(x) * 2, with exp(x) called e, and e's kernel
Graph example() {
  Builder b;
  const AxisId i = b.axis("i"), j = b.axis("j");
  const NodeId x = b.input("x", Dtype::F32, {j, i});
  const NodeId e = b.map(Fn::Exp, {x});
  b.set_name(e, "e");
  const NodeId o = b.map(Fn::Add, {e, b.map(Fn::Mul, {e, b.constant(2)})});
  Kernel kernel;
  kernel.name = "k0";
  kernel.results = {e};
  kernel.visible = b.map(Fn::Le, {b.index(j), b.index(i)});
  return b.finish({{"o", o, {j, i}}}, {kernel});
}

}  // namespace

TEST_CASE("rewriting nothing gives the same graph") {
  CHECK(rewrite(example(), keep) == example());
}

TEST_CASE("a replaced node keeps its name and what it leaves unused goes") {
  const Graph graph =
      rewrite(example(), [](Builder& into, NodeId, const Node& old, const auto& in) {
        const auto* map = map_of(old);
        if (map == nullptr || map->fn != Fn::Exp) return std::optional<NodeId>();
        return std::optional(into.map(Fn::Tanh, {into.map(Fn::Neg, {in[0]})}));
      });
  CHECK(graph.nodes.size() == example().nodes.size() + 1);
  const Node& replaced = graph.node(graph.kernels[0].results[0]);
  CHECK(replaced.name == "e");
  CHECK(std::get<Map>(replaced.op).fn == Fn::Tanh);
  CHECK(std::get<Map>(graph.node(graph.kernels[0].visible).op).fn == Fn::Le);
  CHECK(graph.outputs[0].layout == std::vector<AxisId>{1, 0});

  const Graph constant = rewrite(example(), [](Builder&, NodeId, const Node& old, const auto& in) {
    const auto* map = map_of(old);
    return map != nullptr && map->fn == Fn::Mul ? std::optional(in[0]) : std::nullopt;
  });
  for (const Node& node : constant.nodes) CHECK(!is_constant(node));
}

TEST_CASE("uses count inputs, outputs, degrees and results") {
  const Graph graph = example();
  const std::vector<int> uses = count_uses(graph);
  const NodeId e = graph.kernels[0].results[0];
  CHECK(uses[static_cast<std::size_t>(e)] == 3);
  CHECK(uses[static_cast<std::size_t>(graph.outputs[0].node)] == 1);
}

TEST_CASE("dependence on inputs") {
  Builder b;
  const AxisId i = b.axis("i"), j = b.axis("j"), n = b.axis("n");
  const NodeId x = b.input("x", Dtype::F32, {j}), count = b.input("count", Dtype::I32, {i});
  b.set_degree(n, count);
  const NodeId best = b.reduce(ReduceFn::ArgMax, j, x), top = b.topk(j, i, x);
  const NodeId total = b.reduce(ReduceFn::Sum, n, b.index(n));
  const Graph graph = b.finish({{"a", best, {}},
                                {"t", b.map(Fn::Add, {top, b.index(i)}), {}},
                                {"s", total, {}},
                                {"z", b.map(Fn::Neg, {b.index(j)}), {}}});
  const auto of = [&](bool free, std::size_t output) {
    return bool(
        depends_on_input(graph, free)[static_cast<std::size_t>(graph.outputs[output].node)]);
  };
  for (std::size_t output = 0; output < 3; ++output) CHECK(of(false, output));
  CHECK(!of(true, 0));
  CHECK(!of(true, 1));
  CHECK(of(true, 2));
  CHECK(!of(false, 3));
}
