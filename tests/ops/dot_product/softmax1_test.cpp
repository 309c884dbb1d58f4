#include <doctest/doctest.h>

#include "tests/ops/support.h"

namespace fovea::ops::test {

TEST_CASE("weights of scores 0 are 1 / (n + 1)") {
  for (const double weight :
       last(weights("softmax1", {}, 1, 4, {{"q", filled({1, 1, 1, 4}, 0)}}))) {
    CHECK(weight == doctest::Approx(0.2));
  }
}

TEST_CASE("very low scores leave the row empty, very high ones nothing for the rest") {
  const ir::Array q = array({1, 1, 2, 4}, {2000, 0, 0, 0, -2000, 0, 0, 0});
  const ir::Array k = filled({1, 1, 2, 4}, 1);
  const Rows rows = weights("softmax1", {}, 2, 2, {{"q", q}, {"k", k}});
  CHECK(rows[0][0] == doctest::Approx(0.5));
  CHECK(rows[1][0] == 0);
}

TEST_CASE("a sink of 0 is the same") {
  const Rows sink = weights("attention_sinks", {}, 1, 3, {{"sink", array({1}, {0})}});
  ir::Arrays same;
  Options options;
  const ir::Arrays inputs = one_head("attention_sinks", options, 1, 3);
  for (const char* name : {"q", "k"}) same[name] = inputs.at(name);
  const Rows rows = weights("softmax1", {}, 1, 3, same);
  for (std::size_t j = 0; j < 3; ++j) CHECK(rows[0][j] == doctest::Approx(sink[0][j]));
}

}  // namespace fovea::ops::test
