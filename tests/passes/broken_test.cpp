// Passes that are broken on purpose: interpreting the kernels must find each of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/build.h"
#include "ir/rewrite.h"
#include "ir/text.h"
#include "passes/run.h"
#include "passes/tile.h"
#include "tests/passes/same_meaning.h"

namespace fovea::passes {
namespace {

using namespace ir;

constexpr std::string_view kCausal = R"(
axis h = 2, i, j, d = 4, e = 3
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
s = where(j <= i, sum(d, q * k), -inf)
out o = sum(j, softmax(j, s) * v)
)";

// Both maxima and sums over rows are needed before the columns are walked.
constexpr std::string_view kOverRows = R"(
axis i, j, d = 4
q : f32[i, d]
k : f32[j, d]
out o = sum(j, softmax(i, sum(d, q * k)) * k)
)";

constexpr std::string_view kVariance = R"(
axis i, j, d = 4
q : f32[i, d]
k : f32[j, d]
s = tanh(sum(d, q * k))
mean = sum(j, s) / f32(size(j))
out variance = sum(j, (s - mean) * (s - mean))
)";

constexpr std::string_view kLinear = R"(
axis i, j, d = 4, e = 3
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
rate : f32[]
out o = sum(j, where(j <= i, sum(d, q * k) * exp(f32(j - i) * rate), 0.0) * v)
)";

constexpr std::string_view kWindow = R"(
axis i, j, d = 4
q : f32[i, d]
k : f32[j, d]
out o = sum(j, where(j <= i && i - j < 2, sum(d, q * k), 0.0))
)";

constexpr std::string_view kChain = R"(
axis i, j, d = 4
q : f32[i, d]
k : f32[j, d]
m = sum(d, q * q)
n = sum(i, q * m)
out o = sum(d, n * k) + sum(i, m)
)";

Graph compiled(std::string_view text) {
  return run_pipeline(parse(std::string(text)), targets()[0], {});
}

// Whether the broken graph is told from the right one, which means what its text says.
bool is_found(std::string_view text, const std::function<void(Graph&)>& broken) {
  const Graph source = parse(std::string(text)), right = compiled(text);
  Graph wrong = right;
  broken(wrong);
  INFO(print(wrong));
  REQUIRE(wrong != right);
  const auto differs = difference(source, right);
  CHECK_MESSAGE(!differs, differs.value_or(""));
  const bool is_told = difference(source, wrong).has_value();
  if (!is_told) MESSAGE(print(wrong));
  return is_told;
}

Kernel& kernel_with_plane(Graph& graph) {
  const auto found =
      std::ranges::find_if(graph.kernels, [](const Kernel& k) { return k.row != kNone; });
  REQUIRE(found != graph.kernels.end());
  return *found;
}

// Another mask for the first kernel on a plane.
void change(Graph& graph, NodeId Kernel::*mask,
            const std::function<NodeId(Builder&, const Kernel&, NodeId)>& make) {
  Builder into(graph);
  std::vector<NodeId> to;
  for (const Node& node : graph.nodes) {
    std::vector<NodeId> inputs = node.inputs;
    for (NodeId& input : inputs) input = to[static_cast<std::size_t>(input)];
    to.push_back(into.copy(node, inputs));
  }
  const auto move = [&](NodeId& id) {
    id = id == kNone ? kNone : to[static_cast<std::size_t>(id)];
  };
  for (Output& output : graph.outputs) move(output.node);
  for (Kernel& kernel : graph.kernels) {
    std::ranges::for_each(kernel.results, move);
    move(kernel.visible);
    move(kernel.solid);
  }
  Kernel& first = kernel_with_plane(graph);
  first.*mask = make(into, first, first.*mask);
  graph = into.finish(graph.outputs, graph.kernels);
}

// j == i + by
NodeId diagonal(Builder& into, const Kernel& kernel, int by) {
  const NodeId shifted = into.map(Fn::Add, {into.index(kernel.row), into.constant(by, Dtype::I32)});
  return into.map(Fn::Eq, {into.index(kernel.column), shifted});
}

}  // namespace

