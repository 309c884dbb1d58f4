// Attention over queries and keys rotated by their positions: scores depend on the difference only.
//
//   s = R(position_q) q · R(position_k) k / √d;  R is in ops/rotate.h
//
// Angles of f32 positions up to some thousands are good to 1e-4, and so is the result.
#include <cmath>
#include <complex>

#include "ir/require.h"
#include "ops/heads.h"
#include "ops/reference.h"
#include "ops/rotate.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    head_options(Option{"base", 10000, "of the frequencies"},
                 Option{"width", 0, "features that are rotated, from the first; 0: all"},
                 Option{"half", 0, "1: feature t turns with t + width / 2; 0: with its neighbour"});

Rotation rotation(const Problem& problem) {
  const int d = problem.integer("d"), width = problem.integer("width", 0);
  require(width <= d, Code::invalid_config,
          "option width is {}, the features that are rotated; expected at most d, which is {}",
          width, d);
  return {.base = problem.positive("base"),
          .width = width == 0 ? d : width,
          .half = problem.flag("half")};
}

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Rotation turn = rotation(problem);
  const Tensor at_q = input("position_q", f32, {x.b, x.i});
  const Tensor at_k = input("position_k", f32, {x.b, x.j});
  const Tensor k = x.of_head(rotate(input("k", f32, {x.b, x.g, x.j, x.d}), x.d, at_k, turn));
  return attention(x, sum(x.d, rotate(x.q, x.d, at_q, turn) * k) * x.scale);
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const bool half = problem.flag("half");
  const auto turned = [&](ir::Array x, const ir::Array& position) {
    const std::int64_t d = x.shape[3];
    const std::int64_t width = problem["width"] == 0 ? d : problem.integer("width");
    for (std::size_t vector = 0; vector * static_cast<std::size_t>(d) < x.data.size(); ++vector) {
      const auto n = static_cast<std::int64_t>(vector) % x.shape[2];
      const auto b = static_cast<std::int64_t>(vector) / (x.shape[1] * x.shape[2]);
      double* features = &x.data[vector * static_cast<std::size_t>(d)];
      for (std::int64_t t = 0; t < width / 2; ++t) {
        const double power = 2.0 * static_cast<double>(t) / static_cast<double>(width);
        const double angle = at(position, {b, n}) / std::pow(problem["base"], power);
        double& re = features[half ? t : 2 * t];
        double& im = features[half ? t + width / 2 : 2 * t + 1];
        const std::complex<double> z = std::complex(re, im) * std::polar(1.0, angle);
        re = z.real();
        im = z.imag();
      }
    }
    return x;
  };
  return attend({{"q", turned(inputs.at("q"), inputs.at("position_q"))},
                 {"k", turned(inputs.at("k"), inputs.at("position_k"))},
                 {"v", inputs.at("v")}},
                {});
}

void special_inputs(const Problem&, const ir::Sizes& sizes, unsigned, ir::Arrays& inputs) {
  // Rows aligned at the end, each element of the batch from another position on.
  const auto fill = [](ir::Array& position, std::int64_t from) {
    const std::int64_t count = position.shape[1];
    for (std::int64_t n = 0; n < count * position.shape[0]; ++n) {
      position.data[static_cast<std::size_t>(n)] =
          static_cast<double>(from + n % count + n / count);
    }
  };
  fill(inputs.at("position_q"), sizes.at("j") - sizes.at("i"));
  fill(inputs.at("position_k"), 0);
}

}  // namespace

extern constinit const Mechanism rope{.name = "rope",
                                      .family = "dot product",
                                      .doc = "queries and keys are rotated by their positions",
                                      .formula = "o = softmax(R(i) q·R(j) k / √d) v",
                                      .paper = "Su 2021",
                                      .options = kOptions,
                                      .build = build,
                                      .reference = reference,
                                      .special_inputs = special_inputs,
                                      .tolerance = 2e-4,
                                      .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
