// The fuzzer's programs after every pass, interpreted: what is wrong there needs no compiler to be
// found.
#include "tests/frontend/random_attention.h"

#include <doctest/doctest.h>

#include <cstdint>

#include "ir/text.h"
#include "tests/passes/same_meaning.h"

namespace fovea::passes {
TEST_CASE("passes: random attention keeps its meaning, with kernels too") {
  const auto [first, count] = seeds(1, 400);
  for (std::uint32_t seed = first; seed < first + count; ++seed) {
    const ir::Graph graph = ir::parse(test::RandomAttention(seed)().text());
    INFO(seed);
    INFO(ir::print(graph));
    const auto differs = differing_stage(graph, random_examples(graph));
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

}  // namespace fovea::passes
