#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <limits>

#include "tests/runtime/kernels.h"

namespace fovea::runtime {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int kTile = 4, kBlock = 3, kChunk = 2;
enum Symbols { kB, kI, kJ };
enum Buffers { kX, kO, kPartial, kDoubt };

// o[b, i] = sum over visible j of x[b, j] * (i + 1), where j <= i is visible if there is a mask.
// partial[row of the tile] is scratch.
int prepare(void** arguments) {
  const halide_buffer_t& partial = array(arguments, 0);
  for (int r = 0; r < kTile; ++r) at(partial, {r}) = 0;
  return 0;
}

template <bool Masked>
int step(void** arguments) {
  const halide_buffer_t &x = array(arguments, 0), &partial = array(arguments, 1),
                        &blocks = array(arguments, 6);
  const int b = integer(arguments, 2), row = integer(arguments, 3), here = integer(arguments, 4),
            clear = integer(arguments, 5), columns = integer(arguments, 7);
  if (here < 1 || here > kChunk || clear < 0 || clear > here || blocks.dim[0].extent != here)
    return 1;
  if (!Masked && clear != here) return 2;
  for (int n = 0; n < here; ++n) {
    const int block = at<std::int32_t>(blocks, {n});
    for (int j = block * kBlock; j < std::min((block + 1) * kBlock, columns); ++j) {
      for (int r = 0; r < kTile; ++r) {
        const bool visible = !Masked || n < clear || j <= row + r;
        if (visible) at(partial, {r}) += at(x, {b, j}) * static_cast<float>(row + r + 1);
      }
    }
  }
  return 0;
}

int finish(void** arguments) {
  const halide_buffer_t &partial = array(arguments, 0), &o = array(arguments, 1);
  const int b = integer(arguments, 2), row = integer(arguments, 3);
  for (int r = 0; r < kTile && row + r < o.dim[0].extent; ++r)
    at(o, {b, row + r}) = at(partial, {r});
  return 0;
}

int finish_and_doubt_17(void** arguments) {
  if (integer(arguments, 3) <= 17 && 17 < integer(arguments, 3) + kTile) {
    at<std::int32_t>(array(arguments, 4), {17 - integer(arguments, 3)}) = 1;
  }
  return finish(arguments);
}

// -1 over whatever is asked for, whose coordinates are added up: -1 - 1000 * b - i.
int exact(void** arguments) {
  const halide_buffer_t& o = array(arguments, 0);
  for (int b = o.dim[1].min; b < o.dim[1].min + o.dim[1].extent; ++b) {
    for (int i = o.dim[0].min; i < o.dim[0].min + o.dim[0].extent; ++i) {
      at(o, {b, i}) = static_cast<float>(-1 - 1000 * b - i);
    }
  }
  return 0;
}

Predicate lower_triangle() {
  using Kind = PredicateOp::Kind;
  return {{Kind::column, 0}, {Kind::row, 0}, {Kind::le, 0}};
}

Program scaled_sums(bool masked) {
  Program program;
  program.symbols = {{"b", {}, -1}, {"i", {}, -1}, {"j", {}, -1}};
  program.buffers = {input("x", Dtype::F32, {extent(kB), extent(kJ)}),
                     output("o", Dtype::F32, {extent(kB), extent(kI)}),
                     scratch("partial", Dtype::F32, {number(kTile)}),
                     scratch("doubt", Dtype::I32, {number(kTile)})};
  Step plane;
  plane.name = "sums";
  Tiled& tiled = plane.work.emplace<Tiled>();
  tiled.batch = {kB};
  tiled.rows = kI;
  tiled.columns = kJ;
  tiled.row_tile = kTile;
  tiled.column_block = kBlock;
  tiled.chunk = kChunk;
  tiled.prepare = {prepare, {buffer(kPartial)}};
  tiled.step = {masked ? step<true> : step<false>,
                {buffer(kX), buffer(kPartial), batch(0), kRow, kHere, kClear, kBlocks, size(kJ)}};
  tiled.finish = {finish, {buffer(kPartial), buffer(kO), batch(0), kRow}};
  if (masked) tiled.mask = {lower_triangle(), lower_triangle(), {}};
  tiled.results = {{kO, {0, Tiled::kRows}}};
  program.steps = {plane};
  return program;
}

struct Sums {
  Sums(std::int64_t batch, std::int64_t rows, std::int64_t columns)
      : x({batch, columns}), o({batch, rows}, NAN), rows(rows), columns(columns) {
    for (std::size_t n = 0; n < x.data.size(); ++n) x.data[n] = static_cast<float>(n % 7);
  }
  Status run(const Executor& executor, int threads = 1) {
    const Binding bindings[] = {{"x", x.view()}, {"o", o.view()}};
    const NamedSize sizes[] = {{"i", rows}};
    return executor.run(bindings, sizes, {threads});
  }
  float expected(std::int64_t b, std::int64_t i, bool masked) const {
    float sum = 0;
    for (std::int64_t j = 0; j < (masked ? std::min(columns, i + 1) : columns); ++j) {
      sum += x.data[static_cast<std::size_t>(b * columns + j)] * static_cast<float>(i + 1);
    }
    return sum;
  }
  float& result(std::int64_t b, std::int64_t i) {
    return o.data[static_cast<std::size_t>(b * rows + i)];
  }
  Numbers<float> x, o;
  std::int64_t rows, columns;
};

}  // namespace

