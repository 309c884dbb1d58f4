#include "ir/build.h"

#include <doctest/doctest.h>

#include <limits>

#include "ir/error.h"
#include "ir/interpret.h"
#include "ir/query.h"
#include "ir/rewrite.h"
#include "ir/text.h"

using namespace fovea;
using namespace fovea::ir;

namespace {

struct Pair {
  Builder b;
  ir::AxisId i = b.axis("i"), j = b.axis("j"),
             d = b.axis("d", {{ExtentTerm::Kind::Number, 4, kNone}});
  NodeId q = b.input("q", Dtype::F32, {i, d});
  NodeId k = b.input("k", Dtype::BF16, {d, j});
  NodeId n = b.input("n", Dtype::U8, {j});
};

template <class F>
std::pair<Code, std::string> error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {Code::internal, "no error"};
}

Graph attention() {
  Pair p;
  const std::vector<AxisId> over{p.j};
  const NodeId s = p.b.sum(std::vector<AxisId>{p.d}, p.b.map(Fn::Mul, {p.q, p.k}));
  const NodeId dead = p.b.map(Fn::Exp, {p.n});
  p.b.set_name(dead, "dead");
  const NodeId seen = p.b.map(Fn::Le, {p.b.index(p.j), p.b.index(p.i)});
  const NodeId w = p.b.softmax(
      over, p.b.map(Fn::Where, {seen, s, p.b.constant(-std::numeric_limits<double>::infinity())}));
  p.b.set_name(w, "w");
  return p.b.finish(
      {{"o", p.b.sum(over, p.b.map(Fn::Mul, {w, p.k})), {p.d, p.i}}, {"m", p.b.size(p.j), {}}});
}

}  // namespace

TEST_CASE("types of element functions") {
  Pair p;
  const auto type = [&](NodeId id) { return p.b[id].type; };
  const std::vector<AxisId> ijd{p.i, p.j, p.d};
  CHECK(type(p.q).axes == std::vector<AxisId>{p.i, p.d});
  CHECK(type(p.k).axes == std::vector<AxisId>{p.d, p.j});
  CHECK(type(p.b.map(Fn::Mul, {p.q, p.k})) == Type{Dtype::F32, ijd});
  CHECK(type(p.b.map(Fn::Add, {p.k, p.k})).dtype == Dtype::F32);
  CHECK(type(p.b.map(Fn::Add, {p.n, p.n})).dtype == Dtype::I32);
  CHECK(type(p.b.map(Fn::Div, {p.n, p.k})).dtype == Dtype::F32);
  CHECK(type(p.b.map(Fn::Exp, {p.n})).dtype == Dtype::F32);
  CHECK(type(p.b.map(Fn::Floor, {p.n})).dtype == Dtype::I32);
  CHECK(type(p.b.map(Fn::Floor, {p.k})).dtype == Dtype::F32);
  const NodeId less = p.b.map(Fn::Lt, {p.b.index(p.i), p.q});
  CHECK(type(less) == Type{Dtype::Bool, {p.i, p.d}});
  CHECK(type(p.b.map(Fn::And, {p.n, p.q})).dtype == Dtype::Bool);
  CHECK(type(p.b.map(Fn::Neg, {less})).dtype == Dtype::I32);
  CHECK(type(p.b.map(Fn::Add, {less, less})).dtype == Dtype::I32);
  CHECK(type(p.b.map(Fn::Where, {p.n, less, less})).dtype == Dtype::Bool);
  CHECK(type(p.b.map(Fn::Where, {p.n, less, p.n})).dtype == Dtype::I32);
  CHECK(type(p.b.map(Fn::Where, {p.q, p.k, p.n})).dtype == Dtype::F32);
  CHECK(type(p.b.cast(Dtype::I8, p.q)).dtype == Dtype::I8);
  CHECK(p.b.cast(Dtype::U8, p.n) == p.n);
}

TEST_CASE("types of functions of an axis") {
  Pair p;
  const auto type = [&](NodeId id) { return p.b[id].type; };
  const NodeId less = p.b.map(Fn::Lt, {p.b.index(p.j), p.n});
  CHECK(type(p.b.reduce(ReduceFn::Sum, p.j, p.k)) == Type{Dtype::F32, {p.d}});
  CHECK(type(p.b.reduce(ReduceFn::Max, p.j, p.n)) == Type{Dtype::I32, {}});
  CHECK(type(p.b.reduce(ReduceFn::Sum, p.j, less)).dtype == Dtype::I32);
  CHECK(type(p.b.reduce(ReduceFn::Max, p.j, less)).dtype == Dtype::Bool);
  CHECK(type(p.b.reduce(ReduceFn::ArgMax, p.j, p.k)) == Type{Dtype::I32, {p.d}});
  CHECK(type(p.b.scan(p.j, p.k)) == Type{Dtype::F32, {p.j, p.d}});
  CHECK(type(p.b.scan(p.i, less)) == Type{Dtype::I32, {p.i, p.j}});
  CHECK(type(p.b.topk(p.j, p.i, p.k)) == Type{Dtype::I32, {p.i, p.d}});
  CHECK(type(p.b.size(p.j)) == Type{Dtype::I32, {}});
}

