// ops/curved.h — what the mechanisms of ops/geometric share: the options of hyperbolic space, and
// points in double for their references.
#pragma once

#include <functional>
#include <vector>

#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {

inline constexpr Option kCurvature{"c", 1, "minus the curvature, above 0"};
inline constexpr Option kTemperature{"temperature", 1, "divides the distance"};
inline constexpr Option kEpsilon{
    "epsilon", 1e-3, "points beyond (1 - epsilon) / √c of the origin are pulled in to there"};

// The option `epsilon`; an error (invalid_config) unless it is above 2^-23 and below 1.
double epsilon_of(const Problem& problem);

// Points x along d of the ball for c, in the unit ball, those outside pulled in to 1 - epsilon.
struct UnitBall {
  UnitBall(const Axis& d, const Tensor& x, double c, double epsilon);

  Tensor squared;  // |p|² of the points p in the unit ball
  Tensor scale;    // p = x scale
  Tensor gap;      // 1 - |p|², above epsilon
};

// acosh(1 + excess), to the last digits of a small excess.
Tensor acosh_above_one(const Tensor& excess);

// Points of the hyperboloid of curvature -1: 1 + time, and where they lie in the unit ball.
struct Points {
  Tensor far;   // 2 / (1 - |ball|²)
  Tensor ball;  // space / far
};

// cosh(distance) - 1, by |q - k|² in the ball, where near and far points alike keep their digits.
Tensor excess_of(const Axis& d, const Points& q, const Points& k);

// Σ p x of such points x along j.
struct PointSum {
  Tensor space, time;
};

// √(time² - |space|²), by which the sum is scaled back to the hyperboloid and which is at least
// `least`. f32 leaves its square (time / length)² times the error of both sums.
Tensor short_length(const Axis& e, const PointSum& sum, const Tensor& least);

// The same to more digits: rows where it is small beside the time are walked once more for them.
Tensor length_of(const Heads& x, const Tensor& p, const Points& v, const PointSum& sum,
                 const Tensor& least);

// exp(-scale acosh(1 + excess)) for all that is seen, to any common factor of a row: where no
// distance is longer than `longest`, weights cannot vanish, and no maximum is needed.
Tensor hyperbolic_weights(const Axis& j, const Tensor& excess, double scale, double longest);

// ---- for references

using Vector = std::vector<double>;

double dot(const Vector& x, const Vector& y);
Vector scaled(Vector x, double factor);

// Row n of the heads' array x [b, h, n, d], of head ⌊h / (heads / key heads)⌋ if x has fewer heads.
Vector row_of(const ir::Array& x, std::int64_t b, std::int64_t h, std::int64_t heads,
              std::int64_t n);

// Pulled to (1 - epsilon) / √c if beyond.
Vector inside(Vector x, double c, double epsilon);
double hyperbolic_distance(const Vector& x, const Vector& y, double c);

// For every row of q: the weights by softmax of `score`, and `mean` of the rows of v. As `o`.
using Score = std::function<double(const Pair& at)>;
using Mean = std::function<Vector(const Vector& weights, const std::vector<Vector>& values)>;
ir::Arrays attend_by(const ir::Array& q, const ir::Array& v, const Score& score, const Mean& mean);

// Makes normal numbers points: most of about `length`, every fifth thrice as far.
void spread_points(ir::Array& x, double length);

}  // namespace fovea::ops
