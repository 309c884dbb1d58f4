#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "runtime/strides.h"
#include "tests/runtime/kernels.h"

namespace fovea::runtime {

namespace {

// Axes: i and d from inputs, n by name, both = i + n, four = 4.
enum Symbols { kI, kD, kN, kBoth, kFour };

Program copying() {
  Program program;
  program.symbols = {{"rows", {}, -1},
                     {"d", {}, -1},
                     {"new", {}, -1},
                     {"both", combine(SizeTerm::Kind::add, extent(kI), extent(kN)), -1},
                     {"four", number(4), -1}};
  program.buffers = {input("queries", Dtype::F32, {extent(kI), extent(kD)}),
                     input("keys", Dtype::F32, {extent(kBoth), extent(kD)}),
                     input("weights", Dtype::F32, {extent(kFour)}),
                     output("out", Dtype::F32, {extent(kI), extent(kD)}),
                     output("other", Dtype::F32, {extent(kI), extent(kD)})};
  const auto copy = [](void** arguments) {
    const halide_buffer_t &q = array(arguments, 0), &o = array(arguments, 1);
    for (int i = 0; i < o.dim[1].extent; ++i) {
      for (int d = 0; d < o.dim[0].extent; ++d) at(o, {i, d}) = at(q, {i, d});
    }
    return 0;
  };
  program.steps = {plain("copy", copy, {buffer(0), buffer(3)}, {3}),
                   plain("copy", copy, {buffer(0), buffer(4)}, {4})};
  return program;
}

// A complete and correct call, to be spoilt.
struct Call3 {
  Numbers<float> queries{{3, 2}}, keys{{5, 2}}, weights{{4}}, out{{3, 2}}, other{{3, 2}};
  std::vector<Binding> bindings = {{"queries", queries.view()},
                                   {"keys", keys.view()},
                                   {"weights", weights.view()},
                                   {"out", out.view()},
                                   {"other", other.view()}};
  std::vector<NamedSize> sizes = {{"new", 2}};
  RunOptions options{1};
  Status run() const { return Executor(copying()).run(bindings, sizes, options); }
  View& view(std::size_t n) { return bindings[n].view; }
};

void check(const Call3& call, Code code, const std::string& message) {
  const Status status = call.run();
  CHECK(status.message == message);
  CHECK(name(status.code) == name(code));
}

}  // namespace

TEST_CASE("a correct call passes") { check({}, Code::ok, ""); }

TEST_CASE("names") {
  {
    Call3 call;
    call.bindings[1].name = "kesy";
    check(call, Code::invalid_config, "there is no tensor called 'kesy' (did you mean 'keys'?)");
    call.bindings[1].name = "z";
    check(call, Code::invalid_config,
          "there is no tensor called 'z', expected one of 'queries', 'keys', 'weights', 'out', "
          "'other'");
    call.bindings[1].name = "queries";
    check(call, Code::invalid_config, "tensor 'queries' is bound twice, expected once");
    call.bindings.erase(call.bindings.begin() + 1);
    check(call, Code::empty_input, "input 'keys' is not bound, expected a tensor of f32");
  }
  Call3 call;
  call.bindings.pop_back();
  check(call, Code::empty_input, "output 'other' is not bound, expected a tensor of f32");
}

TEST_CASE("types, ranks and extents") {
  const std::vector<std::int64_t> one = {3}, negative = {3, -2}, wrong = {3, 7}, long_keys = {6, 2};
  const std::vector<std::int64_t> huge = {65536, 65536}, wider = {INT64_MAX, 2}, five = {5};
  Call3 call;
  call.view(0).type = Dtype::BF16;
  check(call, Code::dimension_mismatch, "tensor 'queries' has type bf16, expected f32");
  call = {};
  call.view(0).shape = one;
  check(call, Code::dimension_mismatch, "tensor 'queries' has shape [3], expected 2 axes");
  call.view(0).shape = negative;
  check(call, Code::dimension_mismatch,
        "tensor 'queries' has shape [3, -2], expected no negative extent");
  call.view(0).shape = huge;
  check(call, Code::dimension_mismatch,
        "tensor 'keys' gives axis 'd' the extent 2, expected 65536 as in tensor 'queries'");
  call.view(0).shape = wider;
  check(
      call, Code::input_too_large,
      "tensor 'queries' has shape [9223372036854775807, 2], expected at most 2147483647 along each "
      "axis");
  call.view(0).shape = wrong;
  check(call, Code::dimension_mismatch,
        "tensor 'keys' gives axis 'd' the extent 2, expected 7 as in tensor 'queries'");
  Call3 keys;
  keys.view(1).shape = long_keys;
  check(keys, Code::dimension_mismatch,
        "tensor 'keys' has the extent 6 in dimension 0 (axis 'both'), expected 5");
  Call3 weights;
  weights.view(2).shape = five;
  check(weights, Code::dimension_mismatch,
        "tensor 'weights' has the extent 5 in dimension 0 (axis 'four'), expected 4");
  Call3 output;
  output.view(3).shape = wrong;
  check(output, Code::dimension_mismatch,
        "tensor 'out' has the extent 7 in dimension 1 (axis 'd'), expected 2");
}

TEST_CASE("sizes") {
  Call3 call;
  call.sizes = {};
  check(call, Code::empty_input,
        "the size of axis 'new' is missing, expected it by name, for no input has this axis");
  call.sizes = {{"knew", 2}};
  check(call, Code::invalid_config, "there is no axis called 'knew' (did you mean 'new'?)");
  call.sizes = {{"width", 2}};
  check(call, Code::invalid_config,
        "there is no axis called 'width', expected one of 'rows', 'd', 'new', 'both', 'four'");
  call.sizes = {{"new", -1}};
  check(call, Code::dimension_mismatch,
        "the size of axis 'new' is given as -1, expected one that is not negative");
  call.sizes = {{"new", 2}, {"new", 3}};
  check(call, Code::dimension_mismatch,
        "the size of axis 'new' is given as 3, expected 2 as in the same call");
  call.sizes = {{"new", 2}, {"rows", 4}};
  check(call, Code::dimension_mismatch,
        "the size of axis 'rows' is given as 4, expected 3 as in tensor 'queries'");
  call.sizes = {{"new", 2}, {"both", 6}};
  check(call, Code::dimension_mismatch,
        "the size of axis 'both' is given as 6, expected 5 = rows + new");
  call.sizes = {{"new", 2}, {"rows", 3}, {"both", 5}, {"four", 4}};
  check(call, Code::ok, "");
  call.sizes = {{"new", INT64_C(1) << 40}};
  check(call, Code::input_too_large,
        "axis 'new' has the extent 1099511627776, expected at most 2147483647");
}

TEST_CASE("more elements than indices of 32 bits reach are for functions of wide indices") {
  static std::int64_t slowest = 0;
  Program program;
  program.symbols = {{"a", {}, -1}, {"b", {}, -1}, {"c", {}, -1}};
  program.buffers = {input("x", Dtype::U8, {extent(0), extent(1), extent(2)}),
                     output("o", Dtype::F32, {extent(0)})};
  program.steps = {plain("step",
                         [](void** arguments) {
                           slowest = stride(array(arguments, 0), 2);
                           at(array(arguments, 1), {0}) = 1;
                           return 0;
                         },
                         {buffer(0), buffer(1)}, {1})};
  std::uint8_t nothing = 0;
  Numbers<float> o({1});
  const auto status = [&](const std::vector<std::int64_t>& shape) {
    const Binding bindings[] = {{"x", {&nothing, Dtype::U8, shape, {}}}, {"o", o.view()}};
    return run(program, bindings, {});
  };
  CHECK(status({1, 65536, 32767}).ok());
  CHECK(slowest == INT64_C(65536) * 32767);
  const Status far = status({1, 65536, 65536});
  CHECK(name(far.code) == name(Code::needs_wide_indices));
  CHECK(far.message == "tensor 'x' has more elements than indices of 32 bits reach");
  program.wide_indices = true;
  CHECK(status({1, 65536, 65536}).ok());
  CHECK(slowest == INT64_C(65536) * 65536);
  CHECK(status({1, 2147483647, 100'000}).ok());
  CHECK(slowest == INT64_C(2147483647) * 100'000);
  CHECK(status({1, 2147483647, 2147483647}).message ==
        "tensor 'x' has shape [1, 2147483647, 2147483647], expected a tensor within the address "
        "space");
}

TEST_CASE("derived extents") {
  using Kind = SizeTerm::Kind;
  const auto with = [](const Size& size) {
    Program program = addition();
    program.symbols.push_back({"n", size, -1});
    const std::int64_t shape[] = {3, 5};
    float data[45];
    const Binding bindings[] = {{"a", {data, Dtype::F32, shape, {}}},
                                {"b", {data + 15, Dtype::F32, shape, {}}},
                                {"c", {data + 30, Dtype::F32, shape, {}}}};
    std::fill_n(data, 45, 0.f);
    return run(program, bindings).message;
  };
  CHECK(with(combine(Kind::sub, extent(1), extent(0))) == "");
  CHECK(with(combine(Kind::sub, extent(0), extent(1))) ==
        "axis 'n' = i - d is -2, expected an extent that is not negative");
  CHECK(with(combine(Kind::mul, combine(Kind::sub, extent(0), extent(1)), number(2))) ==
        "axis 'n' = (i - d) * 2 is -4, expected an extent that is not negative");
  CHECK(with(combine(Kind::ceil_div, extent(0), number(0))) ==
        "axis 'n' = ceil(i / 0) is no number, expected an extent that is not negative");
  CHECK(with(combine(Kind::min, combine(Kind::div, number(-7), number(2)), number(9))) ==
        "axis 'n' = min((-7 / 2), 9) is -4, expected an extent that is not negative");
  CHECK(with(combine(Kind::max, extent(0), number(-1))) == "");
  CHECK(with(combine(Kind::mul, extent(0), number(INT64_MAX))) ==
        "axis 'n' = i * 9223372036854775807 is no number, expected an extent that is not negative");
}

TEST_CASE("memory") {
  Call3 call;
  call.view(0).data = nullptr;
  check(call, Code::empty_input, "tensor 'queries' has no data, expected 6 elements of f32");
  Call3 misaligned;
  misaligned.view(0).data = reinterpret_cast<char*>(misaligned.view(0).data) + 2;
  check(misaligned, Code::invalid_input,
        "tensor 'queries' begins 2 bytes past a multiple of its element size, expected alignment "
        "to 4 "
        "bytes");
  Call3 overlap;
  overlap.view(3).data = overlap.view(4).data;
  check(overlap, Code::invalid_input,
        "output 'out' overlaps 'other' in memory, expected memory of its own");
  Call3 in_place;
  in_place.view(3).data = in_place.view(0).data;
  check(in_place, Code::invalid_input,
        "output 'out' overlaps 'queries' in memory, expected memory of its own");
  Call3 shared_inputs;
  shared_inputs.view(2).data = shared_inputs.view(1).data;
  check(shared_inputs, Code::ok, "");
}

TEST_CASE("strides") {
  const std::vector<std::int64_t> one = {2}, zero = {0, 1}, crossing = {1, 1}, far = {INT64_MAX, 1};
  Call3 call;
  call.view(0).strides = one;
  check(call, Code::dimension_mismatch,
        "tensor 'queries' has strides [2], expected one for each of its 2 axes");
  call.view(0).strides = far;
  check(
      call, Code::input_too_large,
      "tensor 'queries' has strides [9223372036854775807, 1], expected a tensor within the address "
      "space");
  const std::vector<std::int64_t> back = {-(INT64_MAX / 8), 1};
  Call3 below;
  below.view(3).strides = back;
  check(below, Code::input_too_large,
        "tensor 'out' has strides [-1152921504606846975, 1], expected a tensor within the address "
        "space");
  Call3 broadcast;
  broadcast.view(0).strides = zero;
  check(broadcast, Code::ok, "");
  Call3 output;
  output.view(3).strides = zero;
  check(output, Code::invalid_input,
        "output 'out' of shape [3, 2] has strides [0, 1], expected ones that give every element "
        "its own "
        "place");
  output.view(3).strides = crossing;
  check(output, Code::invalid_input,
        "output 'out' of shape [3, 2] has strides [1, 1], expected ones that give every element "
        "its own "
        "place");
}

TEST_CASE("a tensor without elements may have extents whose product is beyond 64 bits") {
  Program program;
  for (const char* axis : {"a", "b", "c", "d"}) program.symbols.push_back({axis, {}, -1});
  program.buffers = {input("x", Dtype::F32, {extent(0), extent(1), extent(2), extent(3)}),
                     output("y", Dtype::F32, {extent(3), extent(2), extent(1), extent(0)})};
  const std::vector<std::int64_t> first = {0, INT32_MAX, INT32_MAX, INT32_MAX};
  const std::vector<std::int64_t> last(first.rbegin(), first.rend());
  const Binding bindings[] = {{"x", {nullptr, Dtype::F32, first, {}}},
                              {"y", {nullptr, Dtype::F32, last, {}}}};
  CHECK(Executor(program).run(bindings, {}, {1}).message == "");
}

TEST_CASE("threads") {
  Call3 call;
  call.options.threads = -1;
  check(call, Code::invalid_config,
        "the number of threads is -1, expected one from 0 (all of the machine) to 1024");
  call.options.threads = 0;
  check(call, Code::ok, "");
}

TEST_CASE("what the caller did wrong once does not spoil the next call") {
  const Executor executor(copying());
  Call3 call;
  const std::vector<std::int64_t> wrong = {3, 7};
  call.queries.data = {1, 2, 3, 4, 5, 6};
  for (int n = 0; n < 3; ++n) {
    Call3 bad;
    bad.view(0).shape = wrong;
    CHECK_FALSE(executor.run(bad.bindings, bad.sizes, {1}).ok());
    std::ranges::fill(call.out.data, 0.f);
    CHECK(executor.run(call.bindings, call.sizes, {1}).ok());
    CHECK(call.out.data == call.queries.data);
  }
}

TEST_CASE("views that are not dense are read and written where they lie") {
  const Executor executor(addition());
  // a is transposed, b runs backwards along its rows and is broadcast, c has gaps that stay.
  std::vector<float> a = {0, 1, 2, 3, 4, 5}, b = {10, 20, 30}, c(20, -1);
  const std::int64_t shape[] = {2, 3};
  const std::int64_t transposed[] = {1, 2}, backwards[] = {0, -1}, gaps[] = {10, 2};
  for (int again = 0; again < 2; ++again) {
    std::ranges::fill(c, -1.f);
    const Binding bindings[] = {{"a", {a.data(), Dtype::F32, shape, transposed}},
                                {"b", {b.data() + 2, Dtype::F32, shape, backwards}},
                                {"c", {c.data(), Dtype::F32, shape, gaps}}};
    CHECK(executor.run(bindings, {}, {1}).message == "");
    std::vector<float> expected(20, -1);
    for (std::size_t i = 0; i < 2; ++i) {
      for (std::size_t d = 0; d < 3; ++d) expected[10 * i + 2 * d] = a[i + 2 * d] + b[2 - d];
    }
    CHECK(c == expected);
    a[3] += 100;
  }
}

TEST_CASE("i4 lies two to a byte, every row in whole bytes") {
  Program program;
  program.symbols = {{"i", {}, -1}, {"d", {}, -1}};
  program.buffers = {input("x", Dtype::I4, {extent(0), extent(1)}),
                     output("y", Dtype::I4, {extent(0), extent(1)})};
  program.steps = {plain("copy",
                         [](void** arguments) {
                           const halide_buffer_t &x = array(arguments, 0), &y = array(arguments, 1);
                           if (x.dim[0].extent != 2 || y.dim[0].extent != 2 || x.dim[1].stride != 2)
                             return 1;
                           std::memcpy(y.host, x.host, 4);
                           return 0;
                         },
                         {buffer(0), buffer(1)}, {1})};
  const Executor executor(program);
  const std::int64_t shape[] = {2, 3}, dense[] = {4, 1}, gaps[] = {6, 1}, odd[] = {3, 1},
                     across[] = {4, 2};
  std::uint8_t x[] = {0x21, 0x03, 0x54, 0x06, 0x99}, y[5];
  const auto run = [&](std::span<const std::int64_t> from, std::span<const std::int64_t> to) {
    std::memset(y, 0xee, sizeof y);
    const Binding bindings[] = {{"x", {x, Dtype::I4, shape, from}},
                                {"y", {y, Dtype::I4, shape, to}}};
    return executor.run(bindings, {}, {1});
  };
  for (const std::span<const std::int64_t> strides :
       {std::span<const std::int64_t>(), std::span<const std::int64_t>(dense)}) {
    CHECK(run(strides, {}).message == "");
    CHECK(std::memcmp(y, "\x21\x03\x54\x06\xee", 5) == 0);
  }
  CHECK(run({}, gaps).message == "");
  CHECK(std::memcmp(y, "\x21\x03\xee\x54\x06", 5) == 0);
  CHECK(run(odd, {}).message ==
        "tensor 'x' of i4 has strides [3, 1], expected 1 for the last axis and even numbers else");
  CHECK(run(across, {}).code == Code::invalid_config);
}

TEST_CASE("codes are called as in the compiler") {
  CHECK(name(Code::ok) == "ok");
  CHECK(name(Code::out_of_bounds) == "out_of_bounds");
  CHECK(name(Code::numerical_instability) == "numerical_instability");
}

}  // namespace fovea::runtime
