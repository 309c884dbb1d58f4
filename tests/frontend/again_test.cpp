// Runs that follow one of the same sizes find their memory in place.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <string_view>
#include <vector>

#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

// Of pages that the calling thread touches for the first time.
long page_faults() {
  rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt;
}

// Of four runs after the first.
long page_faults_again(std::string_view text, const Sizes& sizes, const Options& options,
                       const std::vector<std::int64_t>& output) {
  const Graph graph = parse(text);
  const Kernel kernel = compile(graph, options);
  std::vector<NamedView> inputs;
  std::vector<Guarded> memory;
  const ir::Arrays arrays = random_inputs(graph, sizes, 1);
  memory.reserve(arrays.size());
  for (const auto& [name, array] : arrays)
    inputs.push_back({name, memory.emplace_back(array).view()});
  Guarded result(Dtype::F32, output);
  const std::vector<NamedView> outputs{{graph.outputs[0].name, result.view()}};
  kernel.run(inputs, outputs, sizes);
  const long before = page_faults();
  for (int n = 0; n < 4; ++n) kernel.run(inputs, outputs, sizes);
  return page_faults() - before;
}

constexpr std::string_view kGrouped = R"(
axis h, g, i, j, d = 64, e = 64
q : f32[h, i, d]
k : f32[g, j, d]
v : f32[g, j, e]
out o = sum(j, softmax(j, sum(d, q * k[g = h / 4]) * 0.125) * v[g = h / 4])
)";

// Stores more between its loops than all else that it needs.
constexpr std::string_view kScans = R"(
axis i, j
x : f32[i, j]
out o = cumsum(i, exp(x - max(j, x))) + cumsum(j, x)
)";

}  // namespace

TEST_CASE("again: memory between kernels, of tiles and within kernels is kept") {
  const Sizes query{{"h", 32}, {"g", 8}, {"i", 1}, {"j", 2000}};
  const Sizes rows{{"h", 32}, {"g", 8}, {"i", 150}, {"j", 300}};
  const auto grouped = [&](const Sizes& sizes, bool fuse) {
    return page_faults_again(kGrouped, sizes, {.threads = 1, .fuse = fuse},
                             {32, sizes.at("i"), 64});
  };
  for (const bool fuse : {true, false}) {
    CAPTURE(fuse);
    CHECK(grouped(query, fuse) < 64);
    CHECK(grouped(rows, fuse) < 64);
  }
  CHECK(page_faults_again(kScans, {{"i", 3}, {"j", 1000000}}, {.threads = 1}, {3, 1000000}) < 64);
}

}  // namespace fovea::test
