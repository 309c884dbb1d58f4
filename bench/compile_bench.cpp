// What does compiling cost: a first kernel cold, the same in another process with a warm cache on
// disk, and again in the process that has it?
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "bench/figure.h"
#include "bench/graphs.h"
#include "ir/require.h"

namespace fovea::bench {
namespace {

constexpr int kTimes = 5;

double compile_seconds(const std::string& text, const Sizes& sizes) {
  const double begin = detail::now();
  const Kernel kernel = compile(parse(text), {.threads = 1, .sizes = sizes});
  return detail::now() - begin;
}

// What `body` returns in a process of its own that has compiled nothing yet: this one never does.
template <class Body>
double in_child(Body&& body) {
  int ends[2] = {};
  require(pipe(ends) == 0, Code::internal, "cannot make a pipe");
  const pid_t child = fork();
  require(child >= 0, Code::internal, "cannot make a process");
  if (child == 0) {
    const double result = body();
    const bool written = write(ends[1], &result, sizeof result) == sizeof result;
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  double result = 0;
  const bool is_read = read(ends[0], &result, sizeof result) == sizeof result;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  require(is_read, Code::internal, "the process that compiles did not come back");
  return result;
}

Figure figure(double seconds, double bound, const std::string& unit, double scale) {
  const Goal goal = at_most(bound);
  return {.seconds = seconds,
          .measured = in_words(seconds),
          .limit = "-",
          .share = seconds / bound,
          .target = in_words(goal, unit, scale),
          .value = seconds,
          .goal = goal};
}

// Medians over fresh processes. The cache is a directory of our own, empty at first.
template <class Body>
double median_in_children(Body&& body) {
  std::vector<double> seconds;
  for (int n = 0; n < kTimes; ++n) seconds.push_back(in_child(body));
  return detail::median(std::move(seconds));
}

void cold(benchmark::State& state, const std::string& text, const Sizes& sizes) {
  setenv("FOVEA_CACHE", "off", 1);
  const double seconds = median_in_children([&] { return compile_seconds(text, sizes); });
  unsetenv("FOVEA_CACHE");
  show(state, figure(seconds, 0.3, " ms", 1e3));
}

void warm(benchmark::State& state, const std::string& text, const Sizes& sizes) {
  std::string directory = std::filesystem::temp_directory_path() / "fovea-bench-XXXXXX";
  require(mkdtemp(directory.data()) != nullptr, Code::internal, "cannot make a directory");
  setenv("FOVEA_CACHE_DIR", directory.c_str(), 1);
  in_child([&] { return compile_seconds(text, sizes); });
  const double seconds = median_in_children([&] { return compile_seconds(text, sizes); });
  unsetenv("FOVEA_CACHE_DIR");
  std::filesystem::remove_all(directory);
  show(state, figure(seconds, 0.01, " ms", 1e3));
}

void again(benchmark::State& state, const std::string& text, const Sizes& sizes) {
  const double seconds = median_in_children([&] {
    const Graph graph = parse(text);
    const Options options{.threads = 1, .sizes = sizes};
    const Kernel first = compile(graph, options);
    return time_of([&] { const Kernel same = compile(graph, options); }, 0.01);
  });
  show(state, figure(seconds, 20e-6, " µs", 1e6));
}

}  // namespace

void add_benchmarks() {
  const Sizes sizes{{"h", 8}, {"i", 4096}, {"j", 4096}};
  const std::string dense = attention(64), causal = attention(64, kCausal);
  add("compile cold: dense", [=](benchmark::State& state) { cold(state, dense, sizes); });
  add("compile cold: causal", [=](benchmark::State& state) { cold(state, causal, sizes); });
  add("compile cold: one query", [=](benchmark::State& state) {
    cold(state, dense, {{"h", 1}, {"i", 1}, {"j", 1000}});
  });
  add("compile with a warm cache on disk: causal",
      [=](benchmark::State& state) { warm(state, causal, sizes); });
  add("compile again in the process: causal",
      [=](benchmark::State& state) { again(state, causal, sizes); });
}

}  // namespace fovea::bench
