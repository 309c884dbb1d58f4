// Random attention, compiled and interpreted, for FOVEA_FUZZ_SECONDS (25) from FOVEA_FUZZ_SEED on.
// Each program runs in a child process, so that a crash is a finding too. A failure is printed as a
// program without the outputs that it does not need, with its sizes and its seed.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <string>

#include "codegen/targets.h"
#include "ir/text.h"
#include "tests/frontend/random_attention.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr double kTolerance = 1e-4;  // products of several scores lose more than one score does
constexpr unsigned kPatience = 60;   // seconds of computing for one program
constexpr unsigned kAtAll = 600;     // seconds that it may take on a busy machine

int number_from(const char* variable, int otherwise) {
  const char* value = std::getenv(variable);
  return value == nullptr ? otherwise : std::atoi(value);
}

// Documents one after the other, and lengths from nothing to more than all.
void make_documents(ir::Arrays& inputs, const Sizes& sizes) {
  for (auto& [name, array] : inputs) {
    auto& data = array.data;
    if (name.starts_with("document")) std::partial_sum(data.begin(), data.end(), data.begin());
    if (!name.starts_with("length")) continue;
    for (double& x : data) x = std::round((x - 0.25) * 0.75 * static_cast<double>(sizes.at("j")));
  }
}

// Lists of neighbours that are inside, sorted by row.
void make_lists(ir::Arrays& inputs, const Sizes& sizes) {
  if (!inputs.contains("first")) return;
  auto& first = inputs["first"].data;
  for (std::size_t n = 0; n < first.size(); ++n) {
    first[n] = static_cast<double>(std::min<std::size_t>(5 * (n / 2), 3 * first.size() - 3));
  }
  const std::int64_t columns = sizes.at("j");
  if (columns == 0) std::ranges::fill(first, 0);
  auto& list = inputs["list"].data;
  for (std::size_t n = 0; n < list.size(); ++n) {
    list[n] = columns == 0 ? 0 : static_cast<double>(n * 7 % static_cast<std::size_t>(columns));
  }
}

// Of outputs in 16 bits the last of them may differ.
std::optional<std::string> first_difference(const ir::Arrays& found, const ir::Arrays& expected) {
  for (const auto& [name, wanted] : expected) {
    const bool narrow = wanted.dtype == bf16 || wanted.dtype == f16;
    if (auto what = difference(found, {{name, wanted}}, narrow ? 1e-2 : kTolerance)) return what;
  }
  return {};
}

std::string differs(const std::string& text, std::uint32_t seed) {
  const Graph graph = parse(text);
  const auto targets = codegen::runnable_targets();
  Options options{.target = std::string(targets[seed % targets.size()].name),
                  .threads = 1 + static_cast<int>(seed % 2),
                  .fuse = seed % 8 != 0};
  const Kernel kernel = compile(graph, options);
  for (std::uint32_t n = 0; n < 3; ++n) {
    Sizes sizes = random_sizes(seed * 3 + n);
    std::erase_if(sizes,
                  [&](const auto& size) { return ir::find_axis(graph, size.first) == ir::kNone; });
    ir::Arrays inputs = random_inputs(graph, sizes, seed + n);
    make_lists(inputs, sizes);
    make_documents(inputs, sizes);
    const auto layout = seed % 5 == 0   ? Layout::Strided
                        : seed % 5 == 1 ? Layout::Transposed
                                        : Layout::Dense;
    const auto found = first_difference(run(kernel, graph, inputs, sizes, layout),
                                        ir::interpret(graph, inputs, sizes));
    if (found) {
      return fmt::format("{}\non {} with {} threads for {}{}", *found, options.target,
                         options.threads, describe(sizes), options.fuse.value_or(true) ? "" : ", unfused");
    }
  }
  return "";
}

// What is wrong with the program; found out in a child process, whose end is the verdict. What it
// prints on the way is only told with it: sanitizers warn of what they do not support.
std::string verdict(const std::string& text, std::uint32_t seed) {
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  std::fflush(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    signal(SIGABRT, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    const rlimit limit{kPatience, kPatience};
    setrlimit(RLIMIT_CPU, &limit);
    alarm(kAtAll);
    dup2(ends[1], STDERR_FILENO);  // what an abort says
    std::string said;
    try {
      said = differs(text, seed);
    } catch (const std::exception& error) {
      said = error.what();
    }
    const bool told = write(ends[1], said.data(), said.size()) >= 0;
    _exit(said.empty() && told ? 0 : 1);
  }
  close(ends[1]);
  std::string said;
  std::array<char, 512> buffer{};
  for (ssize_t got; (got = read(ends[0], buffer.data(), buffer.size())) > 0;) {
    said.append(buffer.data(), static_cast<std::size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
  if (WIFSIGNALED(status)) return fmt::format("{}\nended by signal {}", said, WTERMSIG(status));
  return fmt::format("{}\nended with status {}", said, WEXITSTATUS(status));
}

// Without the outputs that the failure does not need.
std::string report(Program program, std::string what, std::uint32_t seed) {
  for (std::size_t n = 0; n < program.outputs.size() && program.outputs.size() > 1;) {
    Program smaller = program;
    smaller.outputs.erase(smaller.outputs.begin() + static_cast<std::ptrdiff_t>(n));
    const std::string still = verdict(print(parse(smaller.text())), seed);
    if (still.empty()) {
      ++n;
    } else {
      program = smaller;
      what = still;
    }
  }
  return fmt::format("FOVEA_FUZZ_SEED={}\n{}\n{}", seed, print(parse(program.text())), what);
}

}  // namespace

TEST_CASE("fuzz: random attention, compiled = interpreted") {
  using Clock = std::chrono::steady_clock;
  const auto first = static_cast<std::uint32_t>(number_from("FOVEA_FUZZ_SEED", 1));
  const auto until = Clock::now() + std::chrono::seconds(number_from("FOVEA_FUZZ_SECONDS", 25));
  std::uint32_t seed = first;
  for (; seed == first || Clock::now() < until; ++seed) {
    const Program program = RandomAttention(seed)();
    const std::string what = verdict(program.text(), seed);
    CHECK_MESSAGE(what.empty(), report(program, what, seed));
  }
  MESSAGE("seeds ", first, " to ", seed - 1);
}

}  // namespace fovea::test
