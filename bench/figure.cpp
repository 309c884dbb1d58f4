#include "bench/figure.h"

#include <fmt/format.h>

namespace fovea::bench {

void show(benchmark::State& state, const Figure& figure) {
  const bool met =
      figure.goal.is_most ? figure.value <= figure.goal.bound : figure.value >= figure.goal.bound;
  for (auto _ : state) state.SetIterationTime(figure.seconds);
  state.counters["value"] = figure.value;
  state.counters["share"] = figure.share;
  state.counters["bound"] = figure.goal.bound;
  state.counters["met"] = met ? 1 : 0;
  state.SetLabel(fmt::format("{};{};{:.3g};{};{}", figure.measured, figure.limit, figure.share,
                             figure.target, met ? "yes" : "no"));
}

Figure of_peak(const Samples& samples, double flops, double least_share) {
  const double seconds = samples.quantile(0.5), share = samples.share_of_peak(flops);
  return {.seconds = seconds,
          .measured = fmt::format("{:.1f} GFLOP/s, {}", flops / seconds * 1e-9, in_words(seconds)),
          .limit = fmt::format("{:.1f} GFLOP/s FMA", samples.fma_gflops),
          .share = share,
          .target = in_words(at_least(least_share), " %", 100),
          .value = share,
          .goal = at_least(least_share)};
}

Figure of_stream(const Samples& samples, double bytes, double least_share) {
  const double seconds = samples.quantile(0.5), share = samples.share_of_stream(bytes);
  return {.seconds = seconds,
          .measured = fmt::format("{:.1f} GB/s, {}", bytes / seconds * 1e-9, in_words(seconds)),
          .limit = fmt::format("{:.1f} GB/s read, {}", samples.stream_gbs,
                               in_words(bytes / samples.stream_gbs * 1e-9)),
          .share = share,
          .target = in_words(at_least(least_share), " %", 100),
          .value = share,
          .goal = at_least(least_share)};
}

std::string in_words(const Goal& goal, const std::string& unit, double scale) {
  return fmt::format("{} {:.4g}{}", goal.is_most ? "≤" : "≥", goal.bound * scale, unit);
}

std::string in_words(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.3g} µs", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  return fmt::format("{:.3g} s", seconds);
}

}  // namespace fovea::bench
