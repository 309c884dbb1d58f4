// bench/probe.h — what this machine can do at most, measured beside every figure: machines are
// shared and clocks drift, ratios stay.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "ir/target.h"

namespace fovea::bench {

// Multiply-adds in registers only, in GFLOP/s (a multiply-add counts 2), with the vectors of a
// target row that this CPU runs; rows without a fused multiply-add multiply and add. All threads at
// once, each for about `seconds`.
double fma_gflops(const ir::Target& target, int threads = 1, double seconds = 0.002);

// Reading a buffer once and again from wherever it lies, in GB/s; each thread reads its share. At
// least one pass, and for about `seconds`.
class StreamProbe {
 public:
  explicit StreamProbe(std::size_t bytes);  // rounded up to 4 KiB a thread
  double gbs(int threads = 1, double seconds = 0.002) const;

 private:
  std::vector<std::byte> buffer_;
};

// What a round of runs between two probes gave.
struct Round {
  double seconds = 0;  // the median of its runs
  double fma_gflops = 0, stream_gbs = 0;
};

// Measurements with what they are compared with, taken in turns.
struct Samples {
  std::vector<double> seconds = {};  // one a run, ascending
  double fma_gflops = 0;             // medians over the rounds
  double stream_gbs = 0;
  std::vector<Round> rounds = {};

  double quantile(double share) const;  // of `seconds`: 0.5 is the median, 0 the least
  // What a run of so many flops, or bytes read once, reached of the probe beside it: the median
  // over the rounds.
  double share_of_peak(double flops) const;
  double share_of_stream(double bytes) const;
};

struct SampleOptions {
  double seconds = 1;  // for the runs, warm-up apart
  int rounds = 20;     // as often as the probes are asked
  int threads = 1;     // of the probes
  std::size_t stream_bytes = 1 << 20;
};

// Calls `run` once to warm up, then in rounds between probes, at least once a round.
template <class Run>
Samples sample(const ir::Target& target, const SampleOptions& options, Run&& run);

namespace detail {
double now();  // seconds
double median(std::vector<double> values);
// The best of a few: a probe that was interrupted must not make the limit low.
template <class Rate>
double best(Rate&& rate) {
  double most = rate();
  for (int n = 0; n < 4; ++n) most = std::max(most, rate());
  return most;
}
template <class Item, class Value>
double median_of(const std::vector<Item>& items, Value&& value) {
  std::vector<double> values;
  for (const Item& item : items) values.push_back(value(item));
  return median(std::move(values));
}
Samples finish(std::vector<double> seconds, std::vector<Round> rounds);
}  // namespace detail

template <class Run>
Samples sample(const ir::Target& target, const SampleOptions& options, Run&& run) {
  const StreamProbe probe(options.stream_bytes);
  std::vector<double> seconds;
  std::vector<Round> rounds = {};
  run();
  for (int round = 0; round < options.rounds; ++round) {
    Round one{.fma_gflops = detail::best([&] { return fma_gflops(target, options.threads, 5e-4); }),
              .stream_gbs = detail::best([&] { return probe.gbs(options.threads, 5e-4); })};
    const auto first = static_cast<std::ptrdiff_t>(seconds.size());
    run();  // the probes have taken the caches
    const double end = detail::now() + options.seconds / options.rounds;
    double before = detail::now();
    do {
      run();
      const double after = detail::now();
      seconds.push_back(after - before);
      before = after;
    } while (before < end);
    one.seconds = detail::median({seconds.begin() + first, seconds.end()});
    rounds.push_back(one);
  }
  return detail::finish(std::move(seconds), std::move(rounds));
}

}  // namespace fovea::bench
