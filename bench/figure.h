// bench/figure.h — what a benchmark found, as counters and as a line of the table of tools/bench.
#pragma once

#include <benchmark/benchmark.h>

#include <string>

#include "bench/job.h"

namespace fovea::bench {

// What is asked of a figure.
struct Goal {
  double bound = 0;
  bool is_most = false;  // at most the bound; otherwise at least
};
inline Goal at_least(double bound) { return {bound, false}; }
inline Goal at_most(double bound) { return {bound, true}; }

struct Figure {
  double seconds = 0;    // of a run
  std::string measured;  // "101 GFLOP/s"
  std::string limit;     // what it is compared with, taken beside it: "118 GFLOP/s FMA"
  double share = 0;      // of the limit, or times the other
  std::string target;    // the goal in words: "≥ 90 %"
  double value = 0;      // what the goal is about
  Goal goal;
};

// Sets the time, the counters `value`, `share`, `bound` and `met`, and the label, whose parts are
// separated by semicolons.
void show(benchmark::State& state, const Figure& figure);

// A figure in percent of the FMA peak, for a run of so many flops.
Figure of_peak(const Samples& samples, double flops, double least_share);
// A figure in percent of reading so many bytes from the level of the caches that holds them.
Figure of_stream(const Samples& samples, double bytes, double least_share);

// "≥ 90 %", "≤ 30 ms"
std::string in_words(const Goal& goal, const std::string& unit, double scale = 1);
// "12.3 µs", "4.56 ms"
std::string in_words(double seconds);

// Registers a benchmark that measures by itself and runs once. What it throws is its failure.
template <class Body>
void add(const std::string& name, Body body) {
  const auto guarded = [body](benchmark::State& state) {
    try {
      body(state);
    } catch (const Error& error) {
      state.SkipWithError(error.what());
    }
  };
  benchmark::RegisterBenchmark(name.c_str(), guarded)
      ->Iterations(1)
      ->UseManualTime()
      ->Unit(benchmark::kMicrosecond);
}

// Every <question>_bench.cpp defines this one: it registers the question's benchmarks.
void add_benchmarks();

}  // namespace fovea::bench
