#include "tests/frontend/coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <span>

#include "ir/region.h"
#include "passes/pipeline.h"
#include "passes/simplify.h"

namespace fovea::test {
namespace {

using ir::Fn;
using ir::kNone;

template <class Visit>
void for_each_rule(const Visit& visit) {
  for (const auto rules :
       {passes::arithmetic_rules(), passes::logic_rules(), passes::structure_rules()})
    for (const passes::Rule& rule : rules) visit(rule);
}

std::string op_name(const ir::Node& node) {
  return ir::match(
      node.op, [](const ir::Input&) { return std::string("input"); },
      [](const ir::Constant&) { return std::string("constant"); },
      [](const ir::Index&) { return std::string("index"); },
      [](const ir::Map& op) { return std::string(ir::name(op.fn)); },
      [&](const ir::Reduce& op) {
        return fmt::format("{} of {}", ir::name(op.fn), ir::name(node.type.dtype));
      },
      [](const ir::Scan&) { return std::string("cumsum"); },
      [](const ir::Read& op) {
        const bool other = std::ranges::any_of(op.at, &ir::Read::Coordinate::otherwise);
        return std::string(other ? "read with else" : "read");
      },
      [](const ir::TopK&) { return std::string("topk"); });
}

// What there is to say of one kernel.
std::set<std::string> traits_of(const Graph& graph, const ir::Kernel& kernel) {
  std::set<std::string> traits;
  if (kernel.row == kNone) {
    traits.insert(kernel.column == kNone ? "off the plane" : "segment");
    return traits;
  }
  traits.insert(kernel.lanes == ir::Lanes::Rows ? "plane, rows in lanes"
                                                : "plane, columns in lanes");
  if (kernel.visible != kNone) traits.insert("plane with a mask");
  if (kernel.solid != kNone) traits.insert("plane with full blocks");
  if (kernel.carries) traits.insert("plane with a recurrent state");
  if (kernel.members > 1) traits.insert("plane of packed heads");
  const ir::Region region = ir::region_of(graph, kernel);
  for (const ir::PlaneReduction& reduction : region.reductions)
    traits.insert(reduction.over_columns ? "plane folded over columns" : "plane folded over rows");
  for (const ir::NodeId result : kernel.results)
    if (ir::is_on_plane(graph, kernel, result)) traits.insert("plane that is stored");
  return traits;
}

constexpr std::string_view kTraits[] = {"off the plane",
                                        "segment",
                                        "plane, rows in lanes",
                                        "plane, columns in lanes",
                                        "plane with a mask",
                                        "plane with full blocks",
                                        "plane with a recurrent state",
                                        "plane of packed heads",
                                        "plane folded over columns",
                                        "plane folded over rows",
                                        "plane that is stored"};

}  // namespace

Coverage::Coverage() {
  for (int fn = 0; fn <= static_cast<int>(Fn::Cast); ++fn)
    counts_[fmt::format("op {}", ir::name(static_cast<Fn>(fn)))];
  for_each_rule([&](const passes::Rule& rule) { counts_["rule " + std::string(rule.name)]; });
  for (const passes::Pass& pass : passes::pipeline()) counts_["pass " + std::string(pass.name)];
  for (const std::string_view trait : kTraits) counts_["kernel " + std::string(trait)];
}

void Coverage::add_program(const Graph& graph) {
  std::set<std::string> ops;
  for (const ir::Node& node : graph.nodes) ops.insert("op " + op_name(node));
  std::ranges::for_each(ops, [&](const std::string& op) { count(op); });
  // One rule after the other, on what those before it have left.
  Graph current = graph;
  std::set<std::string> applied;
  for (int round = 0; round < 2; ++round)
    for_each_rule([&](const passes::Rule& rule) {
      Graph next = passes::simplify_with(current, rule);
      if (next == current) return;
      applied.insert("rule " + std::string(rule.name));
      current = std::move(next);
    });
  std::ranges::for_each(applied, [&](const std::string& rule) { count(rule); });
}

void Coverage::add_kernels(const Graph& graph, const std::string& specialization) {
  std::set<std::string> traits;
  for (const ir::Kernel& kernel : graph.kernels) traits.merge(traits_of(graph, kernel));
  for (const std::string& trait : traits) {
    count("kernel " + trait);
    count(fmt::format("kernel for {}: {}", specialization, trait));
  }
}

std::string Coverage::table() const {
  std::string reached, never;
  for (const auto& [what, times] : counts_) {
    if (times > 0) reached += fmt::format("{:7}  {}\n", times, what);
    if (times == 0) never += fmt::format("  never  {}\n", what);
  }
  return reached + never;
}

}  // namespace fovea::test