TEST_CASE("types of reads") {
  Pair p;
  const auto type = [&](NodeId id) { return p.b[id].type; };
  const NodeId i = p.b.index(p.i);
  CHECK(type(p.b.read(p.k, {{p.j, i}})) == Type{Dtype::BF16, {p.i, p.d}});
  CHECK(p.b.read(p.k, {{p.i, i}}) == p.k);
  CHECK(p.b.read(p.q, {{p.j, i}, {p.d, i}}) == p.b.read(p.q, {{p.d, i}}));
  const NodeId swapped = p.b.read(p.b.map(Fn::Mul, {p.q, p.k}), {{p.i, p.b.index(p.j)}, {p.j, i}});
  CHECK(type(swapped).axes == std::vector<AxisId>{p.i, p.j, p.d});
  CHECK(type(p.b.read(p.n, {{p.j, i, p.b.constant(0.5)}})) == Type{Dtype::F32, {p.i}});
  CHECK(type(p.b.read(p.n, {{p.j, i, p.b.index(p.d)}})) == Type{Dtype::I32, {p.i, p.d}});

  const auto [code, message] = error_of([&] { p.b.read(p.k, {{p.j, p.q}}); });
  CHECK(code == Code::invalid_config);
  CHECK(message == "the coordinate of axis j in a read of k is q, found f32; expected an integer");
  CHECK(error_of([&] {
          p.b.read(p.k, {{p.j, i}, {p.j, i}});
        }).second == "a read of k gives two coordinates along j");
}

TEST_CASE("ragged axes") {
  Builder b;
  const AxisId r = b.axis("r"), n = b.axis("n"), w = b.axis("w");
  const NodeId degree = b.input("degree", Dtype::I32, {r});
  b.set_degree(n, degree);
  CHECK(error_of([&] { b.set_degree(r, b.index(n)); }).second ==
        "the degree of axis r, n, varies along r itself");
  CHECK(b[b.size(n)].type == Type{Dtype::I32, {r}});
  CHECK(b[b.index(n)].type == Type{Dtype::I32, {n}});
  const NodeId both = b.map(Fn::Mul, {b.index(n), b.index(r)});
  CHECK(b[b.reduce(ReduceFn::Sum, n, both)].type.axes == std::vector<AxisId>{r});
  // the degree is read at the same place as the value
  CHECK(b[b.read(both, {{n, b.constant(1, Dtype::I32)}})].type.axes == std::vector<AxisId>{r});
  CHECK(b[b.read(both, {{n, b.constant(1, Dtype::I32)}, {r, b.index(w)}})].type.axes ==
        std::vector<AxisId>{w});

  CHECK(error_of([&] {
          (void)b.finish({{"o", both, {}}});
        }).second ==
        "output o varies along the ragged axis n, which may be summed away but not stored");
  CHECK(error_of([&] { b.set_degree(w, b.index(w)); }).second ==
        "the degree of axis w, w, varies along w itself");
  CHECK(error_of([&] { b.set_degree(w, b.input("x", Dtype::F32, {})); }).second ==
        "the degree of axis w is x, found f32; expected an integer");
  const NodeId total = b.size(w);
  CHECK(error_of([&] { b.set_degree(w, total); }).first == Code::invalid_config);
  const NodeId p = b.softmax(std::vector<AxisId>{n, r}, both);
  CHECK(b[p].type.axes == std::vector<AxisId>{r, n});
  CHECK(b.softmax(std::vector<AxisId>{r, n}, both) == p);
}

TEST_CASE("equal nodes are one node") {
  Pair p;
  const NodeId a = p.b.map(Fn::Mul, {p.q, p.k});
  p.b.set_name(a, "a");
  CHECK(p.b.map(Fn::Mul, {p.q, p.k}) == a);
  CHECK(p.b.map(Fn::Mul, {p.k, p.q}) != a);
  CHECK(p.b.constant(1) != p.b.constant(1, Dtype::I32));
  CHECK(p.b.constant(0.0) != p.b.constant(-0.0));
  CHECK(p.b.constant(0, Dtype::I32) == p.b.constant(-0.0, Dtype::I32));
  CHECK(p.b.constant(0, Dtype::Bool) == p.b.constant(-0.0, Dtype::Bool));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(p.b.constant(nan) == p.b.constant(nan));
  CHECK(p.b.cast(Dtype::I8, a) != p.b.cast(Dtype::U8, a));
  CHECK(p.b.input("q", Dtype::F32, {p.i, p.d}) == p.q);
  p.b.set_name(a, "later");
  CHECK(p.b[a].name == "a");
  const NodeId c = p.b.map(Fn::Add, {p.q, p.k});
  p.b.set_name(c, "a");
  CHECK(p.b[c].name.empty());
}

