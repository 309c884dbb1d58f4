#include "ir/region.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "ir/query.h"
#include "ir/text.h"

namespace fovea::passes {
namespace {

using namespace ir;

constexpr std::string_view kInputs = R"(
axis h, g, i, j, d = 64, e = 64
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
mix : f32[g, h]
bias : f32[i, j]
s = sum(d, q * k)
m = max(j, s)
x = exp(s - m)
)";

Graph graph_of(std::string_view statements) {
  return parse(std::string(kInputs) + std::string(statements) + "\n");
}

NodeId node_called(const Graph& graph, std::string_view name) {
  for (const Output& output : graph.outputs) {
    if (output.name == name) return output.node;
  }
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id) {
    const auto* input = input_of(graph.node(id));
    if (graph.node(id).name == name || (input && input->name == name)) return id;
  }
  FAIL("no node is called ", name);
  return kNone;
}

Leaves inputs_of(const Graph& graph) {
  Leaves leaves;
  for (const Node& node : graph.nodes) leaves.push_back(is_input(node));
  return leaves;
}

// What the sum `o` of the statements follows: the name of a maximum, or "none".
std::string followed(std::string_view statements) {
  const Graph graph = graph_of(statements);
  const Followed found = followed_by(graph, node_called(graph, "o"), find_axis(graph, "i"),
                                     find_axis(graph, "j"), inputs_of(graph));
  if (found.maximum == kNone) return "none";
  return graph.node(found.maximum).name + (found.base_two ? ", base 2" : "");
}

// The factors of `o`: q, 1/k, with a minus in front of all if it is negative.
std::string factors(std::string_view statements) {
  const Graph graph = graph_of(statements);
  const Product product = product_of(graph, node_called(graph, "o"), inputs_of(graph));
  std::string text = product.negative ? "-" : "";
  for (const Factor& factor : product.factors)
    text += (factor.inverted ? " 1/" : " ") + print(graph, factor.node);
  return text;
}

Region region(const Graph& graph) { return region_of(graph, graph.kernels.at(0)); }

std::string batch(std::string_view statements) {
  const Graph graph = graph_of(statements);
  std::string names;
  for (const AxisId axis : region(graph).batch) names += graph.axis(axis).name;
  return names;
}

}  // namespace

TEST_CASE("region: a sum follows the maximum in whose exponential it is linear") {
  CHECK(followed("out o = sum(j, x)") == "m");
  CHECK(followed("out o = sum(j, x * v)") == "m");
  CHECK(followed("out o = sum(j, -(x / 2.0) * v + x)") == "m");
  CHECK(followed("out o = sum(j, where(j <= i, x, 0.0) * v)") == "m");
  CHECK(followed("out o = sum(j, exp2(s - m))") == "m, base 2");
  CHECK(followed("out o = sum(j, exp(s - where(m == -inf, 0.0, m)))") == "m");
}

TEST_CASE("region: a sum that is not linear in the exponential needs the maximum before") {
  CHECK(followed("out o = sum(j, x * x)") == "none");
  CHECK(followed("out o = sum(j, x + 1.0)") == "none");
  CHECK(followed("out o = sum(j, sqrt(x))") == "none");
  CHECK(followed("out o = sum(j, 1.0 / x)") == "none");
  CHECK(followed("out o = sum(j, where(x > 0.5, x, 0.0))") == "none");
  CHECK(followed("out o = sum(j, where(j <= i, x, 1.0))") == "none");
  CHECK(followed("out o = sum(j, x * m)") == "none");
  CHECK(followed("out o = sum(j, exp(s + bias - m))") == "none");
  CHECK(followed("out o = sum(j, exp(s - m) + exp2(s - m))") == "none");
}

TEST_CASE("region: a sum follows one maximum, over its own axis") {
  CHECK(followed("out o = sum(j, s)") == "none");
  CHECK(followed("out o = sum(i, x)") == "none");
  CHECK(followed("t = s * 2.0\nn = max(j, t)\nout o = sum(j, x * exp(t - n))") == "none");
  CHECK(followed("l = sum(j, x)\nout o = sum(j, x / l)") == "none");
  CHECK(followed("out o = max(j, x)") == "none");
}

TEST_CASE("region: products are taken apart through signs and quotients") {
  CHECK(factors("out o = q * k") == " q k");
  CHECK(factors("out o = -(q * -k) / (v / bias)") == " q k 1/v bias");
  CHECK(factors("out o = -q * exp(k)") == "- q exp(k)");
  CHECK(factors("out o = q + k") == " q + k");
}

TEST_CASE("region: what a stabilised exponential is made of") {
  const Graph graph = graph_of("y = exp2(s - m)\nz = exp(s - bias)\nout o = x + y + z");
  const auto found = stabilised(graph, node_called(graph, "x"));
  REQUIRE(found);
  CHECK(found->maximum == node_called(graph, "m"));
  CHECK(found->argument == node_called(graph, "s"));
  CHECK(!found->base_two);
  CHECK(stabilised(graph, node_called(graph, "y"))->base_two);
  CHECK(!stabilised(graph, node_called(graph, "z")));
  CHECK(!stabilised(graph, node_called(graph, "s")));
}

TEST_CASE("region: reductions of a kernel, those of others are leaves") {
  const Graph graph = graph_of(
      "l = sum(j, x)\nout o = sum(j, x * v) / l\nout t = sum(i, x)\nout u = o * 2.0\n"
      "kernel o(o, t) over i, j\nkernel u(u)");
  const Region of = region(graph);
  REQUIRE(of.reductions.size() == 4);
  CHECK(of.find(node_called(graph, "m"))->over_columns);
  CHECK(of.find(node_called(graph, "l"))->maximum == node_called(graph, "m"));
  CHECK(!of.find(node_called(graph, "t"))->over_columns);
  CHECK(of.find(node_called(graph, "t"))->maximum == kNone);
  CHECK(of.find(node_called(graph, "s")) == nullptr);
  CHECK(of.leaves[static_cast<std::size_t>(node_called(graph, "q"))]);
  CHECK(of.leaves[static_cast<std::size_t>(node_called(graph, "u"))]);
  CHECK(!of.leaves[static_cast<std::size_t>(node_called(graph, "o"))]);
}

TEST_CASE("region: axes of everything on the plane are walked outside") {
  CHECK(batch("out o = sum(j, x * v)\nkernel o(o) over i, j") == "h");
  CHECK(batch("out o = sum(j, (x + bias) * v)\nkernel o(o) over i, j") == "h");
  // results that one plane value serves: their own axes stay inside
  CHECK(batch("out o = sum(j, bias * v)\nkernel o(o) over i, j") == "");
  // heads that are mixed, or read at other heads, are all needed at once; their mixtures are not
  CHECK(batch("out o = sum(j, sum(h, mix * s))\nkernel o(o) over i, j") == "g");
  CHECK(batch("out o = sum(j, s[h = h + 1] * v)\nkernel o(o) over i, j") == "");
}

}  // namespace fovea::passes
