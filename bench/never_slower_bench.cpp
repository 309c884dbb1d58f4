// Is a run ever slower than the same attention unfused, on any shape? Unfused is the faster of our
// own kernels one at a time and of a library of matrix products; for the programs of the library
// and the corpus, our own kernels alone.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/figure.h"
#include "bench/graphs.h"
#include "bench/peers/unfused.h"
#include "bench/programs.h"
#include "ir/require.h"

namespace fovea::bench {
namespace {

constexpr double kMost = 1.05;

struct Problem {
  int width;
  std::int64_t heads, rows, columns;
};

// Both ways of not fusing, on the tensors of the fused kernel.
struct Ratios {
  double own = 0, library = 0;
  double most() const { return std::max(own, library); }
};

Ratios measure(const Job& fused, const Problem& problem) {
  const Job unfused(fused, {.threads = 1, .fuse = false});
  Unfused library(problem.rows, problem.columns, problem.width);
  const auto all_heads = [&] {
    for (std::int64_t h = 0; h < problem.heads; ++h) {
      const std::int64_t rows = h * problem.rows * problem.width;
      const std::int64_t keys = h * problem.columns * problem.width;
      library.run(fused.input("q") + rows, fused.input("k") + keys, fused.input("v") + keys,
                  fused.output("o") + rows);
    }
  };
  const auto one = [&] { fused.run(); };
  return {times_as_long(
              one, [&] { unfused.run(); }, 0.01, 5),
          times_as_long(one, all_heads, 0.01, 5)};
}

// The worst over columns, from none worth the name to many.
void compare(benchmark::State& state, std::int64_t heads, std::int64_t rows, int width) {
  double worst = 0;
  Figure figure;
  for (const std::int64_t columns : {1, 2, 4, 8, 16, 64, 256, 1024}) {
    const Problem problem{width, heads, rows, columns};
    const Job fused(attention(width), {{"h", heads}, {"i", rows}, {"j", columns}});
    const Ratios ratios = measure(fused, problem);
    state.counters[fmt::format("of_own_{}", columns)] = ratios.own;
    state.counters[fmt::format("of_library_{}", columns)] = ratios.library;
    if (ratios.most() <= worst) continue;
    worst = ratios.most();
    const double seconds = time_of([&] { fused.run(); }, 0.01);
    figure = {
        .seconds = seconds,
        .measured = fmt::format("{} for {} columns", in_words(seconds), columns),
        .limit = fmt::format("{} ours unfused, {} OpenBLAS and Eigen",
                             in_words(seconds / ratios.own), in_words(seconds / ratios.library)),
        .share = worst,
        .target = in_words(at_most(kMost), " x"),
        .value = worst,
        .goal = at_most(kMost)};
  }
  show(state, figure);
}

// Planes and tensors of more bytes are left out. What takes longer than so many seconds, or is much
// faster by a first look, is measured once, and more rows are left out where their cube would take
// the longest.
constexpr double kMostBytes = 3e8, kLong = 0.05, kLongest = 20, kMuchFaster = 0.7;

struct Times {
  std::int64_t rows = 0;
  double seconds = 0, ratio = 0;
};

constexpr std::int64_t kRows[] = {8, 32, 100, 1000, 4000};
constexpr std::int64_t kEnough = 100;  // to tell how more of them take longer

// A program compiled both ways: code for more rows is made when it is needed.
struct Forms {
  explicit Forms(const Program& program)
      : sizes(sizes_for(program, kRows[0])),
        chosen(compile(program.graph, {.threads = 1, .sizes = sizes})),
        unfused(compile(program.graph, {.threads = 1, .sizes = sizes, .fuse = false})) {}

  Sizes sizes;
  Kernel chosen, unfused;
};

std::optional<Times> measure(const Forms& forms, const Program& program, std::int64_t rows) {
  const Kernel &chosen = forms.chosen, &unfused = forms.unfused;
  const Sizes sizes = sizes_for(program, rows);
  try {
    const BoundProgram bound(program, sizes, kMostBytes);
    if (unfused.explain(sizes, bound.inputs()).extra_bytes > kMostBytes) return {};
    const auto run_chosen = [&] { bound.run(chosen); };
    const auto run_unfused = [&] { bound.run(unfused); };
    const double ratio = times_as_long(run_chosen, run_unfused, 0.001, 1);
    const double seconds = time_of(run_chosen, 0.001);
    if (ratio < kMuchFaster || std::max(seconds, seconds / ratio) > kLong)
      return Times{rows, seconds, ratio};
    return Times{rows, seconds, times_as_long(run_chosen, run_unfused, 0.005, 7)};
  } catch (const Error& error) {
    if (error.code() == Code::input_too_large) return {};
    throw;
  }
}

// The worst over rows, from few to many.
void compare(benchmark::State& state, const Program& program) {
  Times worst;
  const Forms forms(program);
  // Columns of a table: the first program has all of them.
  for (const std::int64_t rows : kRows)
    state.counters[fmt::format("of_unfused_{}", rows)] = std::numeric_limits<double>::quiet_NaN();
  double per_cube = 0;
  for (const std::int64_t rows : kRows) {
    const double cube = std::pow(static_cast<double>(rows), 3);
    if (per_cube * cube > kLongest) break;
    const auto times = measure(forms, program, rows);
    if (!times) continue;
    if (rows >= kEnough) per_cube = std::max(times->seconds, times->seconds / times->ratio) / cube;
    state.counters[fmt::format("of_unfused_{}", rows)] = times->ratio;
    if (times->ratio > worst.ratio) worst = *times;
  }
  require(worst.rows > 0, Code::input_too_large, "no number of rows fits");
  show(state, {.seconds = worst.seconds,
               .measured = fmt::format("{} for {} rows", in_words(worst.seconds), worst.rows),
               .limit = fmt::format("{} unfused", in_words(worst.seconds / worst.ratio)),
               .share = worst.ratio,
               .target = in_words(at_most(kMost), " x"),
               .value = worst.ratio,
               .goal = at_most(kMost)});
}

}  // namespace

void add_benchmarks() {
  for (const Program& program : all_programs())
    add(fmt::format("over unfused, worst rows: {}", program.name),
        [=](benchmark::State& state) { compare(state, program); });
  for (const int width : {64, 128})
    for (const std::int64_t rows : {1, 7, 16, 17, 48, 64, 100, 512}) {
      const std::int64_t heads = rows == 1 ? 8 : 1;
      add(fmt::format("fused over unfused, worst columns: {} heads, {} rows, D={}", heads, rows,
                      width),
          [=](benchmark::State& state) { compare(state, heads, rows, width); });
    }
}

}  // namespace fovea::bench
