#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/runtime/kernels.h"

namespace fovea::runtime {

namespace {

constexpr int kTile = 4, kBlock = 3;
enum Symbols { kB, kI, kJ };
enum Buffers { kX, kC, kR };

// c[b, j] += x[b, i] * (j + 1) for the rows of the tile; with Shared, c[j] for all b.
template <bool Shared>
int step(void** arguments) {
  const halide_buffer_t &x = array(arguments, 0), &c = array(arguments, 1),
                        &blocks = array(arguments, 2);
  const int b = integer(arguments, 3), row = integer(arguments, 4), rows = integer(arguments, 5),
            columns = integer(arguments, 6), here = integer(arguments, 7);
  for (int n = 0; n < here; ++n) {
    const int block = at<std::int32_t>(blocks, {n});
    for (int j = block * kBlock; j < std::min((block + 1) * kBlock, columns); ++j) {
      float& sum = Shared ? at(c, {j}) : at(c, {b, j});
      for (int i = row; i < std::min(row + kTile, rows); ++i) {
        sum += at(x, {b, i}) * static_cast<float>(j + 1);
      }
    }
  }
  return 0;
}

// r[b, i] = i.
int finish(void** arguments) {
  const halide_buffer_t& r = array(arguments, 0);
  const int b = integer(arguments, 1), row = integer(arguments, 2);
  for (int i = row; i < std::min(row + kTile, r.dim[0].extent); ++i)
    at(r, {b, i}) = static_cast<float>(i);
  return 0;
}

int exact(void** arguments) {
  const halide_buffer_t &c = array(arguments, 0), &r = array(arguments, 1);
  if (c.dim[1].min != r.dim[1].min || c.dim[1].extent != 1 || r.dim[1].extent != 1) return 1;
  if (c.dim[0].min != 0 || r.dim[0].min != 0) return 2;
  for (int j = 0; j < c.dim[0].extent; ++j) at(c, {c.dim[1].min, j}) = -1;
  for (int i = 0; i < r.dim[0].extent; ++i) at(r, {c.dim[1].min, i}) = -2;
  return 0;
}

Program column_sums(bool shared) {
  Program program;
  program.symbols = {{"b", {}, -1}, {"i", {}, -1}, {"j", {}, -1}};
  program.buffers = {
      input("x", Dtype::F32, {extent(kB), extent(kI)}),
      output("c", Dtype::F32,
             shared ? std::vector<Size>{extent(kJ)} : std::vector<Size>{extent(kB), extent(kJ)}),
      output("r", Dtype::F32, {extent(kB), extent(kI)})};
  Step plane;
  plane.name = "column sums";
  Tiled& tiled = plane.work.emplace<Tiled>();
  tiled.batch = {kB};
  tiled.rows = kI;
  tiled.columns = kJ;
  tiled.row_tile = kTile;
  tiled.column_block = kBlock;
  tiled.chunk = 2;
  tiled.step = {shared ? step<true> : step<false>,
                {buffer(kX), buffer(kC), kBlocks, batch(0), kRow, size(kI), size(kJ), kHere}};
  tiled.finish = {finish, {buffer(kR), batch(0), kRow}};
  tiled.accumulators = {{kC, 0.5f}};
  tiled.results = {{kC, shared ? std::vector{Tiled::kWhole} : std::vector{0, Tiled::kWhole}},
                   {kR, {0, Tiled::kRows}}};
  program.steps = {plane};
  return program;
}

struct Sums {
  Sums(std::int64_t batch, std::int64_t rows, std::int64_t columns, bool shared)
      : x({batch, rows}),
        c(shared ? std::vector{columns} : std::vector{batch, columns}, NAN),
        r({batch, rows}, NAN),
        columns(columns) {
    for (std::size_t n = 0; n < x.data.size(); ++n) x.data[n] = static_cast<float>(n % 5);
  }
  Status run(const Executor& executor, int threads) {
    const Binding bindings[] = {{"x", x.view()}, {"c", c.view()}, {"r", r.view()}};
    const NamedSize sizes[] = {{"j", columns}};
    return executor.run(bindings, sizes, {threads});
  }
  // Of the batch coordinates from `begin` to below `end`.
  float expected(std::int64_t begin, std::int64_t end, std::int64_t j) const {
    float sum = 0.5f;
    const std::int64_t rows = x.shape[1];
    for (std::int64_t n = begin * rows; n < end * rows; ++n) {
      sum += x.data[static_cast<std::size_t>(n)] * static_cast<float>(j + 1);
    }
    return sum;
  }
  Numbers<float> x, c, r;
  std::int64_t columns;
};

}  // namespace

TEST_CASE("accumulators start at their value and take the tiles of a batch coordinate in order") {
  const Executor executor(column_sums(false));
  for (const std::int64_t batch : {0, 1, 5}) {
    for (const std::int64_t rows : {0, 1, 30}) {
      for (const std::int64_t columns : {0, 1, 200}) {
        for (const int threads : {1, 3}) {
          Sums sums(batch, rows, columns, false);
          CHECK(sums.run(executor, threads).message == "");
          bool right = true;
          for (std::int64_t n = 0; n < batch * columns; ++n) {
            const std::int64_t b = n / columns;
            right &=
                sums.c.data[static_cast<std::size_t>(n)] == sums.expected(b, b + 1, n % columns);
          }
          for (std::int64_t n = 0; n < batch * rows; ++n) {
            right &= sums.r.data[static_cast<std::size_t>(n)] == static_cast<float>(n % rows);
          }
          CHECK(right);
        }
      }
    }
  }
}

TEST_CASE("an accumulator without the batch axis takes all its coordinates in order") {
  const Executor executor(column_sums(true));
  for (const std::int64_t batch : {0, 1, 5}) {
    for (const int threads : {1, 3}) {
      Sums sums(batch, 30, 200, true);
      CHECK(sums.run(executor, threads).message == "");
      for (std::int64_t j = 0; j < 200; ++j) {
        CHECK(sums.c.data[static_cast<std::size_t>(j)] == sums.expected(0, batch, j));
      }
    }
  }
}

TEST_CASE("of a batch coordinate only the sums that are not finite are computed again") {
  Program program = column_sums(false);
  program.steps[0].exact = {exact, {buffer(kC), buffer(kR)}};
  const Executor executor(program);
  for (const int threads : {1, 3}) {
    Sums sums(3, 30, 200, false);
    sums.x.data[30 + 7] = std::numeric_limits<float>::infinity();
    CHECK(sums.run(executor, threads).message == "");
    for (std::int64_t n = 0; n < 600; ++n) {
      const std::int64_t b = n / 200;
      CHECK(sums.c.data[static_cast<std::size_t>(n)] ==
            (b == 1 ? -1 : sums.expected(b, b + 1, n % 200)));
    }
    for (std::size_t n = 0; n < 90; ++n) {
      CHECK(sums.r.data[n] == static_cast<float>(n % 30));
    }
  }
}

}  // namespace fovea::runtime
