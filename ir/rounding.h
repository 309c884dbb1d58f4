// ir/rounding.h — what a graph gives on some machine with f32 arithmetic.
#pragma once

#include <cstdint>
#include <span>

#include "ir/graph.h"
#include "ir/interpret.h"

namespace fovea::ir {

// Interprets, but every f32 result that is not exact is off by a few units in the last place. The
// seed and the value itself decide by how much, so a value that is computed twice is the same
// twice, and what is exact (small integers, maxima, reads) stays so. How far the results of several
// seeds lie from the exact ones tells how well the graph is conditioned for these inputs.
Arrays interpret_rounded(const Graph& graph, const Arrays& inputs, const Sizes& sizes,
                         std::uint32_t seed);

class Rounding {
 public:
  explicit Rounding(std::uint32_t seed) : seed_(seed) {}

  // Of what the element function gave at this node; `always` as below.
  void round(Fn fn, NodeId node, std::span<double> values, bool always) const;
  // Of one value; `always`: also where f32 holds it, since machines only approximate the function.
  double round(NodeId node, double value, bool always) const;

 private:
  std::uint64_t seed_;
};

}  // namespace fovea::ir
