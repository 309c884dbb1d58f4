#include "ir/ranges.h"

#include <doctest/doctest.h>

#include <string>

#include "ir/text.h"

namespace fovea::ir {
namespace {

struct Of {
  bool wraps;
  unsigned opaque;
};

Of overflow_of(const std::string& value) {
  const Graph graph = parse(
      "axis i, j, d = 64, r\nx : i32[i]\nb : i8[i]\nc : bool[j]\nfar : i32[j]\n"
      "z : f32[r]\nout o = " +
      value + " + 0 * size(r)\n");
  const NodeId sum = graph.outputs[0].node;
  const auto id = static_cast<std::size_t>(graph.node(sum).inputs[0]);
  const Overflow found = overflow(graph);
  return {found.wraps[id], found.opaque[id]};
}

}  // namespace

TEST_CASE("ranges: tensors of i32 may wrap around, what is known to be small does not") {
  for (const std::string value :
       {"x + 1", "x - far", "x * 2", "-x", "abs(x)", "x / -1", "-2147483648 - b", "i * j",
        "i * 100000", "d * 40000000", "sum(i, x)", "x % far + 1", "b * b * b * b * b",
        "where(c, x, 1) - 1", "x[i = j] + 1"}) {
    INFO(value);
    CHECK(overflow_of(value).wraps);
  }
  for (const std::string value :
       {"i + 1", "i - j", "i * 64 + d", "x / 3", "x % 7 + 1", "x / -2 * 0",
        "min(max(x, -9), 9) * j", "b * b - b", "b[i = j] * 5", "i32(c) + j",
        "size(j) - size(i) + i", "sum(j, c) * 2", "argmax(r, z) * 3", "x", "max(j, far)", "-b",
        "where(c, b, j) + 1"}) {
    INFO(value);
    CHECK_FALSE(overflow_of(value).wraps);
  }
}

TEST_CASE("ranges: terms that leave i32 where they are moved stay where they are") {
  const auto check = [](unsigned opaque, std::initializer_list<std::string> values) {
    for (const std::string& value : values) {
      INFO(value);
      CHECK_FALSE(overflow_of(value).wraps);
      CHECK(overflow_of(value).opaque == opaque);
    }
  };
  constexpr unsigned kNone = 0, kFirst = 1, kSecond = 2, kBoth = 3;
  check(kNone, {"i - j + 1", "min(max(j - i, -4), 4) + 4", "i / 16 * 16 + d % 16",
                "(size(j) - size(i) + i) / 64", "max(i, j)"});
  check(kFirst, {"min(max(x, -9), 9) * j", "(x / 2 + i) / 2", "(x / 4 + 2000000000) / 7",
                 "(max(x, -9) - 1) % 1000", "max(far, -9) - 1", "i - 2147483647"});
  check(kSecond, {"2147483647 - i", "max(2147483640, j)"});
  check(kBoth, {"max(2147483640 - j, far) - (2147483640 - j)", "max(x, j)"});
}

}  // namespace fovea::ir
