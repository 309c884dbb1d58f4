// Offsets, neighbours and tables of any number at all: what the interpreter computes or refuses,
// the kernel computes or refuses, and never a read beyond an input (run() fences them).
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/targets.h"
#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr std::int64_t kRows = 6, kColumns = 9, kEdges = 14;

constexpr auto kGraphs = std::array<std::string_view, 7>{
    // Attention over neighbours: offsets and neighbours.
    R"(
axis i, j, e, r = i + 1, n < degree, h = 4, d = 8
start : i32[r]
neighbour : i32[e]
q : f32[i, h, d]
k : f32[j, h, d]
degree = start[r = i + 1] - start[r = i]
nb = neighbour[e = start[r = i] + n]
out o[i, h, d] = sum(n, softmax(n, sum(d, q * k[j = nb])) * k[j = nb])
)",
    // Neighbours off the walk, and what stands for those outside.
    R"(
axis i, j, e, r = i + 1, n < degree
start : i32[r]
neighbour : i32[e]
x : f32[j]
degree = start[r = i + 1] - start[r = i]
nb = neighbour[e = start[r = i] + n else -1]
out o = sum(n, x[j = nb else 0.5])
out most = max(n, nb)
)",
    // Degrees as they are given, in bytes.
    R"(
axis i, j, n < degree
degree : i8[i]
x : f32[j]
out o = sum(n, x[j = n + i else 0.25]) + f32(max(n, n * 2))
)",
    // Keys in pages.
    R"(
axis i, j, page, slot = 4, table = 3, d = 8
q : f32[i, d]
k : f32[page, slot, d]
pages : i32[table]
length : i32[]
kj = k[page = pages[table = j / 4 else 0], slot = j % 4]
s = where(j < length, sum(d, q * kj), -inf)
out o = sum(j, softmax(j, s) * kj)
)",
    // Pages gathered on a plane, with a table for each row.
    R"(
axis i, j, r, d = 8
q : f32[i, d]
k : f32[j, d]
table : i32[i]
bias : f32[r]
s = sum(d, q * k) + bias[r = table - j]
out o = sum(j, softmax(j, s) * k)
)",
    // A window that the data decide, on extreme numbers too.
    R"(
axis i, j, d = 8
q : f32[i, d]
k : f32[j, d]
from : i32[i]
until : i32[i]
document : i32[j]
s = where(from <= j && j < until && document >= from - until, sum(d, q * k), -inf)
out o = sum(j, softmax(j, s) * k)
)",
    // Two coordinates at once, one of them divided.
    R"(
axis i, j, r, c
x : f32[r, c]
at : i32[i]
by : i32[j]
out o = x[r = at / by, c = at % by]
out safe = x[r = at * by else 1.5, c = at - by else 2.5]
)",
};

// What lists of neighbours should be; then a few numbers that nobody should give. Interpreting
// degrees beyond 2^17 would take all memory.
ir::Arrays inputs_of(const Graph& graph, const Sizes& sizes, std::mt19937& random) {
  constexpr auto kBad = std::array<double, 15>{
      -2147483648.0, -2147483647.0, -1073741824.0, -129, -8, -1, 0, 1, 5, 6, 8, 9, 14,
      1073741824.0,  2147483647.0};
  ir::Arrays inputs = random_inputs(graph, sizes, random(), 4);
  std::vector<ir::Array*> integers;
  for (auto& [name, array] : inputs) {
    if (name == "start")
      for (std::size_t n = 0; n < array.data.size(); ++n)
        array.data[n] = static_cast<double>(2 * n);
    if (!ir::is_float(array.dtype)) integers.push_back(&array);
  }
  for (auto count = random() % 4; count > 0; --count) {
    ir::Array& array = *integers[random() % integers.size()];
    if (array.data.empty()) continue;
    const double bad = ir::round_to(array.dtype, kBad[random() % kBad.size()]);
    const auto start = inputs.find("start");
    const bool degree = start != inputs.end() && &array == &start->second;
    array.data[random() % array.data.size()] = degree ? std::clamp(bad, -1e5, 1e5) : bad;
  }
  return inputs;
}

// The results, or the error: of several the first to be found is told.
struct Outcome {
  ir::Arrays results;
  std::string error;
};
Outcome outcome_of(auto&& action) {
  Outcome outcome;
  outcome.error = error_of([&] { outcome.results = action(); });
  return outcome;
}

}  // namespace

TEST_CASE("bad numbers: refused or computed as they are interpreted, never read beyond") {
  for (const std::string_view text : kGraphs) {
    INFO(text);
    const Graph graph = parse(text);
    std::mt19937 random(1);
    int refused = 0, computed = 0;
    for (const ir::Target& target : codegen::runnable_targets()) {
      const Kernel kernel = compile(graph, {.target = std::string(target.name), .threads = 1});
      for (int round = 0; round < 60; ++round) {
        Sizes sizes = all_sizes(graph, kColumns);
        if (sizes.contains("i")) sizes["i"] = round % 3 == 0 ? 1 : kRows;
        if (sizes.contains("e")) sizes["e"] = kEdges;
        const ir::Arrays inputs = inputs_of(graph, sizes, random);
        const Outcome expected = outcome_of([&] { return ir::interpret(graph, inputs, sizes); });
        const Outcome found = outcome_of([&] { return run(kernel, graph, inputs, sizes); });
        INFO(target.name << ", round " << round << ": " << found.error
                         << "; interpreted: " << expected.error);
        CHECK(found.error.empty() == expected.error.empty());
        CHECK(!found.error.starts_with("internal"));
        ++(expected.error.empty() ? computed : refused);
        if (!expected.error.empty() || !found.error.empty()) continue;
        const auto differs = difference(found.results, expected.results);
        CHECK_MESSAGE(!differs, differs.value_or(""));
      }
    }
    CHECK(computed > 0);
    CHECK((refused > 0) == (text.find("until") == std::string_view::npos));
  }
}

}  // namespace fovea::test