TEST_CASE("every tile sees every block, and only the visible ones of a mask") {
  for (const bool masked : {false, true}) {
    const Executor executor(scaled_sums(masked));
    for (const std::int64_t batch : {0, 1, 3}) {
      for (const std::int64_t rows : {0, 1, 4, 7, 30, 150}) {
        for (const std::int64_t columns : {0, 1, 3, 7, 40, 100}) {
          for (const int threads : {1, 3}) {
            Sums sums(batch, rows, columns);
            CHECK(sums.run(executor, threads).message == "");
            bool right = true;
            for (std::int64_t b = 0; b < batch; ++b) {
              for (std::int64_t i = 0; i < rows; ++i) {
                right &= sums.result(b, i) == sums.expected(b, i, masked);
              }
            }
            CHECK(right);
          }
        }
      }
    }
  }
}

TEST_CASE("rows with a non-finite result are computed again exactly, the others stay") {
  Program program = scaled_sums(true);
  program.steps[0].exact = {exact, {buffer(kO)}};
  const Executor executor(program);
  for (const int threads : {1, 3}) {
    Sums sums(2, 30, 30);
    sums.x.data[30 + 25] = kInfinity;  // seen by the rows from 25 on of the second batch coordinate
    CHECK(sums.run(executor, threads).ok());
    for (std::int64_t i = 0; i < 30; ++i) {
      CHECK(sums.result(0, i) == sums.expected(0, i, true));
      const bool again = i >= 25;  // though the tile begins at 24
      CHECK(sums.result(1, i) ==
            (again ? static_cast<float>(-1001 - i) : sums.expected(1, i, true)));
    }
  }
}

TEST_CASE("rows in doubt are computed again though their results are finite") {
  Program program = scaled_sums(false);
  program.steps[0].exact = {exact, {buffer(kO)}};
  std::get<Tiled>(program.steps[0].work).finish = {
      finish_and_doubt_17, {buffer(kPartial), buffer(kO), batch(0), kRow, buffer(kDoubt)}};
  std::get<Tiled>(program.steps[0].work).doubt = kDoubt;
  Sums sums(2, 30, 5);
  CHECK(sums.run(Executor(program)).ok());
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t i = 0; i < 30; ++i) {
      const bool again = i == 17;
      CHECK(sums.result(b, i) ==
            (again ? static_cast<float>(-1 - 1000 * b - i) : sums.expected(b, i, false)));
    }
  }
}

