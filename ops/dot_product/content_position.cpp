// Attention whose score is one product of contents and one of positions, each scaled.
//
//   s = q·k / √(2 d) + position_q·position_k / √(2 c)
#include <cmath>

#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"c", 64, "width of the position vectors"});

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Axis c{"c", problem.integer("c")};
  const Tensor q = input("position_q", f32, {x.h, x.i, c});
  const Tensor k = input("position_k", f32, {x.h, x.j, c});
  const Tensor content = x.dot() * (1 / std::sqrt(2 * problem["d"]));
  return attention(x, content + sum(c, q * k) * (1 / std::sqrt(2 * problem["c"])));
}

ir::Arrays reference(const Problem&, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array &q = inputs.at("position_q"), &k = inputs.at("position_k");
  const auto score = [&](const Pair& at, double s) {
    double position = 0;
    for (std::int64_t c = 0; c < q.shape[2]; ++c) {
      position += ops::at(q, {at.h, at.i, c}) * ops::at(k, {at.h, at.j, c});
    }
    return s / std::sqrt(2.0) + position / std::sqrt(2.0 * static_cast<double>(q.shape[2]));
  };
  return attend(inputs, {.score = score});
}

}  // namespace

extern constinit const Mechanism content_position{
    .name = "content_position",
    .family = "dot product",
    .doc = "the score is a product of contents plus a product of positions",
    .formula = "o = softmax(q·k / √(2d) + p_q·p_k / √(2c)) v",
    .paper = "Ke 2021",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
