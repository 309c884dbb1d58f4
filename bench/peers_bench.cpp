// How much faster than a library of matrix products (OpenBLAS) with Eigen's exponentials?
#include "bench/figure.h"

#include <fmt/format.h>

#include "bench/graphs.h"
#include "bench/peers/unfused.h"

namespace fovea::bench {
namespace {

void compare(benchmark::State& state, std::int64_t rows, std::int64_t columns, int width) {
  const Job job(attention(width), {{"h", 1}, {"i", rows}, {"j", columns}});
  Unfused library(rows, columns, width);
  const float *q = job.input("q"), *k = job.input("k"), *v = job.input("v");
  float* const o = job.output("o");
  const double times = times_as_long([&] { library.run(q, k, v, o); }, [&] { job.run(); }, 0.2, 7);
  const double seconds = time_of([&] { job.run(); }, 0.1);
  show(state, {.seconds = seconds,
               .measured = in_words(seconds),
               .limit = fmt::format("{} OpenBLAS and Eigen", in_words(seconds * times)),
               .share = times,
               .target = in_words(at_least(1), " x"),
               .value = times,
               .goal = at_least(1)});
}

}  // namespace

void add_benchmarks() {
  for (const int width : {64, 128})
    for (const std::int64_t rows : {1000, 4096})
      add(fmt::format("faster than unfused OpenBLAS: {0} x {0}, D={1}", rows, width),
          [=](benchmark::State& state) { compare(state, rows, rows, width); });
  for (const std::int64_t columns : {100, 1000, 10000})
    add(fmt::format("faster than unfused OpenBLAS: one query x {}, D=128", columns),
        [=](benchmark::State& state) { compare(state, 1, columns, 128); });
}

}  // namespace fovea::bench
