// Tiles whose columns threads share.
#include "runtime/parts.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/runtime/kernels.h"

namespace fovea::runtime {

namespace {

constexpr int kTile = 2, kBlock = 3;
enum Symbols { kB, kI, kJ };
enum Buffers { kX, kO, kC, kMaximum, kSum, kTimes };

// Scores x[b, j] * (i + 1): their maximum and the sum of exp2 below it, of a chunk at a time, into
// the tile's; c[b, j] = 2 * c[b, j] + i, which only tiles in order leave as they should.
template <bool Columns>
int step(void** arguments) {
  const halide_buffer_t &x = array(arguments, 0), &maximum = array(arguments, 1),
                        &sum = array(arguments, 2), &times = array(arguments, 3),
                        &blocks = array(arguments, 4), &c = array(arguments, 9);
  const int b = integer(arguments, 5), row = integer(arguments, 6), rows = integer(arguments, 7),
            columns = integer(arguments, 8);
  for (int n = 0; n < blocks.dim[0].extent; ++n) {
    const int first = kBlock * at<std::int32_t>(blocks, {n});
    for (int j = first; j < std::min(first + kBlock, columns); ++j)
      for (int r = 0; r < std::min(kTile, rows - row); ++r) {
        const float score = at(x, {b, j}) * at(times, {r});
        const float before = at(maximum, {r}), after = std::max(before, score);
        for (int d = 0; d < 2; ++d) {
          float& into = at(sum, {r, d});
          into = into * std::exp2(before - after) +
                 std::exp2(score - after) * static_cast<float>(d + 1);
        }
        at(maximum, {r}) = after;
        if (Columns) at(c, {b, j}) = 2 * at(c, {b, j}) + static_cast<float>(row + r);
      }
  }
  return 0;
}

int prepare(void** arguments) {
  const halide_buffer_t &maximum = array(arguments, 0), &sum = array(arguments, 1),
                        &times = array(arguments, 2);
  for (int r = 0; r < kTile; ++r) {
    at(maximum, {r}) = -std::numeric_limits<float>::infinity();
    at(sum, {r, 0}) = at(sum, {r, 1}) = 0;
    at(times, {r}) = static_cast<float>(integer(arguments, 3) + r + 1);
  }
  return 0;
}

// o[b, i, d] = the maximum plus the logarithm of the sum.
int finish(void** arguments) {
  const halide_buffer_t &maximum = array(arguments, 0), &sum = array(arguments, 1),
                        &o = array(arguments, 2);
  const int b = integer(arguments, 3), row = integer(arguments, 4);
  for (int r = 0; r < std::min(kTile, o.dim[1].extent - row); ++r)
    for (int d = 0; d < 2; ++d)
      at(o, {b, row + r, d}) = at(maximum, {r}) + std::log2(at(sum, {r, d}));
  return 0;
}

Program log_sums(bool columns, bool masked) {
  Program program;
  program.symbols = {{"b", {}, -1}, {"i", {}, -1}, {"j", {}, -1}};
  program.buffers = {input("x", Dtype::F32, {extent(kB), extent(kJ)}),
                     output("o", Dtype::F32, {extent(kB), extent(kI), number(2)}),
                     output("c", Dtype::F32, {extent(kB), extent(kJ)}),
                     scratch("maximum", Dtype::F32, {number(kTile)}),
                     scratch("sum", Dtype::F32, {number(kTile), number(2)}),
                     scratch("times", Dtype::F32, {number(kTile)})};
  Step plane;
  plane.name = "log sums";
  Tiled& tiled = plane.work.emplace<Tiled>();
  tiled.batch = {kB};
  tiled.rows = kI;
  tiled.columns = kJ;
  tiled.row_tile = kTile;
  tiled.column_block = kBlock;
  tiled.chunk = 2;
  tiled.prepare = {prepare, {buffer(kMaximum), buffer(kSum), buffer(kTimes), kRow}};
  tiled.step = {columns ? step<true> : step<false>,
                {buffer(kX), buffer(kMaximum), buffer(kSum), buffer(kTimes), kBlocks, batch(0),
                 kRow, size(kI), size(kJ), buffer(kC)}};
  tiled.finish = {finish, {buffer(kMaximum), buffer(kSum), buffer(kO), batch(0), kRow}};
  tiled.states = {{kMaximum, Tiled::State::Fold::max, -1, {}},
                  {kSum, Tiled::State::Fold::sum, 0, {0}}};
  tiled.packed = {kTimes};
  tiled.pair_work = 1e5F;
  tiled.results = {{kO, {0, Tiled::kRows, Tiled::kWhole}}};
  if (columns) {
    tiled.accumulators = {{kC, 1}};
    tiled.results.push_back({kC, {0, Tiled::kWhole}});
  }
  using Kind = PredicateOp::Kind;
  if (masked) tiled.mask.visible = {{Kind::column, 0}, {Kind::row, 0}, {Kind::le, 0}};
  program.steps = {plane};
  return program;
}

struct Outcome {
  std::vector<float> o, c;
};

Outcome run_with(const Executor& executor, std::int64_t rows, std::int64_t columns, int threads) {
  Numbers<float> x({2, columns}), o({2, rows, 2}, NAN), c({2, columns}, NAN);
  for (std::size_t n = 0; n < x.data.size(); ++n)
    x.data[n] = static_cast<float>(n * 7919 % 101) / 50 - 1;
  const std::vector<Binding> bindings{{"x", x.view()}, {"o", o.view()}, {"c", c.view()}};
  const std::vector<NamedSize> sizes{{"i", rows}};
  const Status status = executor.run(bindings, sizes, {threads, {}});
  REQUIRE_MESSAGE(status.ok(), status.message);
  return {o.data, c.data};
}

}  // namespace

TEST_CASE("parts are a power of two, and no more than tiles, blocks and work make worth") {
  Tiled tiled;
  tiled.row_tile = 4, tiled.column_block = 10;
  tiled.pair_work = 1000;
  tiled.states = {{0, Tiled::State::Fold::sum, -1, {}}};
  CHECK(parts_of(tiled, 1, 10000) == 16);
  CHECK(parts_of(tiled, 5, 10000) == 8);
  CHECK(parts_of(tiled, 12, 10000) == 4);
  CHECK(parts_of(tiled, 100, 10000) == 1);
  CHECK(parts_of(tiled, 1, 70) == 1);
  CHECK(parts_of(tiled, 4, 70) == 1);
  CHECK(parts_of(tiled, 4, 110) == 2);
  CHECK(parts_of(tiled, 0, 10000) == 1);
  CHECK(parts_of(tiled, 1, 0) == 1);
  tiled.pair_work = 1e6;
  CHECK(parts_of(tiled, 1, 75) == 8);
  tiled.states.clear();
  CHECK(parts_of(tiled, 1, 10000) == 1);
  tiled.accumulators = {{0, 0}};
  CHECK(parts_of(tiled, 100, 10000) == 4);
}

TEST_CASE("every block is in one part, those without a mask first") {
  BlockList list, part;
  list.blocks = {3, 4, 8, 9, 1, 5};
  list.clear = 4;
  take_part(list, 0, 4, part);
  CHECK(part.blocks == std::vector<std::int32_t>{4, 8});
  CHECK(part.clear == 2);
  take_part(list, 1, 4, part);
  CHECK(part.blocks == std::vector<std::int32_t>{9, 1, 5});
  CHECK(part.clear == 1);
  take_part(list, 2, 4, part);
  CHECK(part.blocks.empty());
}

TEST_CASE("parts make the whole, with the same bits on any number of threads") {
  for (const bool columns : {false, true})
    for (const bool masked : {false, true}) {
      const Executor executor(log_sums(columns, masked));
      for (const std::int64_t rows : {1, 2, 5, 33})
        for (const std::int64_t keys : {1, 4, 25, 100}) {
          CAPTURE(columns);
          CAPTURE(masked);
          CAPTURE(rows);
          CAPTURE(keys);
          const Outcome one = run_with(executor, rows, keys, 1);
          for (std::int64_t i = 0; i < rows; ++i) {
            const std::int64_t last = masked ? (i / kTile + 1) * kTile - 1 : keys;
            double sum = 0;
            for (std::int64_t j = 0; j < keys; ++j)
              if (j / kBlock * kBlock <= std::min(last, rows - 1) || !masked)
                sum += std::exp2((static_cast<double>(j * 7919 % 101) / 50 - 1) *
                                 static_cast<double>(i + 1));
            const auto at = static_cast<std::size_t>(2 * i);
            CHECK(one.o[at] == doctest::Approx(std::log2(sum)).epsilon(1e-4));
            CHECK(one.o[at + 1] == doctest::Approx(std::log2(sum) + 1).epsilon(1e-4));
          }
          if (columns && !masked && rows == 5)
            for (const float c : one.c) CHECK(c == 32 + 0 * 16 + 1 * 8 + 2 * 4 + 3 * 2 + 4);
          for (const int threads : {2, 3, 4, 5}) {
            const Outcome many = run_with(executor, rows, keys, threads);
            CHECK(many.o == one.o);
            if (columns) CHECK(many.c == one.c);
          }
        }
    }
}

}  // namespace fovea::runtime
