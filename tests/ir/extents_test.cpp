#include <doctest/doctest.h>
#include <fmt/format.h>

#include <limits>
#include <string_view>
#include <vector>

#include "ir/error.h"
#include "ir/extent.h"
#include "ir/interpret.h"
#include "ir/tensor.h"
#include "ir/text.h"

using namespace fovea;
using Shapes = std::map<std::string, std::vector<std::int64_t>>;

namespace {

ir::Graph example() {
  const fovea::Axis past{"past"}, now{"now"}, j{"j", Extent(past) + now}, i{"i", Extent(now)},
      d{"d", 64}, n{"n"}, h{"h", Extent(j) / 2 - 1};
  const Tensor q = input("q", f32, {i, d}), a = input("a", f32, {past, d}),
               b = input("b", f32, {now, d});
  const Tensor k = a.at(past, j, b.at(now, j - size(past)));
  return ir::make_graph({{"o", sum({d, j}, q * k) + n + size(h)}}, {past, now, j, i, d, n, h});
}

std::pair<Code, std::string> error(const Shapes& shapes, const ir::Sizes& sizes) {
  try {
    (void)ir::resolve_extents(example(), shapes, sizes);
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {Code::internal, "no error"};
}

const Shapes kShapes{{"q", {3, 64}}, {"a", {5, 64}}, {"b", {3, 64}}};

Shapes with(const std::string& name, std::vector<std::int64_t> shape) {
  Shapes shapes = kShapes;
  shapes[name] = std::move(shape);
  return shapes;
}

}  // namespace

TEST_CASE("extents come from inputs, sizes and other axes") {
  CHECK(ir::resolve_extents(example(), kShapes, {{"n", 2}}) ==
        std::vector<std::int64_t>{5, 3, 8, 3, 64, 2, 3});
  CHECK(ir::resolve_extents(example(), kShapes, {{"n", 2}, {"j", 8}})[2] == 8);
}

TEST_CASE("extents whose arithmetic no integer holds are too large") {
  const auto code = [](std::string_view extent) {
    try {
      (void)ir::resolve_extents(
          ir::parse(fmt::format("axis i, n = {}\nx : f32[i]\nout o = x + n\n", extent)),
          {{"x", {1 << 30}}}, {});
    } catch (const Error& error) {
      return error.code();
    }
    return Code::internal;
  };
  CHECK(code("i * i * i") == Code::input_too_large);
  CHECK(code("(0 - i * i) * 8 - 1") == Code::input_too_large);
  CHECK(code("(0 - i * i) * 8 / (0 - 1)") == Code::input_too_large);  // of the lowest integer
  CHECK(code("1 / (i - i)") == Code::invalid_config);
}

TEST_CASE("arrays that no memory holds are too large, unless they are empty") {
  constexpr std::int64_t kLong = std::numeric_limits<std::int32_t>::max();
  CHECK(ir::element_count({}) == 1);
  CHECK(ir::element_count(std::vector<std::int64_t>{kLong, kLong, kLong, 0}) == 0);
  for (const auto& shape :
       std::vector<std::vector<std::int64_t>>{{65536, 1 << 24, 1 << 24}, {kLong, kLong, kLong}}) {
    CHECK_THROWS_AS(ir::element_count(shape), Error);
  }
  const ir::Graph graph = ir::parse("axis i, j, d\nout o = f32(i) + j + d\n");
  CHECK_THROWS_AS(ir::interpret(graph, {}, {{"i", 65536}, {"j", 1 << 24}, {"d", 1 << 24}}), Error);
}

TEST_CASE("what contradicts is said") {
  using Pair = std::pair<Code, std::string>;
  const ir::Sizes n{{"n", 2}};
  CHECK(error(kShapes, {}) ==
        Pair{Code::empty_input,
             "the extent of axis n is not known: no input has it; expected a size for it"});
  CHECK(error(with("q", {4, 64}), n) ==
        Pair{Code::dimension_mismatch,
             "axis i has extent 3 in the definition of the axis; expected 4 as in input q"});
  CHECK(error(with("b", {3, 32}), n).second ==
        "axis d has extent 32 in input b; expected 64 as in input q");
  CHECK(error(with("b", {3}), n) ==
        Pair{Code::dimension_mismatch, "input b has rank 1; expected 2"});
  CHECK(error(with("c", {3}), n) ==
        Pair{Code::invalid_config, "'c' is not an input of this graph; expected q, a, b"});
  CHECK(error({{"q", {3, 64}}, {"a", {5, 64}}}, n) ==
        Pair{Code::empty_input, "input b is missing"});
  CHECK(error(kShapes, {{"n", 2}, {"m", 2}}).second ==
        "a size is given for 'm', which is not an axis of this graph; expected past, now, j, i, d, "
        "n, h");
  CHECK(error(kShapes, {{"n", -2}}).second ==
        "axis n has extent -2 in the given sizes; expected 0 or more");
  CHECK(error(kShapes, {{"n", 2}, {"now", 4}}).second ==
        "axis now has extent 4 in the given sizes; expected 3 as in input b");
  CHECK(error(kShapes, {{"n", std::int64_t{1} << 31}}).first == Code::input_too_large);
  const Shapes tiny{{"q", {0, 64}}, {"a", {0, 64}}, {"b", {0, 64}}};
  CHECK(error(tiny, n).second ==
        "axis h has extent -1 in the definition of the axis; expected 0 or more");
}
