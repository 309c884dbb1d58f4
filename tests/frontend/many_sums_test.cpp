// Scores of many contractions.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

// Over two axes of features, added and subtracted, between a bias and a read beyond the heads.
std::string text_of(int count, std::string_view weights) {
  std::string text = "axis h, i, j, d = 8, c = 5, e = 16\nv : f32[h, j, e]\nbias : f32[i, j]\n";
  std::string score = "bias";
  for (int n = 0; n < count; ++n) {
    const char* axis = n % 3 == 1 ? "c" : "d";
    text += fmt::format("q{0} : f32[h, i, {1}]\nk{0} : f32[h, j, {1}]\n", n, axis);
    const std::string head = n % 5 == 2 ? "[h = h - 1]" : "";
    score += fmt::format(" {} sum({}, q{} * k{}{}) * {}", n % 4 == 3 ? "-" : "+", axis, n, n, head,
                         n % 2 == 0 ? "0.1" : "-0.2");
  }
  return text + fmt::format("s = -({})\n{}", score, weights);
}

void check(int count, std::string_view weights, const char* target = "") {
  const Graph graph = parse(text_of(count, weights));
  for (const int rows : {70, 2}) {
    const Sizes sizes{{"h", 2}, {"i", rows}, {"j", 131}};
    INFO(count, " ", weights, target, " ", describe(sizes));
    const auto differs = compiled_differs(graph, random_inputs(graph, sizes, 3), sizes, 1e-5,
                                          {.target = target, .threads = 1});
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

}  // namespace

TEST_CASE("many sums: their scores are what they mean") {
  constexpr const char* kSoftmax = "out o = sum(j, softmax(j, s) * v)\n";
  check(2, kSoftmax);
  check(3, kSoftmax, "sse41");
  check(9, kSoftmax, "avx2");
  check(18, kSoftmax);
  check(10, "out o = sum(j, where(j <= i, tanh(s), 0.0) * v)\n");
  check(12, "p = softmax(j, where(j < i, s, -inf))\nout o = sum(j, p * v)\nout w = p\n");
}

}  // namespace fovea::test
