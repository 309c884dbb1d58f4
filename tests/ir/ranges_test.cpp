#include "ir/ranges.h"

#include <doctest/doctest.h>

#include <string>

#include "ir/text.h"

namespace fovea::ir {
namespace {

// Whether the value may wrap around.
bool wraps(const std::string& value) {
  const Graph graph = parse(
      "axis i, j, d = 64, r\nx : i32[i]\nb : i8[i]\nc : bool[j]\nfar : i32[j]\n"
      "z : f32[r]\nout o = " +
      value + " + 0 * size(r)\n");
  const NodeId sum = graph.outputs[0].node;
  return wrapping(graph)[static_cast<std::size_t>(graph.node(sum).inputs[0])];
}

}  // namespace

TEST_CASE("ranges: tensors of i32 may wrap around, what is known to be small does not") {
  for (const std::string value :
       {"x + 1", "x - far", "x * 2", "-x", "abs(x)", "x / -1", "-2147483648 - b", "i * j",
        "i * 100000", "d * 40000000", "sum(i, x)", "x % far + 1", "b * b * b * b * b",
        "where(c, x, 1) - 1", "x[i = j] + 1"}) {
    INFO(value);
    CHECK(wraps(value));
  }
  for (const std::string value :
       {"i + 1", "i - j", "i * 64 + d", "x / 3", "x % 7 + 1", "x / -2 * 0",
        "min(max(x, -9), 9) * j", "b * b - b", "b[i = j] * 5", "i32(c) + j",
        "size(j) - size(i) + i", "sum(j, c) * 2", "argmax(r, z) * 3", "x", "max(j, far)", "-b",
        "where(c, b, j) + 1"}) {
    INFO(value);
    CHECK_FALSE(wraps(value));
  }
}

}  // namespace fovea::ir
