// Random programs through every pass: the graph that each leaves means the same. Takes no compiler
// and little time, so that many more programs are tried than are compiled (fuzz_test.cpp).
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "ir/text.h"
#include "passes/run.h"
#include "passes/tile.h"
#include "tests/frontend/coverage.h"
#include "tests/frontend/random_program.h"
#include "tests/frontend/trial.h"

namespace fovea::test {
namespace {

int number_from(const char* variable, int otherwise) {
  const char* value = std::getenv(variable);
  return value == nullptr ? otherwise : std::atoi(value);
}

// Small extents: what passes do to a program shows in few rows, but not in one.
Trial trial_of(std::uint32_t seed) {
  RandomText made = RandomProgram(seed)();
  for (Sizes& sizes : made.sizes)
    for (auto& [name, size] : sizes) size = size < 10 ? size : 4 + size % 6;
  Trial trial{made.text, made.rules, made.sizes, {}, Layout::Dense, seed};
  trial.compiles = false;
  return trial;
}

std::string report(const Trial& trial, const std::string& what, std::uint32_t seed) {
  const Trial small = shrink(trial, what, number_from("FOVEA_FUZZ_SHRINK", 60));
  return fmt::format("FOVEA_FUZZ_SEED={}\n{}\n{}", seed, verdict(small), print(small));
}

void count(Coverage& coverage, const Graph& graph, const ir::Target& target) {
  coverage.add_program(graph);
  const auto pass = [&](const passes::PassReport& report) {
    if (report.changed) coverage.add_pass(std::string(report.pass.name));
  };
  const Graph compiled = passes::run_pipeline(graph, target, {.report = pass});
  coverage.add_kernels(compiled, "many rows");
  coverage.add_kernels(passes::tile_few_rows(compiled, target), "few rows");
}

}  // namespace

TEST_CASE("fuzz: random programs through every pass") {
  using Clock = std::chrono::steady_clock;
  const auto first = static_cast<std::uint32_t>(number_from("FOVEA_FUZZ_SEED", 1));
  const auto until = Clock::now() + std::chrono::seconds(number_from("FOVEA_FUZZ_SECONDS", 25));
  Coverage coverage;
  std::uint32_t seed = first;
  for (; seed == first || Clock::now() < until; ++seed) {
    const Trial trial = trial_of(seed);
    const std::string what = verdict(trial);
    CHECK_MESSAGE(what.empty(), report(trial, what, seed));
    if (what.empty()) count(coverage, parse(trial.text), ir::targets()[0]);
  }
  MESSAGE("seeds ", first, " to ", seed - 1, "\n", coverage.table());
}

}  // namespace fovea::test
