// How much faster are two threads than one? The limit is what two threads get of the FMA peak,
// measured beside: where both share a core that is far below 2.
#include "bench/figure.h"

#include <fmt/format.h>

#include "bench/graphs.h"

namespace fovea::bench {
namespace {

void compare(benchmark::State& state, const std::string& text, const Sizes& sizes) {
  const Job two(text, sizes, {.threads = 2}), one(two, {.threads = 1});
  const double times = times_as_long([&] { one.run(); }, [&] { two.run(); }, 0.5, 5);
  const double limit = detail::best([&] { return fma_gflops(two.target(), 2, 0.02); }) /
                       detail::best([&] { return fma_gflops(two.target(), 1, 0.02); });
  const double seconds = time_of([&] { two.run(); }, 0.1), share = times / limit;
  show(state, {.seconds = seconds,
               .measured = fmt::format("{:.2f} x one thread, {}", times, in_words(seconds)),
               .limit = fmt::format("{:.2f} x FMA", limit),
               .share = share,
               .target = "≥ 95 % (1.9 of 2)",
               .value = share,
               .goal = at_least(0.95)});
}

}  // namespace

void add_benchmarks() {
  add("two threads, prefill 8 heads, N=2048, D=64", [](benchmark::State& state) {
    compare(state, attention(64), {{"h", 8}, {"i", 2048}, {"j", 2048}});
  });
  add("two threads, causal 1 head, N=4096, D=64", [](benchmark::State& state) {
    compare(state, attention(64, kCausal), {{"h", 1}, {"i", 4096}, {"j", 4096}});
  });
  add("two threads, one query x 10000 keys, D=128", [](benchmark::State& state) {
    compare(state, attention(128), {{"h", 1}, {"i", 1}, {"j", 10000}});
  });
  add("two threads, backward 1 head, N=4096, D=64", [](benchmark::State& state) {
    compare(state, backward(64), {{"h", 1}, {"i", 4096}, {"j", 4096}});
  });
  add("two threads, one query x 100000 keys, D=128", [](benchmark::State& state) {
    compare(state, attention(128), {{"h", 1}, {"i", 1}, {"j", 100000}});
  });
}

}  // namespace fovea::bench
