// How far from the FMA peak are the gradients of attention, written out by hand, counting five
// contractions over visited tiles?
#include <fmt/format.h>

#include <cmath>

#include "bench/figure.h"
#include "bench/graphs.h"

namespace fovea::bench {
namespace {

void gradients(benchmark::State& state, int width, bool is_causal) {
  const std::int64_t rows = 4096, heads = 2;
  // A log-sum-exp of about what such scores have, so that weights are those of a softmax.
  const float lse = static_cast<float>(std::log(static_cast<double>(rows)) + 0.5);
  const Job job(backward(width, is_causal ? kCausal : "s"),
                {{"h", heads}, {"i", rows}, {"j", rows}}, {.threads = 1}, {{"lse", lse}});
  double visited = 0, stored = 0;
  for (const KernelReport& kernel : job.report().kernels) {
    const double all = static_cast<double>(kernel.batch * kernel.rows * kernel.columns);
    // Kernels that walk the plane again count once: 10 N² D is what the mathematics needs.
    if (all > 0 && kernel.flops_all > 0)
      visited = std::max(visited, all * kernel.flops / kernel.flops_all);
    stored += static_cast<double>(kernel.plane_elements_stored);
  }
  state.counters["plane_elements_stored"] = stored;
  show(state, of_peak(job.sample(1, 4), 10.0 * width * visited, 0.87));
}

}  // namespace

void add_benchmarks() {
  for (const bool is_causal : {false, true})
    for (const int width : {64, 128})
      add(fmt::format("backward {}, N=4096, D={}", is_causal ? "causal" : "dense", width),
          [=](benchmark::State& state) { gradients(state, width, is_causal); });
}

}  // namespace fovea::bench
