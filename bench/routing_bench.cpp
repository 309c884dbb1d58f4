// What do routed, switched and chosen parts cost beside what they need?
#include <fmt/format.h>

#include <algorithm>

#include "bench/figure.h"
#include "bench/graphs.h"
#include "bench/mechanism_text.h"

namespace fovea::bench {
namespace {

constexpr double kSeconds = 0.4;
constexpr int kRounds = 10;

// Within so many seconds; the limit is reading so many bytes once.
Figure within(const Job& job, double bytes, double bound) {
  Figure figure = of_stream(job.sample(kSeconds, kRounds), bytes, 0);
  figure.value = figure.seconds;
  figure.goal = at_most(bound);
  figure.target = in_words(at_most(bound), " µs", 1e6);
  return figure;
}

// Gathered reads: the matrices of the two chosen experts, the router, the keys and the values.
void experts(benchmark::State& state) {
  const Job job(mechanism_text("mixture_of_experts", {}), {{"b", 1}, {"i", 1}, {"j", 100}});
  show(state, within(job, 4.0 * 128 * (2 * 2 * 128 + 8 + 2 * 100), 60e-6));
}

void two_sets(benchmark::State& state, const std::string& name) {
  const Job job(mechanism_text(name, {{"d", 128}, {"e", 128}, {"window", 2000}}),
                {{"b", 1}, {"h", 1}, {"i", 1}, {"j", 1000}, {"n", 5000}});
  show(state, within(job, 6000 * 2.0 * 128 * 4, 200e-6));
}

Figure beside(const Job& job, const Job& other, const std::string& what, double most) {
  const double times = times_as_long([&] { job.run(); }, [&] { other.run(); }, 0.1, 7);
  const double seconds = time_of([&] { job.run(); }, 0.1);
  return {.seconds = seconds,
          .measured = in_words(seconds),
          .limit = fmt::format("{} {}", in_words(seconds / times), what),
          .share = times,
          .target = in_words(at_most(most), " x"),
          .value = times,
          .goal = at_most(most)};
}

void switched_heads(benchmark::State& state) {
  const Sizes sizes{{"b", 1}, {"h", 16}, {"i", 2048}, {"j", 2048}};
  const Job job(mechanism_text("dynamic_heads", {}), sizes);
  job.run();
  const float* gate = job.output("gate");
  const auto on = std::count_if(gate, gate + 16, [](float g) { return g > 0.5f; });
  const Job plain(attention(64), {{"h", on}, {"i", 2048}, {"j", 2048}});
  show(state, beside(job, plain, fmt::format("the {} heads that are on", on), 1.05));
}

// Beside all blocks: an eighth of them and their choice.
void best_blocks(benchmark::State& state) {
  const Sizes sizes{{"b", 1}, {"h", 4}, {"i", 6144}, {"j", 6144}};
  const Job job(mechanism_text("top_k_blocks", {{"k", 8}}), sizes),
      all(attention(64), {{"h", 4}, {"i", 6144}, {"j", 6144}});
  show(state, beside(job, all, "all 64 blocks", 0.15));
}

void best_keys(benchmark::State& state) {
  const Sizes sizes{{"b", 1}, {"h", 1}, {"i", 512}, {"j", 4096}};
  const Job job(mechanism_text("top_k", {{"k", 32}}), sizes);
  const Job all(attention(64), {{"h", 1}, {"i", 512}, {"j", 4096}});
  show(state, beside(job, all, "all keys", 2));
}

}  // namespace

void add_benchmarks() {
  add("mixture of 8 experts, top 2, one token x 100 keys, D=128", experts);
  for (const std::string name : {"local_and_global_sets", "multi_scale"})
    add(name + ": one query, 1000 + 5000 keys, D=128",
        [=](benchmark::State& state) { two_sets(state, name); });
  add("dynamic heads, 16 x 2048, D=64", switched_heads);
  add("top 8 of 64 blocks, 4 heads, N=6144, D=64", best_blocks);
  add("top 32 of 4096 keys, 512 rows, D=64", best_keys);
}

}  // namespace fovea::bench
