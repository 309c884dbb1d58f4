// Which form of a graph a run takes, by its extents, and that all of them mean the same.
#include "frontend/alternatives.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "codegen/targets.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

// A step between tags of a sequence: few of them make planes that are stored for less than they are
// walked in tiles.
constexpr std::string_view kTags = R"(
axis b, y, z = y
trans : f32[z, y]
score : f32[b]
out next = max(z, score + trans)[y = z] + trans
)";

constexpr std::string_view kAttention = R"(
axis b, h, i, j, d = 64, e = 64
q : f32[b, h, i, d]
k : f32[b, h, j, d]
v : f32[b, h, j, e]
out o = sum(j, softmax(j, sum(d, q * k)) * v)
)";

std::string why(std::string_view text, const Sizes& sizes) {
  const frontend::Alternatives forms(parse(text), codegen::host_target(), {}, {});
  return forms.why_fused({{}, sizes});
}

}  // namespace

TEST_CASE("alternatives: attention is fused for any extents") {
  for (const std::int64_t rows : {1, 2, 8, 32, 100, 300})
    for (const std::int64_t columns : {1, 8, 32, 100, 300}) {
      const std::string told = why(kAttention, {{"b", 1}, {"h", 1}, {"i", rows}, {"j", columns}});
      CHECK_MESSAGE(told.starts_with("fused"), told);
    }
  // Where storing the plane is out of the question, nothing is weighed.
  CHECK(why(kAttention, {{"b", 1}, {"h", 1}, {"i", 4000}, {"j", 4000}}).empty());
  CHECK(why(kAttention, {}).empty());
}

TEST_CASE("alternatives: few rows that leave tiles empty are not fused") {
  constexpr std::string_view kPaths = R"(
axis i, m = i
d : i32[i]
out far = d + min(m, d + d[i = m])[i = m]
)";
  CHECK(why(kPaths, {{"i", 8}}).starts_with("unfused"));
  CHECK(why(kPaths, {{"i", 100}}).starts_with("fused"));
  CHECK(why(kPaths, {{"i", 500}}).starts_with("fused"));
}

TEST_CASE("alternatives: tiles of a batch that has few columns are not worth their calls") {
  constexpr std::string_view kRing = R"(
axis b, h = 4, g = 2, s, d = 16, e = 16
q : f32[b, h, d]
k : f32[b, g, s, d]
v : f32[b, g, s, e]
position : i32[b]
held = position - (position - s) % size(s)
out o = sum(s, softmax(s, where(held >= 0, sum(d, q * k[g = h / 2]), -inf)) * v[g = h / 2])
)";
  CHECK(why(kRing, {{"b", 2}, {"s", 8}}).starts_with("unfused"));
  CHECK(why(kRing, {{"b", 2}, {"s", 1000}}).starts_with("fused"));
}

TEST_CASE("alternatives: an order that stores planes saves a tenth of all operations") {
  constexpr std::string_view kLow = R"(
axis i, j, d = 64, m = 256
q : f32[i, d]
w : f32[m, d]
v : f32[j, d]
out o = sum(m, exp(sum(d, q * w)) * sum(j, exp(sum(d, v * w)) * v))
)";
  const frontend::Alternatives forms(parse(kLow), codegen::host_target(), true, {});
  const auto order = [&](std::int64_t rows) {
    const Sizes sizes = {{"i", rows}, {"j", rows}};
    return forms.why_order({{}, sizes});
  };
  CHECK(order(8).starts_with("contracted in the order for short axes"));
  CHECK(order(100).starts_with("contracted in the order for long axes"));
}

TEST_CASE("alternatives: the extent of a batch chooses nothing") {
  const auto at = [](std::int64_t batch) {
    return why(kAttention, {{"b", batch}, {"h", batch}, {"i", 8}, {"j", 8}});
  };
  CHECK(at(1) == at(1000));
}

TEST_CASE("alternatives: an axis that the text counts is no batch") {
  // A plane is walked for each of nine distances.
  constexpr std::string_view kByDistance = R"(
axis b, i, j, r = 9, d = 4
q : f32[b, i, d]
k : f32[b, j, d]
near : f32[r]
at = min(max(j - i, -4), 4) + 4
p = softmax(j, sum(d, q * k) + near[r = at])
out dnear = sum((b, i, j), where(at == r, p, 0.0))
)";
  CHECK(why(kByDistance, {{"b", 2}, {"i", 8}, {"j", 8}}).starts_with("unfused"));
  CHECK(why(kByDistance, {{"b", 2}, {"i", 100}, {"j", 100}}).starts_with("fused"));
}

TEST_CASE("alternatives: what is asked for holds for all extents") {
  const Graph graph = parse(kTags);
  for (const bool fuse : {true, false}) {
    const Kernel kernel = compile(graph, {.fuse = fuse});
    for (const std::int64_t tags : {3, 40}) {
      const Report report = kernel.explain({{"b", 2}, {"y", tags}});
      CHECK(report.fusion.empty());
      bool is_on_plane = false;
      for (const KernelReport& each : report.kernels) is_on_plane |= each.row_tile > 0;
      CHECK(is_on_plane == fuse);
    }
  }
}

TEST_CASE("alternatives: both forms give the same, in any order of runs") {
  const Graph graph = parse(kTags);
  const Kernel kernel = compile(graph);
  bool is_once_fused = false, is_once_unfused = false;
  for (const std::int64_t tags : {2, 300, 5, 90, 2, 300}) {
    const Sizes sizes = {{"b", 2}, {"y", tags}};
    const ir::Arrays inputs = random_inputs(graph, sizes, 7);
    const auto differs =
        difference(run(kernel, graph, inputs, sizes), ir::interpret(graph, inputs, sizes));
    CHECK_MESSAGE(!differs, differs.value_or(""));
    const std::string told = kernel.explain(sizes).fusion;
    is_once_fused |= told.starts_with("fused");
    is_once_unfused |= told.starts_with("unfused");
  }
  CHECK(is_once_fused);
  CHECK(is_once_unfused);
}

}  // namespace fovea::test
