// Random graphs through every pass: they must mean the same, and settle.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "ir/build.h"
#include "ir/text.h"
#include "passes/defer_normalization.h"
#include "passes/pipeline.h"
#include "passes/reassociate.h"
#include "passes/simplify.h"
#include "tests/passes/same_meaning.h"

namespace fovea::passes {
namespace {

using ir::Fn;
using ir::NodeId;

constexpr std::uint32_t kGraphs = 1500;
constexpr int kSteps = 14;

// Grows a pool of values whose magnitudes stay small enough to compare.
class RandomGraph {
 public:
  explicit RandomGraph(std::uint32_t seed) : random_(seed) {
    i_ = b_.axis("i"), j_ = b_.axis("j"), d_ = b_.axis("d", {{ir::ExtentTerm::Kind::Number, 3}});
    floats_ = {input("q", {i_, d_}), input("k", {j_, d_}), input("v", {j_, d_}), input("g", {i_}),
               b_.constant(2),       b_.constant(1),       b_.constant(0)};
    integers_ = {b_.index(i_), b_.index(j_), b_.constant(1, ir::Dtype::I32),
                 b_.constant(2, ir::Dtype::I32)};
    truths_ = {b_.map(Fn::Le, {b_.index(j_), b_.index(i_)}), b_.constant(1, ir::Dtype::Bool)};
  }

  ir::Graph operator()() {
    for (int n = 0; n < kSteps; ++n) step();
    return b_.finish({{"o", floats_.back(), {}}, {"x", pick(floats_), {}}});
  }

 private:
  NodeId input(std::string_view name, std::vector<ir::AxisId> axes) {
    return b_.input(name, ir::Dtype::F32, std::move(axes));
  }
  std::size_t below(std::size_t n) { return random_() % n; }
  // Rather what came last, so that graphs grow deep.
  NodeId pick(const std::vector<NodeId>& pool) {
    const std::size_t recent = std::min<std::size_t>(pool.size(), below(2) == 0 ? 4 : pool.size());
    return pool[pool.size() - 1 - below(recent)];
  }
  ir::AxisId axis() { return below(3) == 0 ? i_ : below(2) == 0 ? j_ : d_; }
  NodeId tame(NodeId x) { return b_.map(Fn::Tanh, {x}); }

  void step() {
    const NodeId x = pick(floats_), y = pick(floats_), c = pick(truths_);
    switch (below(14)) {
      case 0: return floats_.push_back(b_.map(below(2) == 0 ? Fn::Add : Fn::Sub, {x, y}));
      case 1:
      case 2: return floats_.push_back(b_.map(Fn::Mul, {tame(x), y}));
      case 3: return floats_.push_back(b_.map(Fn::Neg, {x}));
      case 4: return floats_.push_back(b_.map(Fn::Where, {c, x, y}));
      case 5: return floats_.push_back(b_.map(Fn::Where, {c, x, b_.constant(0)}));
      case 6: return floats_.push_back(b_.map(below(2) == 0 ? Fn::Min : Fn::Max, {x, y}));
      case 7:
      case 8: return sum_of_product(x, y);
      case 9: return normalized(x, y);
      case 10: return attention(x, c, y);
      case 11: return logic(c);
      case 12: return integer();
      default: return read(x);
    }
  }

  void sum_of_product(NodeId x, NodeId y) {
    const ir::AxisId along[] = {axis()};
    floats_.push_back(b_.sum(along, b_.map(Fn::Mul, {x, tame(y)})));
  }
  void normalized(NodeId x, NodeId y) {
    const ir::AxisId along[] = {axis()};
    const NodeId l = b_.map(Fn::Add, {b_.sum(along, b_.map(Fn::Abs, {x})), b_.constant(1)});
    floats_.push_back(b_.sum(along, b_.map(Fn::Mul, {b_.map(Fn::Div, {x, l}), tame(y)})));
  }
  void attention(NodeId x, NodeId c, NodeId y) {
    const ir::AxisId along[] = {axis()};
    const NodeId excluded = b_.constant(-std::numeric_limits<double>::infinity());
    const NodeId p = b_.softmax(along, b_.map(Fn::Where, {c, tame(x), excluded}));
    floats_.push_back(p);
    floats_.push_back(b_.sum(along, b_.map(Fn::Mul, {p, y})));
  }
  void logic(NodeId c) {
    const NodeId compared = b_.map(Fn::Lt, {pick(integers_), pick(integers_)});
    truths_.push_back(b_.map(Fn::Not, {compared}));
    truths_.push_back(b_.map(below(2) == 0 ? Fn::And : Fn::Or, {c, truths_.back()}));
  }
  void integer() {
    constexpr Fn kFns[] = {Fn::Add, Fn::Sub, Fn::Mul, Fn::Div, Fn::Mod};
    const Fn fn = kFns[below(5)];
    const bool divides = fn == Fn::Div || fn == Fn::Mod;
    const NodeId constant = b_.constant(static_cast<double>(1 + below(3)), ir::Dtype::I32);
    integers_.push_back(b_.map(fn, {pick(integers_), divides ? constant : pick(integers_)}));
  }
  void read(NodeId x) { floats_.push_back(b_.read(x, {{axis(), pick(integers_)}})); }

  std::mt19937 random_;
  ir::Builder b_;
  ir::AxisId i_, j_, d_;
  std::vector<NodeId> floats_, integers_, truths_;
};

// Whether the pass has changed anything.
bool check(const ir::Graph& before, const Pass& pass) {
  INFO(pass.name);
  const ir::Graph after = pass.run(before, ir::targets()[0]);
  INFO(ir::print(after));
  const auto differs = difference(before, after);
  CHECK_MESSAGE(!differs, differs.value_or(""));
  CHECK(pass.run(after, ir::targets()[0]) == after);
  return after != before;
}

}  // namespace

TEST_CASE("passes: random graphs keep their meaning and settle") {
  constexpr Pass kPasses[] = {{"simplify", simplify, ""},
                              {"reassociate", reassociate, ""},
                              {"defer_normalization", defer_normalization, ""}};
  std::map<std::string_view, int> changed;
  const auto [first, count] = seeds(0, kGraphs);
  for (std::uint32_t seed = first; seed < first + count; ++seed) {
    const ir::Graph graph = RandomGraph(seed)();
    INFO(seed);
    INFO(ir::print(graph));
    for (const Pass& pass : kPasses) changed[pass.name] += check(graph, pass) ? 1 : 0;
    const auto differs = differing_stage(graph, random_examples(graph));
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
  for (const Pass& pass : kPasses) {
    INFO(pass.name);
    CHECK(changed[pass.name] > static_cast<int>(count) / 20);
  }
}

}  // namespace fovea::passes
