// Rows all of whose scores are -inf: masked they are right as they are; lost in f32 they are
// computed again.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/targets.h"
#include "frontend/alternatives.h"
#include "ir/text.h"
#include "runtime/executor.h"
#include "tests/frontend/trial.h"

namespace fovea::test {
namespace {

// The first output sees what the others do not, so that no tile is left out.
constexpr std::string_view kSums = R"(
out all = sum(j, softmax(j, s) * v)
out gated = sum(j, softmax(j, where(open > 0.0, s, -inf)) * v)
out past = sum(j, softmax(j, where(j <= i + 3 && open > 0.5, s, -inf)) * v)
out far = sum(j, softmax(j, where(any(n, j + 9 * n < i - 10), s, -inf)) * v)
)";

// Outputs that hold -inf, which stands for nothing wrong.
constexpr std::string_view kExcluding = R"(
out all = sum(j, softmax(j, s) * v)
out l = logsumexp(j, where(open > 0.0, s, -inf))
out best = max(j, where(j <= i + 3 && open > 0.5, s, -inf))
out padded = logsumexp(j, where(i < 20 && j < 40, s, -inf))
out shown = where(j <= i && open > 0.5, s, -inf)
)";

constexpr std::string_view kInputs = R"(
axis i, j, d = 16, n = 2
q : f32[i, d]
k : f32[j, d]
v : f32[j, d]
open : f32[i]
s = sum(d, q * k)
)";

constexpr std::int64_t kRows = 50, kColumns = 60, kFeatures = 16;

std::vector<float> filled(std::int64_t count, float value) {
  return std::vector<float>(static_cast<std::size_t>(count), value);
}

// How often a run asks for the exact form of a step where all keys have this value. Every third row
// is open.
int times_asked(std::string_view outputs, float key) {
  const Sizes sizes = {{"i", kRows}, {"j", kColumns}};
  const Graph graph = parse(std::string(kInputs) + std::string(outputs));
  const frontend::Alternatives forms(graph, codegen::host_target(), true, {});
  runtime::Program program =
      forms.fitting({{}, sizes}, frontend::Indices::narrow, [] {}).code->program();
  int asked = 0;
  program.context = &asked;
  program.exact = [](void* context, int) -> const runtime::Call* {
    ++*static_cast<int*>(context);
    return nullptr;
  };
  std::vector<float> q = filled(kRows * kFeatures, -1), k = filled(kColumns * kFeatures, key),
                     v = filled(kColumns * kFeatures, 2), open = filled(kRows, 0);
  for (std::size_t i = 0; i < open.size(); i += 3) open[i] = 1;
  constexpr std::array rows = {kRows, kFeatures}, columns = {kColumns, kFeatures};
  using runtime::Dtype;
  std::vector<runtime::Binding> bindings = {
      {"q", {q.data(), Dtype::F32, rows}},
      {"k", {k.data(), Dtype::F32, columns}},
      {"v", {v.data(), Dtype::F32, columns}},
      {"open", {open.data(), Dtype::F32, std::span(rows).first(1)}},
  };
  const std::map<std::string, std::int64_t> extents = {
      {"i", kRows}, {"j", kColumns}, {"d", kFeatures}};
  std::list<std::vector<std::int64_t>> shapes;
  std::list<std::vector<float>> results;
  for (const ir::Output& output : graph.outputs) {
    std::vector<std::int64_t>& shape = shapes.emplace_back();
    for (const ir::AxisId axis : output.layout) shape.push_back(extents.at(graph.axis(axis).name));
    const std::int64_t count =
        std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
    bindings.push_back(
        {output.name, {results.emplace_back(filled(count, 0)).data(), Dtype::F32, shape}});
  }
  const runtime::Status status = runtime::run(program, bindings, {}, {.threads = 1});
  CHECK_MESSAGE(status.ok(), status.message);
  return asked;
}

// The maximum is subtracted as written, without the guard of a softmax: where it is -inf, they are
// NaN.
constexpr std::string_view kUnguarded[] = {
    "out o = sum(j, exp(s - max(j, s)))",
    "out o = sum(j, exp2(s - max(j, s)))",
    "p = exp(s - max(j, s))\nout o = sum(j, p * v) / sum(j, p)",
    "p = exp(s - max(j, s))\nout a = sum(j, p)\nout o = sum(j, softmax(j, s) * v)",
    "p = where(open, exp(s - max(j, s)), 0.0)\nout o = sum(j, p * v)",
    "p = exp(s - max(j, s))\nout p = p\nout o = sum(j, p)",
    "p = exp(s - max(j, s))\nout o = sum(j, p * p)",
    "p = exp(s - max(j, s))\nout o = sum(i, p)",
    "out o = where(sum(j, exp(s - max(j, s))) > 0.5, 1.0, 2.0)",
};

constexpr std::string_view kMasks[] = {"j <= i - 3", "open", "few", "few && j < i - 2"};

}  // namespace

TEST_CASE("masked rows: a maximum of nothing, subtracted as it is, leaves NaN") {
  for (std::size_t n = 0; n < std::size(kUnguarded); ++n)
    for (std::size_t m = n % 2; m < std::size(kMasks); m += 2) {
      Trial trial{fmt::format("axis i, j, d = 8\nq : f32[i, d]\nk : f32[j, d]\nv : f32[j, d]\n"
                              "open : bool[i, j]\nfew : bool[i]\n"
                              "s = where({}, sum(d, q * k), -inf)\n{}\n",
                              kMasks[m], kUnguarded[n]),
                  {},
                  {{{"i", 5}, {"j", 20}}, {{"i", 70}, {"j", 70}}},
                  {},
                  Layout::Dense,
                  1};
      trial.options.fuse = true;
      const std::string what = verdict(trial);
      CHECK_MESSAGE(what.empty(), trial.text, "\n", what);
    }
}

TEST_CASE("masked rows: what conditions hide is not computed again") {
  for (const std::string_view outputs : {kSums, kExcluding}) {
    CHECK(times_asked(outputs, 0.5F) == 0);
    // Scores below what f32 holds, which some rows see.
    CHECK(times_asked(outputs, 3e38F) > 0);
  }
}

}  // namespace fovea::test