TEST_CASE("broken: a result that is not stored") {
  for (const std::string_view text : {kOverRows, kVariance})
    for (std::size_t k = 0; k < compiled(text).kernels.size(); ++k) {
      const auto drop = [&](Graph& graph) {
        Kernel& kernel = graph.kernels[k];
        REQUIRE(kernel.row != kNone);
        kernel.results.pop_back();
        kernel.slots.pop_back();
        if (kernel.results.empty())
          graph.kernels.erase(graph.kernels.begin() + static_cast<std::ptrdiff_t>(k));
      };
      CHECK(is_found(text, drop));
    }
  CHECK(is_found(kChain, [](Graph& graph) { graph.kernels.pop_back(); }));
}

TEST_CASE("broken: kernels in another order") {
  for (const std::string_view text : {kOverRows, kVariance, kChain})
    CHECK(is_found(text, [](Graph& graph) { std::ranges::reverse(graph.kernels); }));
}

TEST_CASE("broken: kernels that need each other's results in one walk") {
  for (const std::string_view text : {kOverRows, kVariance}) {
    const auto merge = [](Graph& graph) {
      Kernel last = graph.kernels.back();
      graph.kernels.pop_back();
      Kernel& first = graph.kernels.back();
      first.results.insert(first.results.end(), last.results.begin(), last.results.end());
      first.slots.insert(first.slots.end(), last.slots.begin(), last.slots.end());
    };
    CHECK(is_found(text, merge));
  }
}

TEST_CASE("broken: a plane whose tiles do not tell what is stored") {
  CHECK(is_found(kCausal, [](Graph& graph) {
    Kernel& kernel = kernel_with_plane(graph);
    kernel.column = find_axis(graph, "e");
  }));
}

TEST_CASE("broken: a mask that hides one more column") {
  for (const std::string_view text : {kCausal, kLinear, kWindow})
    CHECK(is_found(text, [](Graph& graph) {
      change(graph, &Kernel::visible, [](Builder& into, const Kernel& kernel, NodeId mask) {
        return into.map(Fn::And, {mask, into.map(Fn::Not, {diagonal(into, kernel, 0)})});
      });
    }));
}

TEST_CASE("broken: a claim that one more column needs no mask") {
  for (const std::string_view text : {kCausal, kWindow})
    CHECK(is_found(text, [](Graph& graph) {
      change(graph, &Kernel::solid, [](Builder& into, const Kernel& kernel, NodeId mask) {
        return into.map(Fn::Or, {mask, diagonal(into, kernel, 1)});
      });
      // What is not visible is not looked at.
      change(graph, &Kernel::visible, [](Builder&, const Kernel&, NodeId) { return kNone; });
    }));
}

TEST_CASE("broken: a state of what later rows do not see") {
  Graph linear = compiled(kLinear);
  REQUIRE(kernel_with_plane(linear).carries);
  for (const std::string_view text : {kWindow, kCausal})
    CHECK(is_found(text, [](Graph& graph) { kernel_with_plane(graph).carries = true; }));
  CHECK(is_found(kLinear, [](Graph& graph) { kernel_with_plane(graph).solid = kNone; }));
}

TEST_CASE("broken: two values that live at the same time in one slot") {
  for (const std::string_view text : {kOverRows, kChain})
    CHECK(is_found(text, [](Graph& graph) {
      for (Kernel& kernel : graph.kernels)
        for (int& slot : kernel.slots) slot = std::min(slot, 0);
    }));
}

TEST_CASE("broken: results without memory") {
  CHECK(is_found(kVariance, [](Graph& graph) { graph.kernels[0].slots[0] = kNone; }));
}

TEST_CASE("broken: heads with masks of their own that are walked together") {
  Graph graph = tile_few_rows(compiled(kCausal), targets()[0]);
  const Graph source = parse(std::string(kCausal));
  CHECK_FALSE(difference(source, graph));
  Kernel& kernel = kernel_with_plane(graph);
  kernel.shared = find_axis(graph, "h");
  kernel.members = 2;
  CHECK_FALSE(difference(source, graph));
  change(graph, &Kernel::visible, [](Builder& into, const Kernel& on, NodeId mask) {
    const NodeId first = into.map(Fn::Ge, {into.index(on.shared), into.constant(0, Dtype::I32)});
    return into.map(Fn::And, {mask, first});
  });
  CHECK(difference(source, graph));
}

}  // namespace fovea::passes
