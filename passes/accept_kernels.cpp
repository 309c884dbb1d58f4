#include "passes/accept_kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ir/checks.h"
#include "ir/require.h"
#include "ir/rewrite.h"
#include "ir/text.h"
#include "passes/block_mask.h"
#include "passes/carry.h"
#include "passes/fuse.h"
#include "passes/run.h"
#include "passes/tile.h"

namespace fovea::passes {
namespace {

using namespace ir;

// The graph with kernels that say nothing but what they store and over which axes.
Graph partition_of(const Graph& graph) {
  std::vector<Kernel> kernels;
  for (const Kernel& full : graph.kernels) {
    Kernel& kernel = kernels.emplace_back();
    kernel.name = full.name;
    kernel.results = full.results;
    kernel.row = full.row;
    kernel.column = full.column;
  }
  return with_kernels(graph, std::move(kernels));
}

// "kernel k(o, l) over i, j": a graph's kernels as its text says them.
std::vector<std::string> statements(const Graph& graph) {
  constexpr std::string_view kStart = "\nkernel ";
  const std::string text = print(graph);
  std::vector<std::string> result;
  for (std::size_t at = text.find(kStart); at != std::string::npos; at = text.find(kStart, at + 1))
    result.push_back(text.substr(at + 1, text.find('\n', at + 1) - at - 1));
  return result;
}

bool is_same(const Kernel& one, const Kernel& other) {
  return one.row == other.row && one.column == other.column &&
         std::set(one.results.begin(), one.results.end()) ==
             std::set(other.results.begin(), other.results.end()) &&
         one.results.size() == other.results.size();
}

// The kernels that a pass makes, as the given ones say; nothing where those are others. Whoever
// gives kernels does not know of what `check_reads` adds. What only masks need comes last in a
// graph: all else has the same numbers without kernels.
std::optional<std::vector<Kernel>> as_given(const Graph& graph, std::vector<Kernel> made) {
  const bool checked = std::ranges::any_of(graph.outputs, is_check);
  std::size_t found = 0;
  for (Kernel& kernel : made) {
    const auto given = std::ranges::find_if(
        graph.kernels, [&](const Kernel& one) { return is_same(one, kernel); });
    if (given == graph.kernels.end() && checked) continue;
    if (given == graph.kernels.end()) return std::nullopt;
    const std::vector<NodeId> results = std::move(kernel.results);
    kernel = *given;
    kernel.results = results;
    kernel.slots.clear();
    found++;
  }
  return found == graph.kernels.size() ? std::optional(std::move(made)) : std::nullopt;
}

[[noreturn]] void fail_partition(const Graph& graph, const Graph& fused, const Graph& unfused) {
  const std::vector<std::string> expected = statements(partition_of(fused)),
                                 given = statements(partition_of(graph));
  const auto odd = std::ranges::find_if(given, [&](const std::string& one) {
    return std::ranges::find(expected, one) == expected.end();
  });
  fail(Code::unsupported,
       "found '{}': expected the kernels that fusing makes of the graph, '{}', or those without a "
       "plane, '{}'",
       odd == given.end() ? given.front() : *odd, fmt::join(expected, "; "),
       fmt::join(statements(partition_of(unfused)), "; "));
}

Graph with_known_partition(const Graph& graph, const Target& target) {
  const Graph free = with_kernels(graph, {});
  const Graph fused = fuse(free, target), unfused = partition_unfused(free, target);
  for (const Graph* made : {&fused, &unfused})
    if (auto kernels = as_given(graph, made->kernels))
      return with_kernels(graph, std::move(*kernels));
  fail_partition(graph, fused, unfused);
}

// What the passes after `fuse` find for these kernels, in the same order.
Graph completed(const Graph& graph, const Target& target) {
  return tile(carry(block_mask(partition_of(graph), target), target), target);
}

// Kernels that say nothing but the masks of the nth, and of these only what `given` says.
Graph masks_of(const Graph& graph, const Kernel& given, std::size_t nth) {
  std::vector<Kernel> kernels = graph.kernels;
  for (std::size_t n = 0; n < kernels.size(); n++) {
    Kernel plain;
    plain.results = kernels[n].results;
    if (n == nth && given.visible != kNone) plain.visible = kernels[n].visible;
    if (n == nth && given.solid != kNone) plain.solid = kernels[n].solid;
    kernels[n] = std::move(plain);
  }
  return with_kernels(graph, std::move(kernels));
}

void check_found(const Graph& graph, const Graph& found, std::size_t n) {
  const Kernel &given = graph.kernels[n], &kernel = found.kernels[n];
  require(
      !given.carries || kernel.carries, Code::invalid_config,
      "kernel '{}' says carry=solid: expected sums of products under a mask that opens along the "
      "rows",
      given.name);
  require(masks_of(graph, given, n) == masks_of(found, given, n), Code::invalid_config,
          "kernel '{}' says visible= or solid= of its own: expected what is found from its "
          "expressions, '{}', or neither",
          given.name, statements(found)[n]);
}

void check_shared(const Graph& graph, const Kernel& given, const Kernel& expected) {
  if (given.shared == kNone && given.members == 0) return;
  const bool columns = given.lanes == Lanes::Columns && expected.lanes == Lanes::Columns;
  const std::string all = expected.shared == kNone
                              ? "no axis to share for this kernel"
                              : fmt::format("lanes=columns share={} members={}",
                                            graph.axis(expected.shared).name, expected.members);
  require(columns && given.shared == expected.shared && given.members == expected.members,
          Code::invalid_config, "kernel '{}' says share={} members={}: expected {}", given.name,
          given.shared == kNone ? "" : graph.axis(given.shared).name, given.members, all);
}

// The tiles that micro-kernels are made for: multiples of what lies in registers on every target.
bool has_row_tiles(const Kernel& kernel, bool carries) {
  const auto is_side = [&](int n) { return n == 48 || (n == 96 && !carries); };
  return is_side(kernel.row_tile) && is_side(kernel.column_block) && kernel.chunk >= 1 &&
         kernel.chunk <= 10;
}

bool has_column_tiles(const Kernel& kernel, bool carries) {
  return !carries && (kernel.row_tile == 1 || kernel.row_tile == 4) &&
         std::ranges::count(std::array{64, 128, 256, 512, 1024}, kernel.column_block) == 1 &&
         kernel.chunk >= 1 && kernel.chunk <= 1024 / kernel.column_block;
}

void check_tiles(const Kernel& given, bool carries, const Kernel& few) {
  const bool columns = given.lanes == Lanes::Columns;
  if (given.row_tile == 0 && given.column_block == 0 && given.chunk == 0 && !columns) return;
  require(given.row != kNone, Code::invalid_config,
          "kernel '{}' says rows=, columns=, chunk= or lanes=: expected a pair plane to be tiled",
          given.name);
  require(!columns || few.lanes == Lanes::Columns, Code::invalid_config,
          "kernel '{}' says lanes=columns: expected lanes=rows, as it folds over rows or has many",
          given.name);
  require(columns ? has_column_tiles(given, carries) : has_row_tiles(given, carries),
          Code::invalid_config,
          "kernel '{}' says rows={} columns={} chunk={} lanes={}: expected {}, or none of them",
          given.name, given.row_tile, given.column_block, given.chunk, columns ? "columns" : "rows",
          carries   ? "rows=48 columns=48 and chunk=1 to 10 with lanes=rows, as it carries sums"
          : columns ? "rows=1 or 4, columns= a power of two from 64 to 1024, and chunk= so many "
                      "that they have at most 1024 columns"
                    : "rows=48 or 96, columns=48 or 96 and chunk=1 to 10");
}

}  // namespace

Graph accept_kernels(const Graph& graph, const Target& target) {
  if (graph.kernels.empty()) return graph;
  Graph given = with_known_partition(graph, target);
  const Graph found = completed(given, target);
  const Graph few = tile_few_rows(found, target);
  for (std::size_t n = 0; n < given.kernels.size(); n++) {
    check_shared(given, given.kernels[n], few.kernels[n]);
    check_found(given, found, n);
    check_tiles(given.kernels[n], found.kernels[n].carries, few.kernels[n]);
  }
  return given;
}

Graph accept_given_kernels(const Graph& graph, const Target& target) {
  if (graph.kernels.empty()) return graph;
  const std::span<const Pass> all = pipeline();
  const auto first = std::ranges::find(all, Run{accept_given_kernels}, &Pass::run) + 1;
  const auto last = std::ranges::find(all, Run{fuse}, &Pass::run);
  return accept_kernels(run_passes(std::span(first, last), graph, target, {}), target);
}

}  // namespace fovea::passes
