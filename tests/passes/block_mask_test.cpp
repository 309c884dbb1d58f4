#include "passes/block_mask.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "ir/build.h"
#include "ir/interpret.h"
#include "ir/query.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "passes/masked_value.h"

namespace fovea::passes {
namespace {

// One kernel over the plane (i, j) that computes all outputs of the text.
ir::Graph in_one_kernel(std::string_view text) {
  ir::Graph graph = ir::parse(text);
  ir::Kernel kernel;
  kernel.name = "kernel";
  for (const ir::Output& output : graph.outputs) kernel.results.push_back(output.node);
  kernel.row = ir::find_axis(graph, "i");
  kernel.column = ir::find_axis(graph, "j");
  graph.kernels.push_back(kernel);
  return graph;
}

struct Shown {
  std::string visible, solid, reason;
};

// The condition as one expression: alone in a graph, nothing of it is shared with others.
std::string show(const ir::Graph& graph, ir::NodeId id) {
  if (id == ir::kNone) return "";
  ir::Builder alone(graph);
  std::vector<ir::NodeId> to;
  for (const ir::Node& node : graph.nodes) {
    std::vector<ir::NodeId> inputs = node.inputs;
    for (ir::NodeId& input : inputs) input = to[static_cast<std::size_t>(input)];
    to.push_back(alone.copy(node, std::move(inputs)));
  }
  const std::string text =
      ir::print(alone.finish({{"condition", to[static_cast<std::size_t>(id)], {}}}));
  const auto start = text.find(" = ", text.find("out condition")) + 3;
  return text.substr(start, text.find('\n', start) - start);
}

// The graph whose reductions of the plane are given nothing but what is visible.
ir::Graph only_visible(const ir::Graph& graph) {
  const ir::Kernel& kernel = graph.kernels[0];
  const std::vector<ir::NodeId> reductions = plane_reductions(graph, kernel);
  ir::Builder into(graph);
  std::vector<ir::NodeId> to(graph.nodes.size(), ir::kNone);
  const auto neutral = [&](const ir::Node& fold, ir::Dtype dtype) {
    const bool is_bool = dtype == ir::Dtype::Bool;
    const bool is_min = is_reduce(fold, ir::ReduceFn::Min);
    if (is_bool) return into.constant(is_min ? 1 : 0, ir::Dtype::Bool);
    if (is_reduce(fold, ir::ReduceFn::Sum)) return into.constant(0);
    return into.constant(is_min ? HUGE_VAL : -HUGE_VAL);
  };
  const std::function<ir::NodeId(ir::NodeId)> copy = [&](ir::NodeId id) {
    ir::NodeId& done = to[static_cast<std::size_t>(id)];
    if (done != ir::kNone) return done;
    const ir::Node& node = graph.node(id);
    std::vector<ir::NodeId> inputs;
    for (const ir::NodeId input : node.inputs) inputs.push_back(copy(input));
    if (std::ranges::find(reductions, id) != reductions.end()) {
      const ir::NodeId nothing = neutral(node, into[inputs[0]].type.dtype);
      inputs[0] = into.map(ir::Fn::Where, {copy(kernel.visible), inputs[0], nothing});
    }
    return done = into.copy(node, std::move(inputs));
  };
  std::vector<ir::Output> outputs = graph.outputs;
  for (ir::Output& output : outputs) output.node = copy(output.node);
  return into.finish(std::move(outputs));
}

ir::Arrays random_inputs(const ir::Graph& graph, const ir::Sizes& sizes) {
  std::mt19937 random(7);
  ir::Arrays inputs;
  for (const ir::Node& node : graph.nodes) {
    if (!ir::is_input(node)) continue;
    ir::Array& array = inputs[node.name];
    array.dtype = node.type.dtype;
    std::int64_t count = 1;
    for (const ir::AxisId axis : node.type.axes) {
      array.shape.push_back(sizes.at(graph.axis(axis).name));
      count *= array.shape.back();
    }
    for (std::int64_t k = 0; k < count; ++k) {
      const auto number = static_cast<double>(random() % 1000);
      const bool is_bool = node.type.dtype == ir::Dtype::Bool;
      array.data.push_back(ir::is_float(node.type.dtype) ? number / 500 - 1
                           : is_bool                     ? std::fmod(number, 2)
                                                         : std::fmod(number, 7));
    }
  }
  return inputs;
}

// What is not visible does not change the results, by the definition.
void check_meaning(const ir::Graph& masked) {
  if (masked.kernels[0].visible == ir::kNone) return;
  const ir::Graph less = only_visible(masked);
  const ir::Sizes all{{"b", 2}, {"h", 2},  {"g", 2},  {"i", 5},
                      {"j", 6}, {"d", 64}, {"e", 64}, {"n", 4}};
  const ir::Sizes sizes{{"b", 2}, {"h", 2}, {"g", 2}, {"i", 5}, {"j", 6}};
  const ir::Arrays inputs = random_inputs(masked, all);
  const ir::Arrays expected = ir::interpret(masked, inputs, sizes);
  const ir::Arrays found = ir::interpret(less, inputs, sizes);
  for (const auto& [name, array] : expected) {
    CAPTURE(name);
    const auto same = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
    CHECK(std::ranges::equal(array.data, found.at(name).data, same));
  }
}

Shown masks_of(const ir::Graph& graph) {
  const ir::Target& target = ir::targets()[0];
  const ir::Graph masked = block_mask(graph, target);
  ir::verify(masked, "block_mask");
  CHECK(masked.outputs.size() == graph.outputs.size());
  CHECK(block_mask(masked, target) == masked);
  check_meaning(masked);
  const ir::Kernel& kernel = masked.kernels.at(0);
  return {show(masked, kernel.visible), show(masked, kernel.solid), kernel.reason};
}

const char* const kInputs = R"(axis b, h, g, i, j, d = 64, e = 64, n = 4
q : f32[b, h, i, d]
k : f32[b, h, j, d]
v : f32[b, h, j, e]
seen : bool[i, j]
length : i32[b]
document : i32[b, j]
slope : f32[h]
lse : f32[b, h, i]
s = sum(d, q * k)
)";

Shown masks_of(const std::string& text) { return masks_of(in_one_kernel(kInputs + text)); }

// Softmax attention over scores made by an expression of s.
Shown attention(const std::string& score) {
  return masks_of("out o = sum(j, softmax(j, " + score + ") * v)\n");
}

void check_both(const Shown& shown, const std::string& expected) {
  CHECK(shown.visible == expected);
  CHECK(shown.solid == expected);
  CHECK(shown.reason == "");
}

TEST_CASE("softmax with a mask") {
  check_both(attention("where(j <= i, s, -inf)"), "j <= i");
  check_both(attention("where(j <= i && i - j < 256, s, -inf)"), "j <= i && i - j < 256");
  check_both(attention("where(j < length, s, -inf)"), "j < length");
  check_both(attention("where(seen, s, -inf)"), "seen");
  check_both(attention("where(document == document[j = i], s, -inf)"),
             "document == document[j = i]");
}

TEST_CASE("the mask may be negated") {
  check_both(attention("where(j > i, -inf, s)"), "!(j > i)");
  check_both(attention("where(!(j > i), s, -inf)"), "!(j > i)");
}

TEST_CASE("the mask may be added, scaled and capped") {
  check_both(attention("s + where(j <= i, 0.0, -inf)"), "j <= i");
  check_both(attention("where(j <= i, s, -inf) * 0.125 + slope * (j - i)"), "j <= i");
  check_both(attention("min(where(j <= i, s, -inf), 50.0)"), "j <= i");
}

TEST_CASE("nested masks each exclude alone") {
  const Shown shown = attention("where(j < length, where(j <= i, s, -inf), -inf)");
  CHECK(shown.visible == "j <= i && j < length");
  CHECK(shown.solid == "j <= i && j < length");
}

TEST_CASE("masks of several softmaxes exclude together") {
  const Shown shown = masks_of(R"(
a = softmax(j, where(j <= i, s, -inf))
c = softmax(j, where(i - j < 9, s * 2.0, -inf))
out o = sum(j, (a - 0.5 * c) * v)
)");
  CHECK(shown.visible == "j <= i || i - j < 9");
  CHECK(shown.solid == "j <= i && i - j < 9");
}

TEST_CASE("one mask over both and one of each") {
  const Shown shown = masks_of(R"(
t = where(j < length, s, -inf)
a = softmax(j, where(j <= i, t, -inf))
c = softmax(j, where(i - j < 9, t, -inf))
out o = sum(j, (a - 0.5 * c) * v)
)");
  CHECK(shown.visible == "j < length && (j <= i || i - j < 9)");
}

TEST_CASE("normalisers other than softmax") {
  check_both(masks_of("out o = sum(j, sigmoid(where(j <= i, s, -inf)) * v)\n"), "j <= i");
  check_both(masks_of("out o = sum(j, relu(where(j <= i, s, -inf)) * v)\n"), "j <= i");
  check_both(masks_of("out o = sum(j, where(j <= i, s, 0.0) * v)\n"), "j <= i");
  check_both(masks_of("out o = sum(j, f32(j <= i) * s * v)\n"), "j <= i");
  check_both(masks_of("out o = sum(j, s * where(j < length, v, 0.0))\n"), "j < length");
  check_both(masks_of("m = max(j, where(j <= i, s, -inf))\n"
                      "x = exp(where(j <= i, s, -inf) - max(m, 0.0))\n"
                      "out o = sum(j, x * v) / (1.0 + sum(j, x))\n"),
             "j <= i");
}

TEST_CASE("every kind of reduction") {
  check_both(masks_of("out o = max(j, where(j <= i, s, -inf))\n"), "j <= i");
  check_both(masks_of("out o = min(j, where(j <= i, s, inf))\n"), "j <= i");
  check_both(masks_of("out o = any(j, j <= i)\n"), "j <= i");
  check_both(masks_of("out o = all(j, j <= i)\n"), "!(j <= i)");
  check_both(masks_of("out o = sum(j, j <= i)\n"), "j <= i");
  check_both(masks_of("out o = topk(j, n, where(j <= i, s, -inf))\n"), "j <= i");
  check_both(masks_of("out o = logsumexp(j, where(j <= i, s, -inf))\n"), "j <= i");
  check_both(masks_of("out o = sum(i, where(j <= i, s, 0.0) * q)\n"), "j <= i");
}

TEST_CASE("the gradient of attention, over rows and over columns") {
  check_both(masks_of(R"(
do : f32[b, h, i, e]
delta : f32[b, h, i]
p = exp(where(j <= i, s, -inf) - lse)
ds = p * (sum(e, do * v) - delta)
out dq = sum(j, ds * k)
out dk = sum(i, ds * q)
out dv = sum(i, p * do)
)"),
             "j <= i");
}

TEST_CASE("reasons why everything is visited") {
  CHECK(attention("s").reason == "all blocks: no mask");
  CHECK(attention("s").solid == "");
  const Shown bias = attention("s + where(j <= i, slope, 0.0)");
  CHECK(bias.visible == "");
  CHECK(bias.solid == "j <= i");
  CHECK(bias.reason == "all blocks: the mask does not exclude: max over j");
  CHECK(masks_of("out o = sum(j, exp(where(j <= i, s, 0.0)) * v)\n").visible == "");
  CHECK(masks_of("out o = sum(j, where(j <= i, s, -inf) * v)\n").visible == "");
  CHECK(masks_of("out o = max(j, where(j <= i, s, 0.0))\n").visible == "");
  CHECK(masks_of("out o = argmax(j, where(j <= i, s, -inf))\n").visible == "");
  // One of two sums still gets something.
  CHECK(masks_of("out o = sum(j, where(j <= i, s, 0.0) * v) + sum(j, s * v)\n").visible == "");
}

TEST_CASE("a stored plane is left alone where it is zero, and without a mask where it can") {
  const Shown shown = masks_of("out p = softmax(j, where(j <= i, s, -inf))\n");
  CHECK(shown.visible == "j <= i");
  CHECK(shown.solid == "j <= i");
  CHECK(shown.reason == "");
  const Shown infinite = masks_of("out p = where(j <= i, s, -inf)\n");
  CHECK(infinite.visible == "");
  CHECK(infinite.solid == "j <= i");
  CHECK(infinite.reason == "all blocks: the mask does not exclude: p");
}

TEST_CASE("a mask known only with the scores is none") {
  CHECK(attention("where(s > 0.0, s, -inf)").solid == "");
  CHECK(attention("where(s > max(j, s) - 5.0, s, -inf)").solid == "");
  check_both(attention("where(j <= i && s > 0.0, where(j < length, s, -inf), -inf)"), "j < length");
}

TEST_CASE("a mask that is also used elsewhere is none") {
  CHECK(masks_of(R"(
t = where(j < length, s, -inf)
out o = sum(j, softmax(j, t) * v * t[j = j - 1])
)")
            .solid == "");
}

TEST_CASE("a softmax without its guard") {
  const std::string x = "x = exp(where(j <= i, s, -inf) - max(j, where(j <= i, s, -inf)))\n";
  // A row of nothing is NaN either way: 0 / 0.
  check_both(masks_of(x + "out o = sum(j, x * v) / sum(j, x)\n"), "j <= i");
  // Its sum would be NaN by definition, but 0 if nothing were visited.
  const Shown shown = masks_of(x + "out l = sum(j, x)\n");
  CHECK(shown.visible == "");
  CHECK(shown.solid == "j <= i");
}

TEST_CASE("axes that results lack: any is visible, all are solid") {
  const Shown shown = masks_of(R"(
w : f32[g, h]
v2 : f32[b, g, j, e]
near : i32[h]
p = exp(where(i - j < near, s, -inf))
out o = sum(j, sum(h, w * p) * v2)
)");
  CHECK(shown.visible == "any(h, i - j < near)");
  CHECK(shown.solid == "all(h, i - j < near)");
}

TEST_CASE("results of other kernels are taken as they are") {
  ir::Graph graph = ir::parse(kInputs + std::string(R"(
out m = max(j, where(j <= i, s, -inf))
out l = sum(j, exp(where(j <= i, s, -inf) - m))
)"));
  ir::Kernel first, second;
  first.name = "first";
  second.name = "second";
  first.results = {graph.outputs[0].node};
  second.results = {graph.outputs[1].node};
  first.row = second.row = ir::find_axis(graph, "i");
  first.column = second.column = ir::find_axis(graph, "j");
  graph.kernels = {first, second};
  const ir::Graph masked = block_mask(graph, ir::targets()[0]);
  CHECK(show(masked, masked.kernels[0].visible) == "j <= i");
  CHECK(show(masked, masked.kernels[1].visible) == "j <= i");
}

TEST_CASE("kernels off the plane are left alone") {
  ir::Graph graph = ir::parse(kInputs + std::string("out o = q * 2.0\n"));
  ir::Kernel kernel;
  kernel.name = "scale";
  kernel.results = {graph.outputs[0].node};
  graph.kernels = {kernel};
  CHECK(block_mask(graph, ir::targets()[0]) == graph);
}

TEST_CASE("a mask of two constants") {
  check_both(masks_of("out o = sum(j, where(j <= i, 1.0, 0.0) * s * v)\n"), "j <= i");
  check_both(masks_of("out o = sum(j, where(j <= i, 0.0, 1.0) * s * v)\n"), "!(j <= i)");
}

}  // namespace
}  // namespace fovea::passes
