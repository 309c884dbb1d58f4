// Runs that follow one of the same shapes: no allocation, little time, from many threads at once.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <new>
#include <thread>

#include "tests/runtime/kernels.h"

namespace {

std::atomic<long> allocations{0};

void* count_and_allocate(std::size_t bytes, std::size_t alignment) {
  ++allocations;
  return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment + alignment);
}

}  // namespace

void* operator new(std::size_t bytes) { return count_and_allocate(bytes, 16); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return count_and_allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return count_and_allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  std::free(memory);
}

namespace fovea::runtime {

namespace {

// Every kind of step and memory: a stored sum, a plane with an accumulator, a mask and a scratch
// buffer, a ragged axis, an input that is not dense.
enum Symbols { kB, kI, kJ, kN };
enum Buffers { kA, kDegree, kSum, kC, kO, kScratch, kTable };

Program everything() {
  Program program;
  program.symbols = {{"b", {}, -1}, {"i", {}, -1}, {"j", {}, -1}, {"n", {}, kDegree}};
  program.buffers = {input("a", Dtype::F32, {extent(kB), extent(kI)}),
                     input("degree", Dtype::I32, {extent(kI)}),
                     stored("sum", Dtype::F32, {extent(kB), extent(kI)}, 0),
                     output("c", Dtype::F32, {extent(kB), extent(kJ)}),
                     output("o", Dtype::F32, {extent(kB), extent(kI)}),
                     scratch("scratch", Dtype::F32, {number(8)}),
                     stored("table", Dtype::F32, {extent(kN)}, 0)};
  program.slots = 1;
  Step plane;
  plane.name = "plane";
  Tiled& tiled = plane.work.emplace<Tiled>();
  tiled.batch = {kB};
  tiled.rows = kI;
  tiled.columns = kJ;
  tiled.row_tile = 8;
  tiled.column_block = 4;
  tiled.chunk = 3;
  tiled.step = {[](void** arguments) {
                  const halide_buffer_t &sum = array(arguments, 0), &c = array(arguments, 1),
                                        &blocks = array(arguments, 2);
                  const int b = integer(arguments, 3), row = integer(arguments, 4);
                  for (int n = 0; n < blocks.dim[0].extent; ++n) {
                    const int first = 4 * at<std::int32_t>(blocks, {n});
                    for (int j = first; j < std::min(first + 4, c.dim[0].extent); ++j)
                      at(c, {b, j}) += at(sum, {b, row});
                  }
                  return 0;
                },
                {buffer(kSum), buffer(kC), kBlocks, batch(0), kRow}};
  tiled.finish = {[](void** arguments) {
                    const halide_buffer_t &sum = array(arguments, 0), &o = array(arguments, 1),
                                          &scratch = array(arguments, 4);
                    const int b = integer(arguments, 2), row = integer(arguments, 3);
                    for (int r = 0; r < 8 && row + r < o.dim[0].extent; ++r) {
                      at(scratch, {r}) = 2 * at(sum, {b, row + r});
                      at(o, {b, row + r}) = at(scratch, {r});
                    }
                    return 0;
                  },
                  {buffer(kSum), buffer(kO), batch(0), kRow, buffer(kScratch)}};
  tiled.accumulators = {{kC, 0}};
  tiled.results = {{kC, {0, Tiled::kWhole}}, {kO, {0, Tiled::kRows}}};
  plane.exact = {[](void**) { return 1; }, {buffer(kC), buffer(kO)}};
  program.steps = {plain("sum", add_arrays, {buffer(kA), buffer(kA), buffer(kSum)}, {kSum}, true),
                   plane};
  return program;
}

struct Case {
  Case(std::int64_t batch, std::int64_t rows, std::int64_t columns)
      : a({rows, batch}),
        degree({rows}, 3),
        c({batch, columns}, NAN),
        o({batch, rows}, NAN),
        columns(columns) {
    for (std::size_t n = 0; n < a.data.size(); ++n) a.data[n] = static_cast<float>(n % 11);
    a.shape = {batch, rows};  // transposed
    strides = {1, batch};
  }
  Status run(const Executor& executor, int threads) {
    View transposed = a.view();
    transposed.strides = strides;
    const Binding bindings[] = {
        {"a", transposed}, {"degree", degree.view()}, {"c", c.view()}, {"o", o.view()}};
    const NamedSize sizes[] = {{"j", columns}};
    return executor.run(bindings, sizes, {threads});
  }
  Numbers<float> a;
  Numbers<std::int32_t> degree;
  Numbers<float> c, o;
  std::vector<std::int64_t> strides;
  std::int64_t columns;
};

}  // namespace

TEST_CASE("runs with the shapes of an earlier run allocate nothing") {
  const Executor executor(everything());
  for (const int threads : {1, 2}) {
    Case small(2, 10, 9), large(3, 300, 200);
    CHECK(small.run(executor, threads).message == "");
    CHECK(large.run(executor, threads).message == "");
    const std::vector<float> c = large.c.data, o = large.o.data;
    const long before = allocations;
    bool ok = true;
    for (int n = 0; n < 20; ++n)
      ok &= small.run(executor, threads).ok() && large.run(executor, threads).ok();
    const long made = allocations - before;
    CHECK(made == 0);
    CHECK(ok);
    CHECK(large.c.data == c);
    CHECK(large.o.data == o);
  }
}

TEST_CASE("one executor serves many threads at once, each with its own shapes and bits") {
  const Executor executor(everything());
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 6; ++caller) {
    callers.emplace_back([&, caller] {
      Case expected(1 + caller % 3, 20 + 37 * caller, 90), got = expected;
      if (!expected.run(Executor(everything()), 1).ok()) ++wrong;
      for (int n = 0; n < 60; ++n) {
        std::ranges::fill(got.c.data, NAN);
        std::ranges::fill(got.o.data, NAN);
        if (!got.run(executor, 1 + n % 3).ok()) ++wrong;
        if (got.c.data != expected.c.data || got.o.data != expected.o.data) ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("executors share threads") {
  const auto pool = std::make_shared<ThreadPool>();
  const Executor one(everything(), pool), two(everything(), pool);
  Case a(3, 300, 200), b(3, 300, 200);
  CHECK(a.run(one, 3).ok());
  CHECK(b.run(two, 3).ok());
  CHECK(a.c.data == b.c.data);
}

TEST_CASE("what a run costs besides its functions") {
  Program program;
  program.symbols = {{"i", {}, -1}, {"d", number(8), -1}};
  program.buffers = {input("q", Dtype::F32, {extent(0), extent(1)}),
                     input("k", Dtype::F32, {extent(0), extent(1)}),
                     input("v", Dtype::F32, {extent(0), extent(1)}),
                     output("o", Dtype::F32, {extent(0), extent(1)}),
                     scratch("tile", Dtype::F32, {number(64)})};
  Step plane;
  Tiled& tiled = plane.work.emplace<Tiled>();
  tiled.rows = tiled.columns = 0;
  tiled.row_tile = tiled.column_block = 8;
  tiled.chunk = 4;
  const auto nothing = [](void**) { return 0; };
  tiled.prepare = tiled.finish = {nothing, {buffer(0), buffer(4), kRow}};
  tiled.step = {nothing, {buffer(1), buffer(2), buffer(4), kBlocks, kHere, kClear}};
  tiled.results = {{3, {Tiled::kRows, Tiled::kWhole}}};
  plane.exact = {nothing, {buffer(3)}};
  program.steps = {plane};
  const Executor executor(program);
  Numbers<float> q({8, 8}), k({8, 8}), v({8, 8}), o({8, 8});
  const Binding bindings[] = {{"q", q.view()}, {"k", k.view()}, {"v", v.view()}, {"o", o.view()}};
  double best = 1e9;
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int n = 0; n < 1000; ++n) {
      if (!executor.run(bindings, {}, {1}).ok()) FAIL("a run failed");
    }
    best = std::min(
        best,
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() /
            1000);
  }
  MESSAGE("a run with four tensors and one tile costs ", best, " ns besides its functions");
}

}  // namespace fovea::runtime
