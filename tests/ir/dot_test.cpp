#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "ir/text.h"

using namespace fovea::ir;

namespace {

constexpr std::string_view kFused = R"(axis i, j, d
q : f32[i, d]
k : bf16[j, d]
visible = j <= i
s = sum(d, q * k)
p = where(visible, exp(s), 0.0)
l = sum(j, p)
out o = log(l) * 2.0
out w[d] = sum(i, q) + max(i, l)
kernel fused(l) over i, j visible=visible rows=48 columns=96 chunk=10 because "no plane is \"stored\""
kernel rest(o, w) because "off the plane"
)";

std::string line_with(std::string_view text, std::string_view what) {
  const std::size_t at = text.find(what);
  if (at == std::string_view::npos) return "";
  const std::size_t begin = text.rfind('\n', at) + 1;
  return std::string(text.substr(begin, text.find('\n', at) - begin));
}

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string_view::npos; ++at) ++found;
  return found;
}

}  // namespace

TEST_CASE("a cluster to a kernel says its name, tiles and reason") {
  const std::string text = dot(parse(kFused));
  CHECK(count(text, "subgraph cluster_") == 2);
  CHECK(line_with(text, "label=\"fused") ==
        "    label=\"fused   i × j in tiles of 48 × 96, 10 blocks a step, rows in lanes\\nno plane "
        "is \\\"stored\\\"\";");
  CHECK(line_with(text, "label=\"rest") == "    label=\"rest\\noff the plane\";");
}

TEST_CASE("colours tell what lies on the plane of its kernel, thickness what is stored") {
  const std::string text = dot(parse(kFused));
  const std::string on = "fillcolor=\"#ffd8a8\"", off = "fillcolor=\"#d0ebff\"";
  CHECK(line_with(text, "label=\"p\\n").find(on) != std::string::npos);
  CHECK(line_with(text, "label=\"s\\n").find(on) != std::string::npos);
  CHECK(line_with(text, "label=\"visible\\n").find(on) != std::string::npos);
  CHECK(line_with(text, "label=\"l\\n").find(off) != std::string::npos);
  CHECK(line_with(text, "label=\"l\\n").find("penwidth") != std::string::npos);
  CHECK(line_with(text, "label=\"p\\n").find("penwidth") == std::string::npos);
  const std::string unfused = dot(parse("axis i, j\nx : f32[i]\nout o = sum(i, x * j)"));
  CHECK(unfused.find(on) == std::string::npos);
  CHECK(unfused.find(off) == std::string::npos);
}

TEST_CASE("inputs and outputs have shapes of their own and say how they are stored") {
  const std::string text = dot(parse(kFused));
  CHECK(count(text, "shape=cylinder") == 2);
  CHECK(line_with(text, "label=\"k\\nbf16[j, d]\"").find("shape=cylinder") != std::string::npos);
  CHECK(count(text, "shape=house") == 2);
  CHECK(line_with(text, "label=\"o\\nf32[i]\"").find("shape=house") != std::string::npos);
}

TEST_CASE("edges carry dtype and axes, from the kernel that stores a value to those that use it") {
  const Graph graph = parse(kFused);
  const std::string text = dot(graph);
  const auto id_of = [&](std::string_view name) {
    const auto at = std::ranges::find(graph.nodes, name, &Node::name);
    return at - graph.nodes.begin();
  };
  CHECK(text.find(fmt::format("  k0n{} -> k0n{} [label=\" f32[i, j]\"];\n", id_of("p"),
                              id_of("l"))) != std::string::npos);
  CHECK(text.find(fmt::format("  k0n{} -> k0n{} [label=\" bool[i, j]\"];\n", id_of("visible"),
                              id_of("p"))) != std::string::npos);
  CHECK(text.find(fmt::format("  k0n{} -> k1n", id_of("l"))) != std::string::npos);
  CHECK(text.find(fmt::format("  n{} -> k1n", id_of("q"))) != std::string::npos);
  CHECK(text.find(fmt::format("k1n{} [", id_of("l"))) == std::string::npos);
  CHECK(text.find(fmt::format("  k1n{} -> out0;", graph.outputs[0].node)) != std::string::npos);
}

TEST_CASE("what two kernels compute is drawn in both") {
  const std::string text =
      dot(parse("axis i, j\nx : f32[i]\nk : f32[j]\ns = exp(x * k)\n"
                "out a = sum(j, s)\nout b = sum(i, s)\n"
                "kernel one(a) over i, j\nkernel two(b) over j, i\n"));
  CHECK(count(text, "label=\"s\\nexp(…)\"") == 2);
}

TEST_CASE("degrees of ragged axes are dashed edges") {
  const std::string text =
      dot(parse("axis i, n < degree\ndegree : i32[i]\nout o = sum(n, f32(n) * 0.5)\n"));
  CHECK(count(text, "style=dashed, label=\" degree\"") == 1);
}

TEST_CASE("a whole drawing of a small graph") {
  const std::string text = dot(parse("axis i\nx : f32[i]\nout o = exp(x) * f32(i + 1)\n"));
  const std::string body = text.substr(text.find("  n0 ["));
  CHECK(body == R"dot(  n0 [shape=cylinder, style=filled, fillcolor="#e6fcf5", label="x\nf32[i]"];
  n1 [label="exp(x)"];
  n6 [label="… * f32(i + 1)"];
  out0 [shape=house, orientation=180, style=filled, fillcolor="#fff3bf", label="o\nf32[i]"];
  n6 -> out0;
  n0 -> n1 [label=" f32[i]"];
  n1 -> n6 [label=" f32[i]"];
}
)dot");
}
