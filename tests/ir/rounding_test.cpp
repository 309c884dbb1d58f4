// Interpreting as a machine with f32 arithmetic might: what is exact stays, what is used twice is
// one value, and what is badly conditioned shows.
#include "ir/rounding.h"

#include <doctest/doctest.h>

#include <cmath>

#include "ir/text.h"

namespace fovea::ir {
namespace {

Array numbers(std::vector<double> data) {
  return {Dtype::F32, {static_cast<std::int64_t>(data.size())}, std::move(data)};
}

std::vector<double> rounded(const char* text, const Arrays& inputs, std::uint32_t seed) {
  return interpret_rounded(parse(text), inputs, {}, seed).at("o").data;
}

}  // namespace

TEST_CASE("rounding: whole numbers stay exact, also in sums, maxima and reads") {
  const Arrays inputs{{"a", numbers({3, -2, 7, 1})}};
  const char* text = "axis i, j = i\na : f32[i]\nout o = sum(i, a * a[i = j]) + max(i, a) / 2.0";
  const auto exact = interpret(parse(text), inputs).at("o").data;
  for (std::uint32_t seed = 1; seed < 20; ++seed) CHECK(rounded(text, inputs, seed) == exact);
}

TEST_CASE("rounding: a value has one rounding wherever it is used") {
  const Arrays inputs{{"a", numbers({0.3, 0.1, 1.7, 0.9})}};
  const char* text =
      "axis i, j = i\na : f32[i]\ns = exp(a) * 0.1 + exp(a)[i = j]\nout o = sum(j, s == max(j, s))";
  for (std::uint32_t seed = 1; seed < 20; ++seed)
    for (const double count : rounded(text, inputs, seed)) CHECK(count >= 1);
}

TEST_CASE("rounding: the seed decides, by a few units in the last place") {
  const Arrays inputs{{"a", numbers({0.3, 1.1, 1.7, 0.9})}};
  const char* text = "axis i\na : f32[i]\nout o = a * 0.7";
  const auto exact = interpret(parse(text), inputs).at("o").data;
  int different = 0;
  for (std::uint32_t seed = 1; seed < 20; ++seed) {
    const auto found = rounded(text, inputs, seed);
    CHECK(found == rounded(text, inputs, seed));
    for (std::size_t n = 0; n < found.size(); ++n) {
      CHECK(std::abs(found[n] - exact[n]) <= 4e-7 * std::abs(exact[n]));
      different += found[n] != exact[n] ? 1 : 0;
    }
  }
  CHECK(different > 60);
}

TEST_CASE("rounding: a difference of large sums shows how little is left of it") {
  const Arrays inputs{{"a", numbers({1000.3, 0.1, -1000.7, 0.9})}};
  const char* text = "axis i\na : f32[i]\nout o = exp(sum(i, a) * 5.0)";
  const double exact = interpret(parse(text), inputs).at("o").data[0];
  double largest = 0;
  for (std::uint32_t seed = 1; seed < 20; ++seed)
    largest = std::max(largest, std::abs(rounded(text, inputs, seed)[0] - exact) / exact);
  CHECK(largest > 1e-5);
  CHECK(largest < 1e-2);
}

}  // namespace fovea::ir
