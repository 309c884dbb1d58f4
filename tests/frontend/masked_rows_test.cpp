// Rows all of whose scores are -inf: masked they are right as they are; lost in f32 they are
// computed again.
#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "codegen/targets.h"
#include "frontend/alternatives.h"
#include "ir/text.h"
#include "runtime/executor.h"

namespace fovea::test {
namespace {

// The first output sees what the others do not, so that no tile is left out.
constexpr std::string_view kText = R"(
axis i, j, d = 16, n = 2
q : f32[i, d]
k : f32[j, d]
v : f32[j, d]
open : f32[i]
s = sum(d, q * k)
out all = sum(j, softmax(j, s) * v)
out gated = sum(j, softmax(j, where(open > 0.0, s, -inf)) * v)
out past = sum(j, softmax(j, where(j <= i + 3 && open > 0.5, s, -inf)) * v)
out far = sum(j, softmax(j, where(any(n, j + 9 * n < i - 10), s, -inf)) * v)
)";

constexpr std::int64_t kRows = 50, kColumns = 60, kFeatures = 16;

std::vector<float> filled(std::int64_t count, float value) {
  return std::vector<float>(static_cast<std::size_t>(count), value);
}

// How often a run asks for the exact form of a step where all keys have this value. Every third row
// is open.
int times_asked(float key) {
  const Sizes sizes = {{"i", kRows}, {"j", kColumns}};
  const frontend::Alternatives forms(parse(kText), codegen::host_target(), true, {});
  runtime::Program program =
      forms.fitting({{}, sizes}, frontend::Indices::narrow, [] {}).code->program();
  int asked = 0;
  program.context = &asked;
  program.exact = [](void* context, int) -> const runtime::Call* {
    ++*static_cast<int*>(context);
    return nullptr;
  };
  std::vector<float> q = filled(kRows * kFeatures, -1), k = filled(kColumns * kFeatures, key),
                     v = filled(kColumns * kFeatures, 2), open = filled(kRows, 0),
                     out = filled(4 * kRows * kFeatures, 0);
  for (std::size_t i = 0; i < open.size(); i += 3) open[i] = 1;
  constexpr std::array rows = {kRows, kFeatures}, columns = {kColumns, kFeatures};
  using runtime::Type;
  const auto output = [&](std::int64_t n) { return out.data() + n * kRows * kFeatures; };
  const runtime::Binding bindings[] = {
      {"q", {q.data(), Type::f32, rows}},
      {"k", {k.data(), Type::f32, columns}},
      {"v", {v.data(), Type::f32, columns}},
      {"open", {open.data(), Type::f32, std::span(rows).first(1)}},
      {"all", {output(0), Type::f32, rows}},
      {"gated", {output(1), Type::f32, rows}},
      {"past", {output(2), Type::f32, rows}},
      {"far", {output(3), Type::f32, rows}},
  };
  const runtime::Status status = runtime::run(program, bindings, {}, {.threads = 1});
  CHECK_MESSAGE(status.ok(), status.message);
  return asked;
}

}  // namespace

TEST_CASE("masked rows: what conditions hide is not computed again") {
  CHECK(times_asked(0.5F) == 0);
  // Scores below what f32 holds, which some rows see.
  CHECK(times_asked(3e38F) > 0);
}

}  // namespace fovea::test
