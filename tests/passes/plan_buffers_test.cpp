// Slots on random graphs: run the kernels in order with a model of the arena, in which a slot knows
// whose value it holds.
#include "passes/plan_buffers.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "ir/build.h"
#include "ir/checks.h"
#include "ir/text.h"
#include "ir/verify.h"

namespace fovea::passes {
namespace {

using namespace ir;

constexpr std::uint32_t kGraphs = 300;
constexpr int kNodes = 40;

// Vectors made of earlier ones; about half are stored, by kernels of one to three results.
Graph random_graph(std::mt19937& random) {
  Builder b;
  const AxisId i = b.axis("i");
  std::vector<NodeId> pool{b.input("x", Dtype::F32, {i}), b.input("y", Dtype::F32, {i})};
  std::vector<Kernel> kernels;
  int open = 0;  // results that the last kernel still takes
  const auto store = [&](NodeId id) {
    for (const Kernel& kernel : kernels)
      if (std::ranges::find(kernel.results, id) != kernel.results.end()) return;
    if (open-- == 0) {
      kernels.push_back({});
      kernels.back().name = "k" + std::to_string(kernels.size());
      open = static_cast<int>(random() % 3);
    }
    kernels.back().results.push_back(id);
  };
  for (int n = 0; n < kNodes; n++) {
    const auto pick = [&] {
      return pool[pool.size() - 1 - random() % std::min<std::size_t>(pool.size(), 7)];
    };
    const NodeId made =
        b.map(random() % 2 == 0 ? Fn::Add : Fn::Mul, {pick(), b.map(Fn::Tanh, {pick()})});
    if (std::ranges::find(pool, made) != pool.end()) continue;  // shared: made by then, or not
    pool.push_back(made);
    if (random() % 2 == 0) store(pool.back());
  }
  const NodeId middle = pool[pool.size() / 2];
  store(pool.back());
  std::vector<Output> outputs{{"o", pool.back(), {}}};
  const bool stored = std::ranges::any_of(kernels, [&](const Kernel& kernel) {
    return std::ranges::find(kernel.results, middle) != kernel.results.end();
  });
  if (stored && random() % 2 == 0) outputs.push_back({"__low_0_1i_", middle, {}});
  if (stored && random() % 2 == 0) outputs.push_back({"p", middle, {}});
  return b.finish(std::move(outputs), std::move(kernels));
}

class Arena {
 public:
  explicit Arena(const Graph& graph) : graph_(graph) {
    for (const Kernel& kernel : graph.kernels)
      for (std::size_t n = 0; n < kernel.results.size(); n++)
        slot_[kernel.results[n]] = kernel.slots[n];
  }

  void run() {
    for (const Kernel& kernel : graph_.kernels) {
      read_.clear();
      for (const NodeId id : kernel.results) read_inputs(kernel, id);
      for (const NodeId id : kernel.results) {
        const int slot = slot_.at(id);
        if (slot == kNone) continue;
        CHECK_FALSE(read_.contains(slot));
        read_.insert(slot);  // nor may another result of this kernel be made there
        holds_[slot] = id;
      }
    }
    for (const Output& output : graph_.outputs)
      if (is_check(output)) read(output.node);
  }

  std::size_t slots() const { return holds_.size(); }
  int slot(NodeId id) const { return slot_.at(id); }

 private:
  void read(NodeId id) {
    const int slot = slot_.at(id);
    if (slot == kNone) return;
    REQUIRE(holds_.contains(slot));
    CHECK(holds_.at(slot) == id);
    read_.insert(slot);
  }
  void read_inputs(const Kernel& kernel, NodeId id) {
    for (const NodeId input : graph_.node(id).inputs) {
      const bool own = std::ranges::find(kernel.results, input) != kernel.results.end();
      if (slot_.contains(input) && !own)
        read(input);
      else
        read_inputs(kernel, input);
    }
  }

  const Graph& graph_;
  std::map<NodeId, int> slot_;
  std::map<int, NodeId> holds_;
  std::set<int> read_;
};

}  // namespace

TEST_CASE("plan_buffers: what a kernel reads is still there, and it writes over nothing it reads") {
  std::mt19937 random(7);
  std::size_t results = 0, slots = 0;
  for (std::uint32_t n = 0; n < kGraphs; n++) {
    const Graph graph = plan_buffers(random_graph(random), targets()[0]);
    verify(graph, "plan_buffers");
    CAPTURE(print(graph));
    Arena arena(graph);
    arena.run();
    for (const Output& output : graph.outputs)
      CHECK((arena.slot(output.node) == kNone) ==
            std::ranges::any_of(graph.outputs, [&](const Output& other) {
              return other.node == output.node && !is_check(other);
            }));
    for (const Kernel& kernel : graph.kernels) results += kernel.results.size();
    slots += arena.slots();
  }
  CHECK(slots * 2 < results);
}

}  // namespace fovea::passes
