// bench/graphs.h — the texts that several questions are asked about.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace fovea::bench {

// softmax(score) v for heads of `width`. `score` is made of s, the scaled product, h, i and j;
// `more` declares what else it needs.
inline std::string attention(int width, std::string_view score = "s", std::string_view more = "") {
  return fmt::format(R"(
axis h, i, j, d = {0}, e = {0}
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
{2}
s = sum(d, q * k) * {3}
out o = sum(j, softmax(j, {1}) * v)
)",
                     width, score, more, width == 64 ? 0.125 : 0.08838834764831845);
}

inline constexpr std::string_view kCausal = "where(j <= i, s, -inf)";

// The gradients of softmax attention, written out by hand.
inline std::string backward(int width, std::string_view score = "s") {
  return fmt::format(R"(
axis h, i, j, d = {0}, e = {0}
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
o : f32[h, i, e]
do : f32[h, i, e]
lse : f32[h, i]
s = sum(d, q * k) * {2}
p = exp({1} - lse)
delta = sum(e, do * o)
ds = p * (sum(e, do * v) - delta)
out dq = sum(j, ds * k) * {2}
out dk = sum(i, ds * q) * {2}
out dv = sum(i, p * do)
)",
                     width, score, width == 64 ? 0.125 : 0.08838834764831845);
}

}  // namespace fovea::bench
