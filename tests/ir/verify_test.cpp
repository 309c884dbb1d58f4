#include "ir/verify.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "ir/query.h"
#include "ir/tensor.h"

using namespace fovea;

namespace {

ir::Graph example() {
  const fovea::Axis i{"i"}, r{"r"}, j{"j"};
  const fovea::Axis n = fovea::Axis::ragged("n", input("degree", i32, {r}));
  const Tensor x = input("x", f32, {j, i});
  return ir::make_graph(
      {{"o", softmax(i, where(j <= i, x, -infinity)), {j, i}}, {"s", sum(n, x.at(j, n) * 2.0)}});
}

ir::NodeId find(const ir::Graph& graph, auto&& is) {
  for (ir::NodeId id = 0; id < static_cast<ir::NodeId>(graph.nodes.size()); ++id) {
    if (is(graph.node(id))) return id;
  }
  return ir::kNone;
}

ir::NodeId find_map(const ir::Graph& graph, ir::Fn fn) {
  return find(graph, [&](const ir::Node& node) {
    const auto* map = ir::map_of(node);
    return map != nullptr && map->fn == fn;
  });
}

bool has_defect(const ir::Graph& graph, std::string_view part) {
  const std::string found = ir::find_defect(graph);
  INFO(found);
  return found.find(part) != std::string::npos;
}

ir::Node& at(ir::Graph& graph, ir::NodeId id) { return graph.nodes[static_cast<std::size_t>(id)]; }

}  // namespace

TEST_CASE("what a builder makes has no defect") { CHECK(ir::find_defect(example()).empty()); }

TEST_CASE("every kind of defect is found") {
  ir::Graph graph = example();
  SUBCASE("type") {
    at(graph, find_map(graph, ir::Fn::Exp)).type.dtype = Dtype::BF16;
    CHECK(has_defect(graph, "'exp' of"));
    CHECK(has_defect(graph, "the builder infers f32["));
  }
  SUBCASE("axes") {
    at(graph, find_map(graph, ir::Fn::Exp)).type.axes.pop_back();
    CHECK(has_defect(graph, "the builder infers"));
  }
  SUBCASE("arity") {
    at(graph, find_map(graph, ir::Fn::Exp)).inputs.push_back(0);
    CHECK(has_defect(graph, "it has 2 inputs, expected 1"));
  }
  SUBCASE("order") {
    const ir::NodeId exp = find_map(graph, ir::Fn::Exp);
    at(graph, exp).inputs[0] = exp;
    CHECK(has_defect(graph, "does not precede it"));
  }
  SUBCASE("duplicate") {
    graph.nodes.push_back(graph.nodes[0]);
    CHECK(has_defect(graph, "the builder would make it %0"));
  }
  SUBCASE("left behind") {
    graph.nodes.push_back({ir::Constant{17}, {}, {}, ""});
    CHECK(has_defect(graph, "nothing needs"));
  }
  SUBCASE("canonical order") {
    std::swap(graph.outputs[0], graph.outputs[1]);
    CHECK(has_defect(graph, "canonical order"));
  }
  SUBCASE("output") {
    graph.outputs[0].node = 1000;
    CHECK(ir::find_defect(graph) == "output o is %1000, which is none");
  }
  SUBCASE("layout") {
    graph.outputs[0].layout.pop_back();
    CHECK(has_defect(graph, "output o is stored as [j]"));
  }
  SUBCASE("degree") {
    graph.axes[static_cast<std::size_t>(ir::find_axis(graph, "n"))].degree = -7;
    CHECK(ir::find_defect(graph) == "the degree of axis n is %-7, which is none");
  }
  SUBCASE("degree dropped") {
    graph.axes[static_cast<std::size_t>(ir::find_axis(graph, "n"))].degree = ir::kNone;
    CHECK(has_defect(graph, "the builder infers"));
  }
  SUBCASE("kernel") {
    graph.kernels.push_back({});
    graph.kernels[0].name = "k0";
    graph.kernels[0].visible = 1000;
    CHECK(ir::find_defect(graph) == "kernel k0 has a node or an axis that is none");
  }
  SUBCASE("slots") {
    graph.kernels.push_back({});
    graph.kernels[0].name = "k0";
    graph.kernels[0].results = {graph.outputs[0].node};
    graph.kernels[0].slots = {0, 1};
    CHECK(ir::find_defect(graph) == "kernel k0 has not one slot to a result");
  }
}
