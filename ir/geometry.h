// ir/geometry.h — hyperbolic and spherical geometry as functions of the language, in the text form
// under the same names: distance(d, q, k, 1.0). They are made of other ops, so they fuse,
// differentiate and run on every target as what users write themselves.
//
// The first argument is the axis (or the axes) of the coordinates; functions of means have the axis
// of the points before it. `c` is minus the curvature and r a radius, both above 0: tensors, or
// numbers, of which those that are not above 0 are errors (invalid_config).
//
// Poincaré ball (Ganea 2018): points x with √c |x| < 1. What lies on its border or outside counts
// as next to it, at c |x|² = 1 - 2^-24, so that no distance is infinite or NaN; project_to_ball
// says where such points go.
//
// Hyperboloid (Nickel 2018): points with ⟨x, x⟩_L = -1/c, their time the first coordinate.
// Sphere: points with |x| = r.
#pragma once

#include <vector>

#include "ir/tensor.h"

namespace fovea {

// x, or if it lies outside the point on its ray with √c |x| = 1 - epsilon. |x|² beyond f32 is NaN.
// An epsilon that is a number is above 2^-23 and below 1, or an error (invalid_config).
Tensor project_to_ball(const Axes& d, const Tensor& x, const Tensor& c, const Tensor& epsilon);

// x ⊕ y, not commutative.
Tensor mobius_add(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& c);

// The end of the geodesic from x with the velocity v, and the velocity that ends in y.
Tensor exp_map(const Axes& d, const Tensor& x, const Tensor& v, const Tensor& c);
Tensor log_map(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& c);

// A vector v at x carried along the geodesic to y.
Tensor parallel_transport(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& v,
                          const Tensor& c);

// (1/√c) arcosh(1 + 2 c |x - y|² / ((1 - c |x|²) (1 - c |y|²))), 0 of equal points.
Tensor distance(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& c);

// The mean of the points x along j with weights w of any sum, in closed form (Ungar 2008); over no
// weight the origin.
Tensor einstein_midpoint(const Axes& j, const Axes& d, const Tensor& w, const Tensor& x,
                         const Tensor& c);

// The point with the least weighted sum of squared distances, after `steps` (0 to 100) steps from
// the Einstein midpoint. The step length is the inverse of a bound of the second derivative
// (Karcher 1977; Afsari 2013), so that no step overshoots; the remaining error about halves with
// every step and sooner far from the border.
Tensor frechet_mean(const Axes& j, const Axes& d, const Tensor& w, const Tensor& x, const Tensor& c,
                    int steps);

// Σ x y with the product of the first coordinates negative.
Tensor lorentz_inner(const Axes& d, const Tensor& x, const Tensor& y);
// x with the time that puts it on the hyperboloid.
Tensor lorentz_project(const Axes& d, const Tensor& x, const Tensor& c);
Tensor lorentz_exp_map(const Axes& d, const Tensor& x, const Tensor& v, const Tensor& c);
Tensor lorentz_log_map(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& c);
Tensor lorentz_transport(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& v,
                         const Tensor& c);
// (1/√c) arcosh(-c ⟨x, y⟩_L), by ⟨x - y, x - y⟩_L, which is 0 of equal points.
Tensor lorentz_distance(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& c);
// Σ w x scaled back to the hyperboloid, the same point as the Einstein midpoint (Law 2019).
Tensor lorentz_midpoint(const Axes& j, const Axes& d, const Tensor& w, const Tensor& x,
                        const Tensor& c);

// x scaled to length r; the zero vector stays, at right angles to all.
Tensor spherical_project(const Axes& d, const Tensor& x, const Tensor& r);
Tensor spherical_exp_map(const Axes& d, const Tensor& x, const Tensor& v, const Tensor& r);
// Not of opposite points, whose geodesics are many.
Tensor spherical_log_map(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& r);
Tensor spherical_transport(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& v,
                           const Tensor& r);
// r arccos(x·y / r²), as 2 r arctan(|x - y| / |x + y|), which loses no digits (Kahan 2006).
Tensor spherical_distance(const Axes& d, const Tensor& x, const Tensor& y, const Tensor& r);
// Σ w x scaled back to the sphere.
Tensor spherical_midpoint(const Axes& j, const Axes& d, const Tensor& w, const Tensor& x,
                          const Tensor& r);

// The distance in a product of spaces, √(Σ a²) of the distances in each (Gu 2019).
Tensor product(const std::vector<Tensor>& distances);

}  // namespace fovea
