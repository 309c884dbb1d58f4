// How far from the multiply-adds that it needs is attention in linear time?
#include "bench/figure.h"

#include <fmt/format.h>

#include "bench/mechanism_text.h"

namespace fovea::bench {
namespace {

constexpr double kSeconds = 0.4;
constexpr int kRounds = 10;

// Within so many seconds; the limit is the FMA peak.
Figure within(const Job& job, double flops, double bound) {
  Figure figure = of_peak(job.sample(kSeconds, kRounds), flops, 0);
  figure.limit += fmt::format(", {}", in_words(figure.seconds * figure.share));
  figure.value = figure.seconds;
  figure.goal = at_most(bound);
  figure.target = in_words(bound) + " at most";
  return figure;
}

// Features of all keys, and their products with the values: no query makes it less.
void performer(benchmark::State& state, int width) {
  constexpr double kFeatures = 256, kKeys = 1000;
  const Job job(mechanism_text("performer", {{"d", width}, {"e", width}, {"m", kFeatures}}),
                {{"b", 1}, {"h", 1}, {"i", 1}, {"j", 1000}});
  // Features of the keys, their products with those of the query, and the values' sum.
  show(state, within(job, 2 * kKeys * (kFeatures * (width + 1.0) + width), 150e-6));
}

void bidirectional(benchmark::State& state) {
  constexpr double kPositions = 16384, kHeads = 8, kWidth = 64;
  const Job job(mechanism_text("linear", {}), {{"b", 1}, {"h", 8}, {"i", 16384}, {"j", 16384}});
  show(state, within(job, 2 * kHeads * kPositions * 2 * kWidth * kWidth, 50e-3));
}

// Both projections along the sequence, then attention to what they leave.
void linformer(benchmark::State& state) {
  constexpr double kPositions = 4096, kHeads = 8, kWidth = 64, kLeft = 256;
  const Job job(mechanism_text("linformer", {{"n", kLeft}}),
                {{"b", 1}, {"h", 8}, {"i", 4096}, {"j", 4096}});
  show(state,
       of_peak(job.sample(kSeconds, kRounds), 4 * 2 * kHeads * kPositions * kLeft * kWidth, 0.5));
}

}  // namespace

void add_benchmarks() {
  for (const int width : {32, 64})
    add(fmt::format("performer m=256, one query x 1000 keys, D={}", width),
        [=](benchmark::State& state) { performer(state, width); });
  add("linear, elu + 1, 8 heads, 16384 positions, D=64", bidirectional);
  add("linformer to 256, 8 heads, N=4096, D=64", linformer);
}

}  // namespace fovea::bench
