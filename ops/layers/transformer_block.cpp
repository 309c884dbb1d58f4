// A layer of a transformer: attention of a sequence to itself, then a feed-forward network, each of
// normalised vectors and added to what it was made of (pre-norm).
//
//   y = x + concat_h(softmax(n W_q·n W_k / √d) n W_v) W_o,  n = norm_1(x)
//   o = y + gelu(norm_2(y) W_1 + b_1) W_2 + b_2
//   norm(x) = (x - mean(x)) / √(var(x) + ε) gain + bias
#include <array>
#include <cmath>
#include <string>

#include "ir/require.h"
#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    std::array{Option{"model", 512, "width of the sequence"},
               Option{"heads", 8, "heads; the width is divided among them"},
               Option{"hidden", 2048, "width inside of the feed-forward network"},
               Option{"causal", 1, "1: no position sees a later one"},
               Option{"epsilon", 1e-5, "added to variances"}};

int head_width(const Problem& problem) {
  const int model = problem.integer("model"), heads = problem.integer("heads");
  require(model % heads == 0, Code::invalid_config,
          "option heads is {}; expected a divisor of the model's width {}", heads, model);
  return model / heads;
}

Tensor norm(const Problem& problem, const Tensor& x, const Axis& m, const std::string& name) {
  const Tensor centred = x - mean(m, x);
  const Tensor scale = rsqrt(mean(m, centred * centred) + problem.positive("epsilon"));
  return centred * scale * input(name + "_gain", f32, {m}) + input(name + "_bias", f32, {m});
}

ir::Graph build(const Problem& problem) {
  const int width = head_width(problem);
  const Axis b{"b"}, h{"h", problem.integer("heads")}, i{"i"}, j{"j", i};
  const Axis d{"d", width}, e{"e", width};
  const Axis m{"m", problem.integer("model")}, f{"f", problem.integer("hidden")};
  const Tensor x = input("x", f32, {b, i, m});
  const Tensor n = norm(problem, x, m, "norm1");
  const Tensor q = sum(m, n * input("wq", f32, {h, m, d}));
  const Tensor k = sum(m, n * input("wk", f32, {h, m, d})).at(i, j);
  const Tensor v = sum(m, n * input("wv", f32, {h, m, e})).at(i, j);
  const Tensor s = sum(d, q * k) * (1 / std::sqrt(width));
  const Tensor p = softmax(j, problem.flag("causal") ? where(j <= i, s, -infinity) : s);
  const Tensor y = x + sum({h, e}, sum(j, p * v) * input("wo", f32, {h, e, m}));
  const Tensor inside = sum(m, norm(problem, y, m, "norm2") * input("w1", f32, {m, f}));
  const Tensor active = gelu(inside + input("b1", f32, {f}));
  const Tensor o = y + sum(f, active * input("w2", f32, {f, m})) + input("b2", f32, {m});
  return ir::make_graph({{"o", o}}, {b, h, i, j, d, e, m, f});
}

ir::Array normalised(const Problem& problem, ir::Array x, const ir::Array& gain,
                     const ir::Array& bias) {
  const std::size_t width = gain.data.size();
  for (std::size_t first = 0; first < x.data.size(); first += width) {
    double mean = 0, variance = 0;
    for (std::size_t m = 0; m < width; ++m) mean += x.data[first + m];
    mean /= static_cast<double>(width);
    for (std::size_t m = 0; m < width; ++m) variance += std::pow(x.data[first + m] - mean, 2);
    variance /= static_cast<double>(width);
    for (std::size_t m = 0; m < width; ++m) {
      double& number = x.data[first + m];
      number = (number - mean) / std::sqrt(variance + problem["epsilon"]);
      number = number * gain.data[m] + bias.data[m];
    }
  }
  return x;
}

// x[b, n, m] w[m, f] + bias[f], as f32[b, n, f].
ir::Array affine(const ir::Array& x, const ir::Array& w, const ir::Array& bias) {
  ir::Array y = zeros({x.shape[0], x.shape[1], w.shape[1]});
  for (std::int64_t b = 0; b < y.shape[0]; ++b) {
    for (std::int64_t n = 0; n < y.shape[1]; ++n) {
      for (std::int64_t f = 0; f < y.shape[2]; ++f) {
        at(y, {b, n, f}) = at(bias, {f});
        for (std::int64_t m = 0; m < x.shape[2]; ++m) {
          at(y, {b, n, f}) += at(x, {b, n, m}) * at(w, {m, f});
        }
      }
    }
  }
  return y;
}

void add(ir::Array& x, const ir::Array& more) {
  for (std::size_t n = 0; n < x.data.size(); ++n) x.data[n] += more.data[n];
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const auto of = [&](const char* name) -> const ir::Array& { return inputs.at(name); };
  ir::Array y = of("x");
  const ir::Array n = normalised(problem, y, of("norm1_gain"), of("norm1_bias"));
  const ir::Arrays by_head{
      {"q", project(n, of("wq"))}, {"k", project(n, of("wk"))}, {"v", project(n, of("wv"))}};
  const auto visible = [&](const Pair& at) { return !problem.flag("causal") || at.j <= at.i; };
  add(y, unproject(attend(by_head, {.visible = visible}).at("o"), of("wo")));
  ir::Array inside =
      affine(normalised(problem, y, of("norm2_gain"), of("norm2_bias")), of("w1"), of("b1"));
  for (double& number : inside.data) number *= 0.5 * (1 + std::erf(number / std::sqrt(2.0)));
  add(y, affine(inside, of("w2"), of("b2")));
  return {{"o", y}};
}

void special_inputs(const Problem& problem, const ir::Sizes&, unsigned, ir::Arrays& inputs) {
  // Projections that keep the size of what they project.
  for (const char* name : {"wq", "wk", "wv", "wo", "w1"}) {
    scale_input(inputs.at(name), 1 / std::sqrt(problem["model"]));
  }
  scale_input(inputs.at("w2"), 1 / std::sqrt(problem["hidden"]));
}

}  // namespace

extern constinit const Mechanism transformer_block{
    .name = "transformer_block",
    .family = "layers",
    .doc = "layer norm, multi-head attention of a sequence to itself, layer norm, feed-forward",
    .formula = "y = x + MHA(norm(x)), o = y + gelu(norm(y) W_1 + b_1) W_2 + b_2",
    .paper = "Xiong 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs};

}  // namespace fovea::ops