TEST_CASE("what intervals leave open is asked of the evaluator") {
  Program program = scaled_sums(true);
  using Kind = PredicateOp::Kind;
  std::get<Tiled>(program.steps[0].work).mask.visible =
      std::get<Tiled>(program.steps[0].work).mask.solid = {{Kind::unknown, 0}};
  std::get<Tiled>(program.steps[0].work).mask.evaluate = {
      [](void** arguments) {
        const halide_buffer_t &any = array(arguments, 0), &all = array(arguments, 1);
        const int row = integer(arguments, 2);
        if (any.dim[0].extent != all.dim[0].extent) return 1;
        for (int n = 0; n < any.dim[0].extent; ++n) {
          any.host[n] = n * kBlock <= row + kTile - 1;
          all.host[n] = (n + 1) * kBlock - 1 <= row;
        }
        return 0;
      },
      {kAny, kAll, kRow}};
  const Executor executor(program);
  for (const int threads : {1, 3}) {
    Sums sums(3, 150, 100);
    CHECK(sums.run(executor, threads).message == "");
    for (std::int64_t i = 0; i < 150; ++i) CHECK(sums.result(2, i) == sums.expected(2, i, true));
  }
}

TEST_CASE("functions of a tile that fail are named") {
  const auto fail = [](void**) { return 9; };
  for (Call Tiled::*which : {&Tiled::prepare, &Tiled::step, &Tiled::finish}) {
    Program program = scaled_sums(false);
    (std::get<Tiled>(program.steps[0].work).*which).function = fail;
    const Executor executor(program);
    for (const int threads : {1, 3}) {
      Sums sums(3, 150, 100);
      CHECK(sums.run(executor, threads).message == "step 'sums' returned 9");
    }
  }
}

TEST_CASE("the crop starts at its first element, whatever order the layout has") {
  // o[i, b]: rows slowest.
  Program program = scaled_sums(false);
  program.buffers[kO].shape = {extent(kI), extent(kB)};
  std::get<Tiled>(program.steps[0].work).results = {{kO, {Tiled::kRows, 0}}};
  std::get<Tiled>(program.steps[0].work).finish.function = [](void** arguments) {
    const halide_buffer_t& o = array(arguments, 1);
    const int b = integer(arguments, 2), row = integer(arguments, 3);
    for (int r = 0; r < kTile && row + r < o.dim[1].extent; ++r) {
      at(o, {row + r, b}) = row == 8 && b == 1 && r == 1 ? kInfinity : 5;
    }
    return 0;
  };
  program.steps[0].exact = {[](void** arguments) {
                              const halide_buffer_t& o = array(arguments, 0);
                              if (o.dim[0].min != 1 || o.dim[0].extent != 1) return 1;
                              if (o.dim[1].min != 9 || o.dim[1].extent != 1) return 2;
                              at(o, {9, 1}) = 9;
                              return 0;
                            },
                            {buffer(kO)}};
  Numbers<float> x({2, 5}), o({10, 2}, NAN);
  const Binding bindings[] = {{"x", x.view()}, {"o", o.view()}};
  const NamedSize sizes[] = {{"i", 10}};
  CHECK(run(program, bindings, sizes).message == "");
  for (std::size_t i = 0; i < 10; ++i) {
    CHECK(o.data[2 * i] == 5);
    CHECK(o.data[2 * i + 1] == (i == 9 ? 9 : 5));
  }
}

TEST_CASE("steps before their first use of memory find an empty output and leave") {
  const Executor executor(scaled_sums(false));
  Sums sums(0, 5, 5);
  const std::int64_t shape[] = {0, 5};
  const Binding bindings[] = {{"x", {nullptr, Dtype::F32, shape, {}}},
                              {"o", {nullptr, Dtype::F32, shape, {}}}};
  const NamedSize sizes[] = {{"i", 5}};
  CHECK(executor.run(bindings, sizes).ok());
}

}  // namespace fovea::runtime
