// Random programs, compiled and interpreted, for FOVEA_FUZZ_SECONDS (25) from FOVEA_FUZZ_SEED on:
// of the whole language, and attention by templates. Each runs in a child process, so that a crash
// is a finding too. A failure is made smaller for FOVEA_FUZZ_SHRINK seconds (60) and printed as a
// file of tests/corpus, with its seed and what differs.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "codegen/targets.h"
#include "ir/query.h"
#include "ir/text.h"
#include "tests/frontend/programs.h"
#include "tests/frontend/random_attention.h"
#include "tests/frontend/random_program.h"
#include "tests/frontend/trial.h"

namespace fovea::test {
namespace {

constexpr std::uint32_t kMostValues = 5;  // as much as some hundred programs a minute allow

int number_from(const char* variable, int otherwise) {
  const char* value = std::getenv(variable);
  return value == nullptr ? otherwise : std::atoi(value);
}

// The rules of what templates of attention read.
RandomText attention_of(std::uint32_t seed) {
  RandomText made{RandomAttention(seed)().text(), {}, {}};
  const Graph graph = parse(made.text);
  for (const ir::Node& node : graph.nodes) {
    const auto* input = ir::input_of(node);
    if (input == nullptr) continue;
    InputRule& rule = made.rules[input->name];
    if (input->name.starts_with("document")) rule = parse_rule("ascending");
    if (input->name.starts_with("length")) rule = parse_rule("from -20 to 120");
    if (input->name == "first") rule = parse_rule("starts edge");
    if (input->name == "list") rule = parse_rule("below j");
  }
  for (std::uint32_t n = 0; n < 3; ++n) made.sizes.push_back(random_sizes(seed * 3 + n));
  return made;
}

// Attention by templates is one program in four. The rows of the target table, layouts and threads
// take turns; one program in three also runs unfused, and kernels of one in seven check themselves.
std::vector<Trial> trials_of(std::uint32_t seed) {
  const RandomText made =
      seed % 4 == 0 ? attention_of(seed / 4) : RandomProgram(seed, kMostValues)();
  const auto targets = codegen::runnable_targets();
  Trial trial{made.text, made.rules, made.sizes, {}, Layout::Dense, seed};
  trial.options.target = std::string(targets[seed / 2 % targets.size()].name);
  trial.options.threads = 2;
  if (seed % 2 == 0) trial.options.fuse = true;  // else as the extents make it
  if (seed % 7 == 0) trial.layout = seed % 2 == 0 ? Layout::Strided : Layout::Transposed;
  trial.asserts = seed % 7 == 1 && std::ranges::none_of(made.sizes, has_empty_axis);
  std::vector<Trial> trials{trial};
  if (seed % 3 == 0) {
    trial.options.fuse = false;
    trials.push_back(trial);
  }
  return trials;
}

std::string report(const Trial& trial, const std::string& what, std::uint32_t seed) {
  const Trial small = shrink(trial, what, number_from("FOVEA_FUZZ_SHRINK", 60));
  return fmt::format("FOVEA_FUZZ_SEED={} on {}{}{}\n{}\n{}\n{}", seed, trial.options.target,
                     trial.asserts ? ", FOVEA_ASSERTS=1" : "",
                     trial.options.fuse.value_or(true) ? "" : ", unfused", what, verdict(small),
                     print(small));
}

// Of a file like those in tests/corpus.
Trial trial_of(const std::filesystem::path& path) {
  const ProgramFile program = load_program(path);
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  Trial trial{text, program.inputs, program.sizes, {}, Layout::Dense, 1};
  trial.options.threads = 2;
  return trial;
}

}  // namespace

// By hand: FOVEA_FUZZ_FILE=x.fov makes that program smaller.
TEST_CASE("fuzz: one program") {
  const char* path = std::getenv("FOVEA_FUZZ_FILE");
  if (path == nullptr) return;
  Trial trial = trial_of(path);
  const auto check = [&] {
    const std::string what = verdict(trial);
    CHECK_MESSAGE(what.empty(), report(trial, what, 1));
  };
  trial.compiles = false;
  check();
  trial.compiles = true;
  for (const bool fuse : {true, false}) {
    trial.options.fuse = fuse;
    check();
  }
}

TEST_CASE("fuzz: random programs compiled") {
  using Clock = std::chrono::steady_clock;
  const auto first = static_cast<std::uint32_t>(number_from("FOVEA_FUZZ_SEED", 1));
  const auto until = Clock::now() + std::chrono::seconds(number_from("FOVEA_FUZZ_SECONDS", 25));
  std::uint32_t seed = first;
  for (; seed == first || Clock::now() < until; ++seed) {
    for (const Trial& trial : trials_of(seed)) {
      const std::string what = verdict(trial);
      CHECK_MESSAGE(what.empty(), report(trial, what, seed));
      if (!what.empty()) break;
    }
  }
  MESSAGE("seeds ", first, " to ", seed - 1);
}

}  // namespace fovea::test
