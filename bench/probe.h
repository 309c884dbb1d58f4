// bench/probe.h — what this machine can do at most, measured beside every figure: machines are
// shared and clocks drift, ratios stay.
#pragma once

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

// Measurements with what they are compared with, taken in turns.
struct Samples {
  std::vector<double> seconds;  // one a run, ascending
  double fma_gflops = 0;        // medians over the rounds
  double stream_gbs = 0;

  double quantile(double share) const;  // of `seconds`: 0.5 is the median, 0 the least
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
Samples finish(std::vector<double> seconds, std::vector<double> fma, std::vector<double> stream);
}  // namespace detail

template <class Run>
Samples sample(const ir::Target& target, const SampleOptions& options, Run&& run) {
  const StreamProbe probe(options.stream_bytes);
  std::vector<double> seconds, fma, stream;
  run();
  for (int round = 0; round < options.rounds; ++round) {
    fma.push_back(fma_gflops(target, options.threads));
    stream.push_back(probe.gbs(options.threads));
    run();  // the probes have taken the caches
    const double end = detail::now() + options.seconds / options.rounds;
    double before = detail::now();
    do {
      run();
      const double after = detail::now();
      seconds.push_back(after - before);
      before = after;
    } while (before < end);
  }
  return detail::finish(std::move(seconds), std::move(fma), std::move(stream));
}

}  // namespace fovea::bench
