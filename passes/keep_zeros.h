// passes/keep_zeros.h — products stay 0 where a factor is, also where nobody would see that they did
// not: those that one kernel stores for the sums of another, and those in sums that are compared.
// A part of `fuse`.
//
//   n = k * rsqrt(l)                 n = where(k == 0, 0, k * rsqrt(l))
//   kernel n(n)               →      kernel n(n)
//   kernel s(s)                      kernel s(s)
//   s = sum(d, q * n)                s = sum(d, q * n)
//
// As part of a sum's term, a factor that is exactly 0 annihilates one that is infinite: rows of
// zeros, normalised, are rows of zeros. A kernel that has both factors sees to that itself: results
// that are NaN are computed again. One that is given their product cannot know, and neither can one
// whose result tells nothing of a NaN, as `s <= 0`: there the product says it,
//
//   hit = any(j, s <= 0), s = sum(d, q * where(k == 0, 0, k * rsqrt(l)))
//
// Where something else needs a stored product too, it is stored beside it as it is. Quotients
// likewise. Leaves alone: outputs on a pair plane, and divisors that are never 0.
#pragma once

#include <optional>

#include "ir/graph.h"

namespace fovea::passes {

// Needs: kernels.
ir::Graph keep_zeros(const ir::Graph& graph);

// The product or quotient behind such a value.
std::optional<ir::NodeId> without_zeros(const ir::Graph& graph, ir::NodeId id);

}  // namespace fovea::passes
