#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <set>

#include "tests/runtime/kernels.h"

namespace fovea::runtime {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// What the exact form does to be told apart: writes 7 over what it is asked for.
int write_sevens(void** arguments) {
  const halide_buffer_t& c = array(arguments, 0);
  for (std::int32_t i = c.dim[1].min; i < c.dim[1].min + c.dim[1].extent; ++i) {
    for (std::int32_t d = c.dim[0].min; d < c.dim[0].min + c.dim[0].extent; ++d) {
      at(c, {i, d}) = 7;
    }
  }
  return 0;
}

int fail(void**) { return 3; }

struct Addends {
  explicit Addends(std::int64_t rows, std::int64_t width = 5)
      : a({rows, width}), b({rows, width}), c({rows, width}, NAN) {
    for (std::size_t n = 0; n < a.data.size(); ++n) {
      a.data[n] = static_cast<float>(n % 1000);
      b.data[n] = 100 * static_cast<float>(n % 1000);
    }
  }
  Status run(const Executor& executor, int threads = 1) {
    const Binding bindings[] = {{"c", c.view()}, {"a", a.view()}, {"b", b.view()}};
    return executor.run(bindings, {}, {threads});
  }
  bool is_right() const {
    for (std::size_t n = 0; n < a.data.size(); ++n) {
      if (c.data[n] != a.data[n] + b.data[n]) return false;
    }
    return true;
  }
  Numbers<float> a, b, c;
};

}  // namespace

TEST_CASE("a plain step writes its result, for any extents, one executor serving all") {
  const Executor executor(addition());
  for (const std::int64_t rows : {1, 3, 64, 0, 3, 1000, 1}) {
    Addends numbers(rows);
    CHECK(numbers.run(executor).message == "");
    CHECK(numbers.is_right());
  }
}

TEST_CASE("the times of steps are written where there is room for exactly all of them") {
  const Executor executor(addition());
  Addends numbers(1000);
  const Binding bindings[] = {
      {"c", numbers.c.view()}, {"a", numbers.a.view()}, {"b", numbers.b.view()}};
  std::vector<double> times(executor.program().steps.size(), -1);
  CHECK(executor.run(bindings, {}, {.threads = 1, .step_times = times}).message == "");
  for (const double seconds : times) CHECK(seconds >= 0);
  times.push_back(-1);
  CHECK(executor.run(bindings, {}, {.threads = 1, .step_times = times}).message ==
        "there is room for the times of 2 steps, expected 1");
  std::vector<Visits> visits(2);
  CHECK(executor.run(bindings, {}, {.threads = 1, .visits = visits}).message ==
        "there is room for the visits of 2 steps, expected 1");
}

TEST_CASE("pieces of a divisible step make the whole, on any number of threads") {
  const Executor executor(addition(true));
  for (const std::int64_t rows : {1, 7, 1000, 40001}) {
    for (const int threads : {1, 2, 5}) {
      Addends numbers(rows);
      CHECK(numbers.run(executor, threads).message == "");
      CHECK(numbers.is_right());
    }
  }
}

TEST_CASE("the same pieces for any number of threads") {
  struct Pieces {
    static Pieces& of(void** arguments) {
      return **reinterpret_cast<Pieces**>(array(arguments, 0).host);
    }
    std::mutex mutex;
    std::set<std::pair<int, int>> seen;
  };
  // The address of `pieces` is an input: functions know nothing but their arguments.
  const auto note = [](void** arguments) {
    const halide_buffer_t& c = array(arguments, 1);
    Pieces& pieces = Pieces::of(arguments);
    const std::lock_guard lock(pieces.mutex);
    pieces.seen.emplace(c.dim[0].min, c.dim[0].extent);
    return 0;
  };
  Program program;
  program.symbols = {{"i", {}, -1}};
  program.buffers = {input("where", Dtype::U8, {number(8)}),
                     output("c", Dtype::F32, {number(1), extent(0)})};
  program.steps = {plain("note", note, {buffer(0), buffer(1)}, {1}, true)};
  const Executor executor(program);
  std::set<std::pair<int, int>> first;
  for (const int threads : {1, 3}) {
    Pieces pieces;
    Pieces* address = &pieces;
    Numbers<float> c({1, 200000});
    const std::int64_t eight[] = {8};
    const Binding bindings[] = {{"where", {&address, Dtype::U8, eight, {}}}, {"c", c.view()}};
    const NamedSize sizes[] = {{"i", 200000}};
    CHECK(executor.run(bindings, sizes, {threads}).message == "");
    CHECK(pieces.seen.size() > 1);
    int next = 0;
    for (const auto& [min, count] : pieces.seen) {
      CHECK(min == next);
      next += count;
    }
    CHECK(next == 200000);
    if (first.empty()) first = pieces.seen;
    CHECK(first == pieces.seen);
  }
}

