// How far from the FMA peak is attention over many rows?
#include "bench/figure.h"
#include "bench/graphs.h"

namespace fovea::bench {
namespace {

constexpr double kSeconds = 0.5;
constexpr int kRounds = 4;

void dense(benchmark::State& state, int width, std::int64_t heads, std::int64_t rows, double least,
           const std::string& target) {
  const Job job(attention(width), {{"h", heads}, {"i", rows}, {"j", rows}},
                {.target = target, .threads = 1});
  const auto n = static_cast<double>(rows);
  const double flops = 4.0 * width * n * n * static_cast<double>(heads);
  show(state, of_peak(job.sample(kSeconds, kRounds), flops, least));
}

// Over visible pairs: what a tile on the diagonal computes in vain does not count.
void causal(benchmark::State& state, int width, double least) {
  const std::int64_t rows = 4096;
  const Job job(attention(width, kCausal), {{"h", 8}, {"i", rows}, {"j", rows}});
  const double pairs = 8.0 * static_cast<double>(rows * (rows + 1) / 2);
  show(state, of_peak(job.sample(kSeconds, kRounds), 4.0 * width * pairs, least));
}

void window(benchmark::State& state) {
  const std::int64_t rows = 4096, reach = 256;
  const Job job(attention(64, "where(j <= i && i - j < 256, s, -inf)"),
                {{"h", 8}, {"i", rows}, {"j", rows}});
  const double pairs = 8.0 * static_cast<double>(rows * reach - reach * (reach - 1) / 2);
  Figure figure = of_peak(job.sample(kSeconds, kRounds), 4 * 64 * pairs, 0);
  figure.value = figure.seconds;
  figure.goal = at_most(0.030);
  figure.target = in_words(figure.goal, " ms", 1e3);
  show(state, figure);
}

}  // namespace

void add_benchmarks() {
  const auto add_dense = [](const char* name, int width, std::int64_t heads, std::int64_t rows,
                            double least, const char* target) {
    add(name, [=](benchmark::State& state) { dense(state, width, heads, rows, least, target); });
  };
  add_dense("prefill 8 heads, N=4096, D=64", 64, 8, 4096, 0.90, "");
  add_dense("prefill 8 heads, N=4096, D=128", 128, 8, 4096, 0.94, "");
  add_dense("batch 1000 x 1000, D=128", 128, 1, 1000, 0.92, "");
  add_dense("prefill on the avx2 row, 2 heads, N=4096, D=128", 128, 2, 4096, 0.85, "avx2");
  add_dense("prefill on the sse41 row, 1 head, N=2048, D=128", 128, 1, 2048, 0.80, "sse41");
  add("causal 8 heads, N=4096, D=64, visible pairs",
      [](benchmark::State& state) { causal(state, 64, 0.83); });
  add("causal 8 heads, N=4096, D=128, visible pairs",
      [](benchmark::State& state) { causal(state, 128, 0.87); });
  add("sliding window 256, N=4096, D=64, 8 heads", window);
}

}  // namespace fovea::bench
