// What does a score of one's own cost, beside the plain kernel and the score's own arithmetic?
#include <fmt/format.h>

#include <algorithm>

#include "bench/figure.h"
#include "bench/graphs.h"

namespace fovea::bench {
namespace {

constexpr double kMost = 1.15;

struct Score {
  std::string name;
  std::string text;
  std::int64_t heads = 2;
  // Element-wise operations on a pair that the plain kernel does not have, a multiply-add counting
  // one, an exponential or tanh its polynomial.
  double operations = 0;
  std::int64_t rows = 2048;
};

// An exponential as the kernels have it: range reduction, five terms, scaling.
constexpr double kExponential = 10, kTanh = kExponential + 6;

std::vector<Score> scores() {
  std::vector<Score> list;
  list.push_back({"causal, per visited pair", attention(64, kCausal), 2, 0});
  list.push_back({"ALiBi", attention(64, "s - exp2(f32(-h - 1)) * f32(abs(i - j))"), 2, 4});
  list.push_back({"soft cap", attention(64, "30 * tanh(s * 0.0333)"), 2, kTanh + 2});
  list.push_back({"ALiBi and soft cap",
                  attention(64, "30 * tanh(s * 0.0333) - exp2(f32(-h - 1)) * f32(abs(i - j))"), 2,
                  kTanh + 6});
  list.push_back({"bias [h, i, j]", attention(64, "s + bias", "bias : f32[h, i, j]"), 2, 1});
  list.push_back({"bias [i, j]", attention(64, "s + bias", "bias : f32[i, j]"), 2, 1});
  list.push_back({"bias [h, j, i], stored transposed",
                  attention(64, "s + bias", "bias : f32[h, j, i]"), 2, 1});
  list.push_back(
      {"bias [h, i, j] in bf16", attention(64, "s + f32(bias)", "bias : bf16[h, i, j]"), 2, 2});
  list.push_back({"mask [i, j]", attention(64, "where(mask, s, -inf)", "mask : bool[i, j]"), 2, 1});
  list.push_back(
      {"edge features [i, j, c]",
       attention(64, "s + sum(c, edge * w)", "axis c = 4\nedge : f32[i, j, c]\nw : f32[h, c]"), 2,
       0});
  list.push_back(
      {"relative bias",
       attention(64, "s + table[r = i - j + size(j) - 1]", "axis r = i + j - 1\ntable : f32[h, r]"),
       2, 1});
  list.push_back({"content and position",
                  attention(64, "s + 0.125 * sum(c, a * r)",
                            "axis c = 64\na : f32[h, i, c]\nr : f32[h, j, c]"),
                  2, 1});
  list.push_back({"sigmoid weights", R"(
axis h, i, j, d = 64, e = 64
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
out o = sum(j, sigmoid(sum(d, q * k) * 0.125 - 7.6) * v)
)",
                  2, 2});
  list.push_back({"differential", R"(
axis h, i, j, d = 64, e = 64
q : f32[h, i, d]
k : f32[h, j, d]
q2 : f32[h, i, d]
k2 : f32[h, j, d]
v : f32[h, j, e]
first = softmax(j, sum(d, q * k) * 0.125)
second = softmax(j, sum(d, q2 * k2) * 0.125)
out o = sum(j, (first - 0.5 * second) * v)
)",
                  2, kExponential + 4});
  list.push_back({"talking heads", R"(
axis h = 4, t = 4, m = 4, i, j, d = 64, e = 64
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[m, j, e]
logits : f32[h, t]
weights : f32[t, m]
s = sum(h, sum(d, q * k) * 0.125 * logits)
out o = sum(j, sum(t, softmax(j, s) * weights) * v)
)",
                  4, 0, 1024});
  return list;
}

// Pairs that are visited, over all heads.
double pairs_of(const Job& job) {
  double most = 0;
  for (const KernelReport& kernel : job.report().kernels)
    if (kernel.flops_all > 0)
      most = std::max(most, kernel.flops / kernel.flops_all *
                                static_cast<double>(kernel.batch * kernel.rows * kernel.columns));
  return most;
}

void compare(benchmark::State& state, const Score& score) {
  const Sizes sizes{{"h", score.heads}, {"i", score.rows}, {"j", score.rows}};
  const Job job(score.text, sizes), plain(attention(64), sizes);
  const double times = times_as_long([&] { job.run(); }, [&] { plain.run(); }, 0.1, 7);
  const double plain_seconds = time_of([&] { plain.run(); }, 0.1);
  // The plain kernel's time for as many flops of contractions, and the operations at the rate of
  // multiply-adds, which count two flops.
  const double gflops = detail::best([&] { return fma_gflops(job.target()); });
  const double expected = plain_seconds * job.flops() / plain.flops() +
                          2e-9 * score.operations * pairs_of(job) / gflops;
  const double seconds = times * plain_seconds, share = seconds / expected;
  state.counters["of_plain"] = times;
  show(state, {.seconds = seconds,
               .measured = fmt::format("{}, {:.2f} x plain", in_words(seconds), times),
               .limit = fmt::format("{} plain and own arithmetic", in_words(expected)),
               .share = share,
               .target = in_words(at_most(kMost), " x"),
               .value = share,
               .goal = at_most(kMost)});
}

}  // namespace

void add_benchmarks() {
  for (const Score& score : scores())
    add(fmt::format("score: {}, N={}, D=64", score.name, score.rows),
        [=](benchmark::State& state) { compare(state, score); });
}

}  // namespace fovea::bench
