// How many bytes does a kernel need beside its inputs and outputs, at any length?
#include <malloc.h>

#include "bench/figure.h"

#include <fmt/format.h>

#include "bench/graphs.h"

namespace fovea::bench {
namespace {

constexpr double kMost = 8e6;  // bytes of a thread

double allocated() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

// What the first run of a fresh kernel takes from the heap and keeps: all its memory, because what
// a run needs stays for the next one.
void measure(benchmark::State& state, const std::string& text, const Sizes& sizes) {
  const Job job(text, sizes);
  const double before = allocated(), begin = detail::now();
  job.run();
  const double seconds = detail::now() - begin, bytes = allocated() - before;
  state.counters["explained_bytes"] = job.report().extra_bytes;
  show(state, {.seconds = seconds,
               .measured = fmt::format("{:.3g} MB, {}", bytes * 1e-6, in_words(seconds)),
               .limit = fmt::format("{:.3g} MB of inputs", job.input_bytes() * 1e-6),
               .share = bytes / job.input_bytes(),
               .target = in_words(at_most(kMost), " MB", 1e-6),
               .value = bytes,
               .goal = at_most(kMost)});
}

}  // namespace

void add_benchmarks() {
  const std::string window = attention(64, "where(j <= i && i - j < 64, s, -inf)");
  for (const std::int64_t keys : {1000, 10000, 100000, 1000000}) {
    add(fmt::format("extra memory: 96 queries x {} keys, D=64", keys),
        [=](benchmark::State& state) {
          measure(state, attention(64), {{"h", 1}, {"i", 96}, {"j", keys}});
        });
    add(fmt::format("extra memory: window 64, N={}, D=64", keys), [=](benchmark::State& state) {
      measure(state, window, {{"h", 1}, {"i", keys}, {"j", keys}});
    });
  }
  add("extra memory: dense, N=10000, D=64", [](benchmark::State& state) {
    measure(state, attention(64), {{"h", 1}, {"i", 10000}, {"j", 10000}});
  });
}

}  // namespace fovea::bench