TEST_CASE("what does not fit is said") {
  Pair p;
  CHECK(error_of([&] { p.b.axis("i"); }).second == "axis i is declared twice");
  CHECK(error_of([&] { p.b.axis("q"); }).second == "axis q has the name of a tensor");
  CHECK(error_of([&] { p.b.input("i", Dtype::F32, {}); }).second ==
        "input i has the name of an axis");
  CHECK(error_of([&] { p.b.input("q", Dtype::F32, {}); }).second ==
        "input q is declared twice, with different types");
  CHECK(error_of([&] {
          p.b.input("z", Dtype::F32, {p.i, p.i});
        }).second == "input z has axis i twice");
  CHECK(error_of([&] { p.b.input("2z", Dtype::F32, {}); }).second ==
        "'2z' cannot name an input; expected letters, digits and underscores, not first a digit");
  CHECK(error_of([&] { p.b.axis("inf"); }).second ==
        "'inf' cannot name an axis: it is a word of the language");
  CHECK(error_of([&] { p.b.input("nan", Dtype::F32, {}); }).second ==
        "'nan' cannot name an input: it is a word of the language");
  CHECK(error_of([&] { p.b.constant(3e9, Dtype::I32); }).first == Code::input_too_large);
  CHECK(error_of([&] { p.b.topk(p.j, p.d, p.k); }).first == Code::dimension_mismatch);
  const auto finish = [&](std::vector<Output> outputs) {
    return error_of([&] { (void)p.b.finish(std::move(outputs)); });
  };
  CHECK(finish({{"o", p.k, {p.j}}}).second ==
        "output o is stored as [j]; expected each axis of its value once, [j, d]");
  CHECK(finish({{"o", p.k, {}}, {"o", p.q, {}}}).second == "two outputs are called o");
  CHECK(finish({{"k", p.b.map(Fn::Neg, {p.k}), {}}, {"o", p.k, {}}}).second ==
        "output k has the name of an input");
  const AxisId a = p.b.axis("a", {{ExtentTerm::Kind::Axis, 0, 4}});
  p.b.axis("b", {{ExtentTerm::Kind::Axis, 0, a}});
  CHECK(finish({{"o", p.q, {}}}).second == "the extent of axis a depends on itself");
}

TEST_CASE("finished graphs are canonical") {
  const Graph graph = attention();
  CHECK(graph.axes.size() == 3);
  CHECK(graph.outputs[0].layout == std::vector<AxisId>{2, 0});
  CHECK(std::get<Index>(graph.node(0).op).axis == 1);
  for (const Node& node : graph.nodes) CHECK(node.name != "dead");
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id) {
    for (const NodeId input : graph.node(id).inputs) CHECK(input < id);
  }
  CHECK(attention() == graph);
}

TEST_CASE("a node gives its name up to an output or an axis") {
  Pair p;
  const NodeId a = p.b.map(Fn::Exp, {p.q}), c = p.b.map(Fn::Neg, {a});
  p.b.set_name(a, "a");
  p.b.set_name(c, "c");
  const Graph graph = p.b.finish({{"a", c, {}}});
  CHECK(graph.node(1).name.empty());
  CHECK(graph.node(2).name == "c");
}

TEST_CASE("names like those that print gives are not kept") {
  Pair p;
  const NodeId a = p.b.map(Fn::Exp, {p.q});
  p.b.set_name(a, "_7");
  CHECK(p.b[a].name.empty());
  p.b.set_name(a, "_7a");
  CHECK(p.b[a].name == "_7a");
  const NodeId c = p.b.map(Fn::Neg, {a});
  p.b.set_name(c, "_1");
  const Graph graph = p.b.finish({{"o", c, {}}, {"u", p.b.map(Fn::Mul, {c, c}), {}}});
  CHECK(parse(print(graph)) == graph);
}

TEST_CASE("extents that mention extents are each looked at once") {
  Builder b;
  AxisId last = b.axis("a0", {{ExtentTerm::Kind::Number, 1}});
  for (int n = 1; n <= 200; ++n) {
    const ExtentTerm before{ExtentTerm::Kind::Axis, 0, last};
    last = b.axis("a" + std::to_string(n), {before, before, {ExtentTerm::Kind::Mul}});
  }
  const Graph graph = b.finish({{"o", b.size(last), {}}});
  CHECK(resolve_extents(graph, {}, {})[static_cast<std::size_t>(last)] == 1);
}

TEST_CASE("a degree precedes what needs it") {
  Builder b;
  const AxisId r = b.axis("r"), n = b.axis("n");
  const NodeId start = b.input("start", Dtype::I32, {r});
  b.set_degree(n, b.map(Fn::Add, {start, b.constant(1, Dtype::I32)}));
  const Graph graph = b.finish({{"o", b.reduce(ReduceFn::Sum, n, b.index(n)), {}}});
  const NodeId degree = graph.axis(n).degree;
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id) {
    if (is_index(graph.node(id))) CHECK(degree < id);
  }
  CHECK(rewrite(graph, [](auto&&...) { return std::nullopt; }) == graph);
}
