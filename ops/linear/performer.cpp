// Attention by positive orthogonal random features (FAVOR+): softmax in expectation, linear time.
//
//   o_i = Σ_j (φ(q_i)·φ(k_j)) v_j / Σ_j φ(q_i)·φ(k_j)
//   φ(x) = exp(ω·x′ - |x′|² / 2) / √m,  x′ = x d^-¼
//
// Factors of φ(q) cancel, and so does e^top of a feature f, top_f = max_j (ω_f·k′_j - |k′_j|² / 2),
// that divides φ(k)_f and multiplies φ(q)_f. With the greatest exponent of the query subtracted,
// nothing overflows and the denominator is at least 1.
//
// ω is an input, f32[h, m, d]; ours are orthogonal in blocks of d, with the norms of normal
// vectors.
#include <algorithm>
#include <cmath>
#include <random>

#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"m", 256, "random features"});

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Axis m{"m", problem.integer("m")};
  const Tensor omega = input("omega", f32, {x.h, m, x.d});
  const double scale = std::pow(problem["d"], -0.25);
  const Tensor of_k = sum(x.d, omega * x.k) * scale - sum(x.d, x.k * x.k) * (0.5 * scale * scale);
  const Tensor top = max(x.j, of_k);
  const Tensor of_q = sum(x.d, omega * x.q) * scale + top;
  const Tensor s = sum(m, exp(of_q - max(m, of_q)) * exp(of_k - top)).named("s");
  return weighted(x, s / sum(x.j, s));
}

// φ without 1 / √m, which cancels: in double nothing overflows for vectors of a sane length.
double feature_of(const ir::Array& omega, const ir::Array& x, const Pair& pair, std::int64_t head,
                  std::int64_t n, std::int64_t f) {
  const double scale = std::pow(static_cast<double>(x.shape[3]), -0.25);
  double dot = 0, square = 0;
  for (std::int64_t d = 0; d < x.shape[3]; ++d) {
    const double number = at(x, {pair.b, head, n, d}) * scale;
    dot += at(omega, {pair.h, f, d}) * number;
    square += number * number;
  }
  return std::exp(dot - square / 2);
}

ir::Arrays reference(const Problem&, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array &q = inputs.at("q"), &k = inputs.at("k"), &omega = inputs.at("omega");
  const std::int64_t group = k.shape[1] == 0 ? 1 : q.shape[1] / k.shape[1];
  const auto score = [&](const Pair& pair, double) {
    double s = 0;
    for (std::int64_t f = 0; f < omega.shape[1]; ++f) {
      s += feature_of(omega, q, pair, pair.h, pair.i, f) *
           feature_of(omega, k, pair, pair.h / group, pair.j, f);
    }
    return s;
  };
  const auto weigh = [](const Pair&, const std::vector<double>& s) { return shares_of(s); };
  return attend(inputs, {.score = score, .weigh = weigh});
}

// The vector without its parts along those before it, made as long as it was.
void orthogonalise(ir::Array& omega, std::int64_t h, std::int64_t first, std::int64_t f) {
  const std::int64_t width = omega.shape[2];
  const auto dot = [&](std::int64_t a, std::int64_t b) {
    double sum = 0;
    for (std::int64_t d = 0; d < width; ++d) sum += at(omega, {h, a, d}) * at(omega, {h, b, d});
    return sum;
  };
  const double length = std::sqrt(dot(f, f));
  for (std::int64_t other = first; other < f; ++other) {
    const double share = dot(f, other) / dot(other, other);
    for (std::int64_t d = 0; d < width; ++d)
      at(omega, {h, f, d}) -= share * at(omega, {h, other, d});
  }
  const double factor = length / std::sqrt(dot(f, f));
  for (std::int64_t d = 0; d < width; ++d) at(omega, {h, f, d}) *= factor;
}

void special_inputs(const Problem&, const ir::Sizes&, unsigned, ir::Arrays& inputs) {
  ir::Array& omega = inputs.at("omega");
  for (std::int64_t h = 0; h < omega.shape[0]; ++h) {
    for (std::int64_t f = 0; f < omega.shape[1]; ++f) {
      orthogonalise(omega, h, f - f % omega.shape[2], f);
    }
  }
  for (double& number : omega.data) number = static_cast<float>(number);
}

}  // namespace

extern constinit const Mechanism performer{
    .name = "performer",
    .family = "linear time",
    .doc = "softmax attention in expectation, by positive orthogonal random features",
    .formula = "o = φ(q)·(φ(k)ᵀ v) / φ(q)·Σ φ(k), φ(x) = exp(ω·x - |x|² / 2)",
    .paper = "Choromanski 2021",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.convex = true, .permutable = true}};

}  // namespace fovea::ops
