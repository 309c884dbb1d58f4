#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "tests/runtime/kernels.h"

namespace fovea::runtime {

namespace {

enum Symbols { kI, kN, kDouble };

int fill_table(void** arguments) {
  const halide_buffer_t &degree = array(arguments, 0), &table = array(arguments, 1);
  for (int i = 0; i < table.dim[1].extent; ++i) {
    for (int n = 0; n < table.dim[0].extent; ++n) {
      at(table, {i, n}) = n < 2 * at<std::int32_t>(degree, {i}) ? 1.f : 0.f;
    }
  }
  return 0;
}

int sum_table(void** arguments) {
  const halide_buffer_t &table = array(arguments, 0), &o = array(arguments, 1);
  if (table.dim[0].extent != integer(arguments, 2)) return 1;
  for (int i = 0; i < table.dim[1].extent; ++i) {
    at(o, {i}) = static_cast<float>(100 * table.dim[0].extent);
    for (int n = 0; n < table.dim[0].extent; ++n) at(o, {i}) += at(table, {i, n});
  }
  return 0;
}

int copy_degrees(void** arguments) {
  const halide_buffer_t &from = array(arguments, 0), &to = array(arguments, 1);
  std::memcpy(to.host, from.host, 4 * static_cast<std::size_t>(from.dim[0].extent));
  return 0;
}

// n < degree[i]; table[i, 2 n] is stored between steps; o[i] = 200 largest + 2 degree.
Program ragged(bool computed) {
  Program program;
  program.symbols = {{"i", {}, -1},
                     {"n", {}, computed ? 3 : 0},
                     {"double", combine(SizeTerm::Kind::mul, number(2), extent(kN)), -1}};
  program.buffers = {input("degree", Dtype::I32, {extent(kI)}),
                     output("o", Dtype::F32, {extent(kI)}),
                     stored("table", Dtype::F32, {extent(kI), extent(kDouble)}, 0),
                     stored("computed", Dtype::I32, {extent(kI)}, 1)};
  program.slots = 2;
  if (computed) {
    program.steps.push_back(plain("degrees", copy_degrees, {buffer(0), buffer(3)}, {3}));
  }
  program.steps.push_back(plain("table", fill_table, {buffer(0), buffer(2)}, {2}));
  program.steps.push_back(plain("sum", sum_table, {buffer(2), buffer(1), size(kDouble)}, {1}));
  return program;
}

Status run(const Executor& executor, Numbers<std::int32_t>& degree, Numbers<float>& o) {
  const Binding bindings[] = {{"degree", degree.view()}, {"o", o.view()}};
  return executor.run(bindings, {}, {1});
}

}  // namespace

TEST_CASE("a ragged axis has the largest of its extents, from run to run") {
  for (const bool computed : {false, true}) {
    const Executor executor(ragged(computed));
    for (const std::vector<std::int32_t>& degrees : std::vector<std::vector<std::int32_t>>{
             {1, 3, 2}, {1, 3, 2}, {40, 0, 1}, {0, 0, 0}, {2, 2, 2}, {}, {9}}) {
      Numbers<std::int32_t> degree({static_cast<std::int64_t>(degrees.size())});
      degree.data = degrees;
      Numbers<float> o(degree.shape, NAN);
      CHECK(run(executor, degree, o).message == "");
      std::int32_t largest = 0;
      for (const std::int32_t value : degrees) largest = std::max(largest, value);
      for (std::size_t i = 0; i < degrees.size(); ++i) {
        CHECK(o.data[i] == static_cast<float>(200 * largest + 2 * degrees[i]));
      }
    }
  }
}

TEST_CASE("extents that cannot be, and the run after them") {
  for (const bool computed : {false, true}) {
    const Executor executor(ragged(computed));
    Numbers<std::int32_t> degree({3});
    Numbers<float> o({3});
    const auto check = [&](std::vector<std::int32_t> degrees, Code code,
                           const std::string& message) {
      degree.data = std::move(degrees);
      const Status status = run(executor, degree, o);
      CHECK(status.message == message);
      CHECK(name(status.code) == name(code));
    };
    check({1, 2, 3}, Code::ok, "");
    check({1, -2, 3}, Code::invalid_input,
          std::string("tensor '") + (computed ? "computed" : "degree") +
              "' holds -2, expected extents of axis 'n', which are not negative");
    check({1, 2, 3}, Code::ok, "");
    CHECK(o.data[0] == 602);
    check({1, INT32_MAX, 3}, Code::input_too_large,
          "axis 'double' has the extent 4294967294, expected at most 2147483647");
    check({1, 1 << 30, 3}, Code::input_too_large,
          "axis 'double' has the extent 2147483648, expected at most 2147483647");
    check({1, 1 << 29, 3}, Code::needs_wide_indices,
          "tensor 'table' has more elements than indices of 32 bits reach");
    check({1, 2, 4}, Code::ok, "");
    CHECK(o.data[0] == 802);
  }
}

TEST_CASE("the size of a ragged axis is not the caller's to give") {
  Numbers<std::int32_t> degree({3});
  Numbers<float> o({3});
  const Binding bindings[] = {{"degree", degree.view()}, {"o", o.view()}};
  const NamedSize sizes[] = {{"n", 3}};
  CHECK(run(ragged(false), bindings, sizes).message ==
        "the size of axis 'n' is given as 3, expected none: it is ragged, its extents are in "
        "'degree'");
}

TEST_CASE("extents in small types") {
  for (const Dtype type : {Dtype::U8, Dtype::I8, Dtype::I4, Dtype::Bool}) {
    Program program;
    program.symbols = {{"i", {}, -1}, {"n", {}, 0}};
    program.buffers = {input("degree", type, {number(2), extent(0)}),
                       output("o", Dtype::F32, {number(1)})};
    program.steps = {plain("size",
                           [](void** arguments) {
                             at(array(arguments, 0), {0}) =
                                 static_cast<float>(integer(arguments, 1));
                             return 0;
                           },
                           {buffer(1), size(1)}, {1})};
    const std::int64_t shape[] = {2, 3}, one[] = {1};
    // As i4: 1 0 1, 0 1 7 with paddings that would be 15; as bytes 1 0 1 1 0 1.
    std::uint8_t packed[] = {0x01, 0xf1, 0x10, 0xf7}, bytes[] = {1, 0, 1, 1, 0, 1};
    float o = 0;
    const auto run_with = [&](std::uint8_t* data) {
      const Binding bindings[] = {{"degree", {data, type, shape, {}}},
                                  {"o", {&o, Dtype::F32, one, {}}}};
      return run(program, bindings);
    };
    CHECK(run_with(type == Dtype::I4 ? packed : bytes).message == "");
    CHECK(o == (type == Dtype::I4 ? 7 : 1));
    packed[0] = 0x81;
    bytes[1] = 0xff;
    const bool is_signed = type == Dtype::I4 || type == Dtype::I8;
    CHECK(run_with(type == Dtype::I4 ? packed : bytes).ok() != is_signed);
    if (!is_signed) CHECK(o == 255);
  }
}

TEST_CASE("coordinates are checked against their axis") {
  Program program;
  program.symbols = {{"j", {}, -1}};
  program.buffers = {input("bounds", Dtype::I32, {number(2)}), stored("low", Dtype::I32, {}, 0),
                     stored("high", Dtype::I32, {}, 1)};
  program.slots = 2;
  const auto pick = [](void** arguments) {
    at<std::int32_t>(array(arguments, 1), {}) = at<std::int32_t>(array(arguments, 0), {0});
    at<std::int32_t>(array(arguments, 2), {}) = at<std::int32_t>(array(arguments, 0), {1});
    return 0;
  };
  Step check;
  check.work = Check{1, 2, 0, "coordinate of k[j = neighbour] along j"};
  program.steps = {plain("bounds", pick, {buffer(0), buffer(1), buffer(2)}, {1, 2}), check};
  const auto run_with = [&](std::int32_t low, std::int32_t high, std::int64_t extent) {
    std::int32_t bounds[] = {low, high};
    const std::int64_t two[] = {2};
    const Binding bindings[] = {{"bounds", {bounds, Dtype::I32, two, {}}}};
    const NamedSize sizes[] = {{"j", extent}};
    return run(program, bindings, sizes);
  };
  CHECK(run_with(0, 9, 10).ok());
  CHECK(run_with(INT32_MAX, INT32_MIN, 0).ok());
  const Status low = run_with(-3, 9, 10), high = run_with(0, 10, 10);
  CHECK(low.code == Code::out_of_bounds);
  CHECK(low.message ==
        "coordinate of k[j = neighbour] along j is -3, expected one from 0 to below 10");
  CHECK(high.code == Code::out_of_bounds);
  CHECK(high.message ==
        "coordinate of k[j = neighbour] along j is 10, expected one from 0 to below 10");
}

TEST_CASE("programs that contradict themselves are refused") {
  const auto message = [](const Program& program) { return run(program, {}).message; };
  const std::string begin = "the program is inconsistent: ";
  Program program = addition();
  program.buffers[2].role = Buffer::Role::stored;
  CHECK(message(program) == begin + "buffer 'c' has no slot");
  program = addition();
  program.symbols[0].size = extent(7);
  CHECK(message(program) == begin + "axis 'i' needs an unknown one");
  program.symbols[0].size = extent(1);
  program.symbols[1].size = extent(0);
  CHECK(message(program) == begin + "axes need each other's extents");
  program = addition();
  program.symbols[0].largest_of = 0;
  CHECK(message(program) == begin + "axis 'i' has no integer degree");
  program = ragged(true);
  program.steps.erase(program.steps.begin());
  CHECK(message(program) == begin + "nothing computes the degree of axis 'n'");
  program = addition();
  std::get<Plain>(program.steps[0].work).call.arguments[1].index = 3;
  CHECK(message(program) == begin + "an argument of step 'add' does not exist");
  std::get<Plain>(program.steps[0].work).call.arguments[1] = kRow;
  CHECK(message(program) == begin + "an argument of step 'add' does not exist");
  program = addition();
  std::get<Plain>(program.steps[0].work).results = {5};
  CHECK(message(program) == begin + "a result of step 'add' does not exist");
  std::get<Plain>(program.steps[0].work).results = {};
  CHECK(message(program) == begin + "step 'add' has no result");
  program = addition();
  program.steps[0].work = Tiled();
  CHECK(message(program) == begin + "step 'add' has no plane");
}

}  // namespace fovea::runtime
