// How far from reading the keys and values once is a query over them?
#include "bench/figure.h"

#include <fmt/format.h>

#include "bench/graphs.h"

namespace fovea::bench {
namespace {

constexpr double kSeconds = 0.4;
constexpr int kRounds = 10;

void single(benchmark::State& state, std::int64_t keys) {
  const Job job(attention(128), {{"h", 1}, {"i", 1}, {"j", keys}});
  show(state,
       of_stream(job.sample(kSeconds, kRounds), 2.0 * 128 * 4 * static_cast<double>(keys), 0.90));
}

// One query of each head of the same token.
void grouped(benchmark::State& state, std::int64_t keys) {
  const Job job(R"(
axis h, g, i, j, d = 128, e = 128
q : f32[h, i, d]
k : f32[g, j, d]
v : f32[g, j, e]
s = sum(d, q * k[g = h / 4]) * 0.08838834764831845
out o = sum(j, softmax(j, s) * v[g = h / 4])
)",
                {{"h", 32}, {"g", 8}, {"i", 1}, {"j", keys}});
  show(state, of_stream(job.sample(kSeconds, kRounds),
                        8 * 2.0 * 128 * 4 * static_cast<double>(keys), 0.90));
}

Figure within(const Job& job, double bound) {
  Figure figure = of_stream(job.sample(kSeconds, kRounds), job.input_bytes(), 0);
  figure.value = figure.seconds;
  figure.goal = at_most(bound);
  figure.target = in_words(figure.goal, " µs", 1e6);
  return figure;
}

void narrow_heads(benchmark::State& state) {
  const Job job(R"(
axis h, i, j, d = 16, e = 16
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
out o = sum(j, softmax(j, sum(d, q * k) * 0.25) * v)
)",
                {{"h", 8}, {"i", 1}, {"j", 100}});
  show(state, within(job, 2e-6));
}

void batch(benchmark::State& state) {
  const Job job(attention(128), {{"h", 1}, {"i", 100}, {"j", 100}});
  show(state, within(job, 50e-6));
}

}  // namespace

void add_benchmarks() {
  for (const std::int64_t keys : {100, 1000, 10000, 100000})
    add(fmt::format("one query x {} keys, D=128", keys),
        [=](benchmark::State& state) { single(state, keys); });
  add("8 heads x 16, one query x 100 keys", narrow_heads);
  add("100 queries x 100 keys, D=128", batch);
  for (const std::int64_t keys : {4096, 65536})
    add(fmt::format("decode 32 heads / 8 key heads, {} keys, D=128", keys),
        [=](benchmark::State& state) { grouped(state, keys); });
}

}  // namespace fovea::bench
