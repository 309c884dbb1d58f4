#include "bench/graphs.h"

#include <fmt/format.h>

namespace fovea::bench {

std::string attention(int width, std::string_view score, std::string_view more) {
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

std::string backward(int width, std::string_view score) {
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
