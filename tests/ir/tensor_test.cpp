#include "ir/tensor.h"

#include <doctest/doctest.h>

#include "ir/error.h"

using namespace fovea;
using ir::AxisId;
using ir::Builder;
using ir::Fn;
using ir::NodeId;

namespace {

std::string message_of(const std::vector<NamedOutput>& outputs) {
  try {
    (void)ir::make_graph(outputs);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("the DSL makes what the builder makes") {
  Axis b{"b"}, h{"h"}, g{"g"}, i{"i"}, j{"j"}, d{"d", 64}, e{"e", 64};
  Tensor q = input("q", f32, {b, h, i, d}), k = input("k", f32, {b, g, j, d}),
         v = input("v", f32, {b, g, j, e});
  Tensor s = (sum(d, q * k.at(g, h / 4)) * 0.125f).named("s");
  Tensor p = softmax(j, where(j <= i, s, -infinity)).named("p");
  const ir::Graph made = ir::make_graph({{"o", sum(j, p * v.at(g, h / 4))}}, {b, h, g, i, j, d, e});

  Builder w;
  const AxisId B = w.axis("b"), H = w.axis("h"), G = w.axis("g"), I = w.axis("i"), J = w.axis("j"),
               D = w.axis("d", {{ir::ExtentTerm::Kind::Number, 64, ir::kNone}}),
               E = w.axis("e", {{ir::ExtentTerm::Kind::Number, 64, ir::kNone}});
  const NodeId Q = w.input("q", f32, {B, H, I, D}), K = w.input("k", f32, {B, G, J, D}),
               V = w.input("v", f32, {B, G, J, E});
  const NodeId head = w.map(Fn::Div, {w.index(H), w.constant(4, i32)});
  const std::vector<AxisId> along{J}, over{D};
  const NodeId S =
      w.map(Fn::Mul, {w.sum(over, w.map(Fn::Mul, {Q, w.read(K, {{G, head}})})), w.constant(0.125)});
  w.set_name(S, "s");
  const NodeId seen = w.map(Fn::Le, {w.index(J), w.index(I)});
  const NodeId P = w.softmax(along, w.map(Fn::Where, {seen, S, w.constant(-infinity)}));
  w.set_name(P, "p");
  const NodeId O = w.sum(along, w.map(Fn::Mul, {P, w.read(V, {{G, head}})}));
  CHECK(made == w.finish({{"o", O, {}}}));
}

TEST_CASE("outputs order their axes as the inputs do, wherever those are first used") {
  Axis b{"b"}, h{"h"}, g{"g"}, i{"i"}, j{"j"}, d{"d", 64}, e{"e", 64};
  Tensor q = input("q", f32, {b, h, i, d}), k = input("k", f32, {b, g, j, d}),
         v = input("v", f32, {b, g, j, e});
  Tensor p = softmax(j, where(j <= i, sum(d, q * k.at(g, h / 4)), -infinity));
  const ir::Graph graph = ir::make_graph({{"o", sum(j, p * v.at(g, h / 4))}});
  std::string order;
  for (const AxisId axis : graph.outputs[0].layout) order += graph.axis(axis).name;
  CHECK(order == "bhie");
}

TEST_CASE("axes come as the inputs have them, what an extent mentions first") {
  Axis past{"past"}, now{"now"}, j{"j", Extent(past) + Extent(now) * 2 - 1}, i{"i"};
  const Tensor x = input("x", f32, {i, j});
  const ir::Graph graph = ir::make_graph({{"o", x + past, {past, j, i}}});
  std::vector<std::string> names;
  for (const ir::Axis& axis : graph.axes) names.push_back(axis.name);
  CHECK(names == std::vector<std::string>{"i", "past", "now", "j"});
  using Kind = ir::ExtentTerm::Kind;
  const ir::Extent expected{{Kind::Axis, 0, 1}, {Kind::Axis, 0, 2}, {Kind::Number, 2, -1},
                            {Kind::Mul, 0, -1}, {Kind::Add, 0, -1}, {Kind::Number, 1, -1},
                            {Kind::Sub, 0, -1}};
  CHECK(graph.axis(3).extent == expected);
  CHECK(graph.outputs[0].layout == std::vector<AxisId>{1, 3, 0});
  CHECK(ir::make_graph({{"o", x}}, {now, j, i}).axes[0].name == "now");
}

TEST_CASE("ragged axes, defined by what is computed") {
  Axis r{"r"}, s{"s"}, edge{"edge"};
  const Tensor start = input("start", i32, {s});
  const Tensor degree = start.at(s, r + 1) - start.at(s, r);
  const Axis n = Axis::ragged("n", degree);
  const Tensor x = input("x", f32, {edge});
  const ir::Graph graph =
      ir::make_graph({{"o", sum(n, x.at(edge, start.at(s, r) + n))}, {"size", size(n)}});
  const AxisId id = ir::find_axis(graph, "n");
  REQUIRE(graph.axis(id).degree != ir::kNone);
  CHECK(graph.node(graph.axis(id).degree).type.axes == std::vector{ir::find_axis(graph, "r")});
  CHECK(graph.node(graph.outputs[1].node).type.axes == std::vector{ir::find_axis(graph, "r")});

  const Axis self = Axis::ragged("self", size(Axis{"self"}));
  CHECK(message_of({{"o", size(self)}}) ==
        "two axes called self have different extents in one graph");
  CHECK(message_of({{"o", x + n}}) ==
        "output o varies along the ragged axis n, which may be summed away but not stored");
}

TEST_CASE("names of axes are their identity") {
  const Tensor a = input("a", f32, {Axis{"d", 4}}), b = input("b", f32, {Axis{"d", 4}});
  CHECK(message_of({{"o", a + b}}) == "no error");
  CHECK(message_of({{"o", a + input("b", f32, {Axis{"d", 5}})}}) ==
        "two axes called d have different extents in one graph");
  CHECK(message_of({{"o", a + input("a", i32, {Axis{"d", 4}})}}) ==
        "input a is declared twice, with different types");
}

TEST_CASE("numbers have the types of their literals") {
  const Axis i{"i"}, j{"j"};
  const auto dtype = [&](const Tensor& x) {
    const ir::Graph graph = ir::make_graph({{"o", x}});
    return graph.node(graph.outputs[0].node).type.dtype;
  };
  CHECK(dtype(i + 1) == i32);
  CHECK(dtype(i + 1.0) == f32);
  CHECK(dtype(i + 1.0f) == f32);
  CHECK(dtype(i + true) == i32);
  CHECK(dtype(i < 3) == boolean);
  CHECK(dtype(any(i, i % 2)) == boolean);
  CHECK(dtype(all({i, j}, i < j)) == boolean);
  CHECK(dtype(argmax(i, i)) == i32);
  CHECK(dtype(cumsum(i, 1.0)) == f32);
  CHECK(dtype(topk(i, j, Tensor(i))) == i32);
  CHECK(dtype(max(i, i + 0)) == i32);
  CHECK(dtype(mean({i, j}, i * j)) == f32);
}