TEST_CASE("what comes out non-finite is computed again exactly, and only that") {
  for (const float bad : {kInfinity, -kInfinity, NAN}) {
    Program program = addition();
    program.steps[0].exact = {write_sevens, {buffer(2)}};
    const Executor executor(program);
    Addends good(50, 13), spoilt(50, 13);
    spoilt.a.data[649] = bad;
    CHECK(good.run(executor).ok());
    CHECK(good.is_right());
    CHECK(spoilt.run(executor).ok());
    CHECK(spoilt.c.data.back() == 7);
    for (std::size_t n = 0; n + 1 < spoilt.c.data.size(); ++n)
      CHECK(spoilt.c.data[n] == good.c.data[n]);
  }
}

TEST_CASE("of a divisible step only the elements that are not finite") {
  Program program = addition(true);
  program.steps[0].exact = {write_sevens, {buffer(2)}};
  const Executor executor(program);
  Addends numbers(40000);
  numbers.b.data[5 * 20000] = kInfinity;
  CHECK(numbers.run(executor, 2).ok());
  CHECK(numbers.c.data[5 * 20000] == 7);
  for (const int near : {5 * 20000 - 1, 5 * 20000 + 1, 5 * 20000 + 5}) {
    CHECK(numbers.c.data[static_cast<std::size_t>(near)] ==
          numbers.a.data[static_cast<std::size_t>(near)] +
              numbers.b.data[static_cast<std::size_t>(near)]);
  }
  CHECK(numbers.c.data.front() == 0);
  CHECK(numbers.c.data.back() == numbers.a.data.back() * 101);
}

TEST_CASE("the exact form is made when it is first needed") {
  struct Maker {
    Call call{write_sevens, {buffer(2)}};
    std::atomic<int> asked{0};
  } maker;
  Program program = addition();
  program.context = &maker;
  program.exact = [](void* context, int step) -> const Call* {
    Maker& made = *static_cast<Maker*>(context);
    ++made.asked;
    return step == 0 ? &made.call : nullptr;
  };
  const Executor executor(program);
  Addends numbers(3);
  CHECK(numbers.run(executor).ok());
  CHECK(maker.asked == 0);
  numbers.a.data[0] = kInfinity;
  CHECK(numbers.run(executor).ok());
  CHECK(maker.asked == 1);
  CHECK(numbers.c.data[0] == 7);

  program.exact = [](void*, int) -> const Call* { return nullptr; };
  CHECK(numbers.run(Executor(program)).ok());
  CHECK(numbers.c.data[0] == kInfinity);
}

TEST_CASE("without an exact form non-finite results stay") {
  Addends numbers(3);
  numbers.a.data[0] = kInfinity;
  CHECK(numbers.run(Executor(addition())).ok());
  CHECK(numbers.is_right());
}

TEST_CASE("a function that fails is named") {
  Program program = addition();
  std::get<Plain>(program.steps[0].work).call.function = fail;
  Addends numbers(3);
  const Status status = numbers.run(Executor(program));
  CHECK(status.code == Code::internal);
  CHECK(status.message == "step 'add' returned 3");
  program = addition();
  program.steps[0].exact = {fail, {}};
  numbers.a.data[0] = NAN;
  CHECK(numbers.run(Executor(program)).message == "the exact form of step 'add' returned 3");
}

TEST_CASE("values between steps live in the arena, in slots, with room behind their ends") {
  // t = a + b, u = t + b in another slot, v = u + b in the slot of t, c = v + b.
  Program program = addition();
  program.buffers.push_back(stored("t", Dtype::F32, {extent(0), extent(1)}, 0));
  program.buffers.push_back(stored("u", Dtype::F32, {extent(0), extent(1)}, 1));
  program.buffers.push_back(stored("v", Dtype::F32, {extent(0), extent(1)}, 0));
  program.slots = 2;
  program.steps = {plain("t", add_arrays, {buffer(0), buffer(1), buffer(3)}, {3}),
                   plain("u", add_arrays, {buffer(3), buffer(1), buffer(4)}, {4}),
                   plain("v", add_arrays, {buffer(4), buffer(1), buffer(5)}, {5}),
                   plain("c", add_arrays, {buffer(5), buffer(1), buffer(2)}, {2})};
  Program aligned = program;
  aligned.steps.push_back(plain("aligned",
                                [](void** arguments) {
                                  const auto* t = array(arguments, 0).host;
                                  const auto* u = array(arguments, 1).host;
                                  const bool apart = u + 4 * 15 + 256 <= t || t + 4 * 15 + 256 <= u;
                                  const bool shared = t == array(arguments, 2).host;
                                  return reinterpret_cast<std::uintptr_t>(t) % 64 +
                                                         reinterpret_cast<std::uintptr_t>(u) % 64 ==
                                                     0 &&
                                                 apart && shared
                                             ? 0
                                             : 1;
                                },
                                {buffer(3), buffer(4), buffer(5)}, {5}));
  Addends numbers(3);
  CHECK(numbers.run(Executor(aligned)).message == "");
  for (std::size_t n = 0; n < 15; ++n) CHECK(numbers.c.data[n] == 401 * numbers.a.data[n]);
}

}  // namespace fovea::runtime
