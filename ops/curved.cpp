#include "ops/curved.h"

#include <cmath>

#include "ir/require.h"

namespace fovea::ops {

double epsilon_of(const Problem& problem) {
  const double epsilon = problem["epsilon"];
  require(epsilon > 0x1p-23 && epsilon < 1, Code::invalid_config,
          "option epsilon is {}; expected a number above 2^-23 and below 1", epsilon);
  return epsilon;
}

UnitBall::UnitBall(const Axis& d, const Tensor& x, double c, double epsilon)
    : squared(0.0), scale(0.0), gap(0.0) {
  const double border = 1 - epsilon;
  const Tensor given = sum(d, x * x) * c;
  const Tensor outside = given > border * border;
  squared = where(outside, border * border, given);
  // A square beyond f32 tells no length: NaN.
  const Tensor pull = where(given < infinity, border * rsqrt(given), given * 0.0);
  scale = where(outside, pull, 1.0) * std::sqrt(c);
  // By the border itself where it counts most; the maximum, which never decides, shows a sign.
  gap = where(outside, 1 - border * border, max(1.0 - given, epsilon));
}

Tensor acosh_above_one(const Tensor& excess) {
  return log1p(excess + sqrt(excess * (excess + 2.0)));
}

Tensor excess_of(const Axis& d, const Points& q, const Points& k) {
  const Tensor apart = q.ball - k.ball;
  return sum(d, apart * apart) * (q.far * 0.5) * k.far;
}

Tensor short_length(const Axis& e, const PointSum& sum, const Tensor& least) {
  const Tensor squared = sum.time * sum.time - fovea::sum(e, sum.space * sum.space);
  return sqrt(max(squared, least * least));
}

// The length is also Σ p cosh(distance) to the point that the sum is scaled to, of terms that are
// at least p, and by the square of the distance longer to a point near by: as good as the sums
// themselves up to a time of some 100 lengths.
Tensor length_of(const Heads& x, const Tensor& p, const Points& v, const PointSum& sum,
                 const Tensor& least) {
  constexpr double kFar = 2;  // where a difference of sums that are 3e-7 off is still 1e-6 right
  const Tensor length = short_length(x.e, sum, least), total = sum.time + length;
  const Tensor far = sum.time > length * kFar;
  const Points near{total / length, sum.space / total};
  const Tensor cosh = excess_of(x.e, near, v) + 1.0;
  return where(far, fovea::sum(x.j, where(far, p * cosh, 0.0)), length);
}

Tensor hyperbolic_weights(const Axis& j, const Tensor& excess, double scale, double longest) {
  constexpr double kVanishing = 60;  // e^-60 is far from the least f32
  const Tensor distance = acosh_above_one(excess);
  // exp(-log1p(y)) is 1 / (1 + y), which simplify knows.
  const Tensor score = std::abs(scale - 1) < 1e-12 ? -distance : distance * -scale;
  return scale * longest < kVanishing ? exp(score) : softmax(j, score.named("s"));
}

double dot(const Vector& x, const Vector& y) {
  double sum = 0;
  for (std::size_t n = 0; n < x.size(); ++n) sum += x[n] * y[n];
  return sum;
}

Vector scaled(Vector x, double factor) {
  for (double& number : x) number *= factor;
  return x;
}

Vector row_of(const ir::Array& x, std::int64_t b, std::int64_t h, std::int64_t heads,
              std::int64_t n) {
  Vector row;
  for (std::int64_t m = 0; m < x.shape[3]; ++m)
    row.push_back(at(x, {b, h * x.shape[1] / heads, n, m}));
  return row;
}

Vector inside(Vector x, double c, double epsilon) {
  const double length = std::sqrt(c * dot(x, x));
  return length > 1 - epsilon ? scaled(std::move(x), (1 - epsilon) / length) : x;
}

double hyperbolic_distance(const Vector& x, const Vector& y, double c) {
  double apart = 0;
  for (std::size_t n = 0; n < x.size(); ++n) apart += (x[n] - y[n]) * (x[n] - y[n]);
  const double stretch = (1 - c * dot(x, x)) * (1 - c * dot(y, y));
  return 2 / std::sqrt(c) * std::asinh(std::sqrt(c * apart / stretch));
}

ir::Arrays attend_by(const ir::Array& q, const ir::Array& v, const Score& score, const Mean& mean) {
  const std::int64_t heads = q.shape[1];
  ir::Array o = zeros({q.shape[0], heads, q.shape[2], v.shape[3]});
  for (std::int64_t b = 0; b < q.shape[0]; ++b) {
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t i = 0; i < q.shape[2]; ++i) {
        Vector scores;
        std::vector<Vector> values;
        for (std::int64_t j = 0; j < v.shape[2]; ++j) {
          scores.push_back(score({b, h, i, j}));
          values.push_back(row_of(v, b, h, heads, j));
        }
        const Vector row = mean(softmax_of(scores), values);
        for (std::int64_t e = 0; e < v.shape[3]; ++e)
          at(o, {b, h, i, e}) = row[static_cast<std::size_t>(e)];
      }
    }
  }
  return {{"o", o}};
}

void spread_points(ir::Array& x, double length) {
  const auto width = static_cast<std::size_t>(x.shape.back());
  const double scale = length / std::sqrt(static_cast<double>(width));
  for (std::size_t n = 0; n < x.data.size(); ++n) {
    const bool far = n / width % 5 == 4;
    x.data[n] = static_cast<float>(x.data[n] * scale * (far ? 3 : 1));
  }
}

}  // namespace fovea::ops
