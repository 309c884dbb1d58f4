// passes/cost.h — how long the kernels of a graph take, about, for extents that are known later: to
// tell which of several partitions of one graph is the fastest for a run.
//
// A kernel takes a call, and on a plane some more for each tile. What it computes is counted at the
// points where it is computed: a plane's rows and columns in whole tiles and vectors, operands of
// columns again for each tile of rows, what misses an axis of the batch again along it. What lies
// between kernels is written and read back.
//
// Needs: kernels with tiles (tile, tile_half, tile_columns). The numbers are nanoseconds of one
// thread, measured as cost.cpp says; ratios are what they are for.
#pragma once

#include <span>
#include <vector>

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

class Cost {
 public:
  // Axes of `batch` count as one coordinate: a run's choice must not depend on how many there are.
  Cost(const ir::Graph& graph, const ir::Target& target, std::span<const ir::AxisId> batch);

  // Nanoseconds, for extents of all axes by their ids; those of `batch` are not looked at.
  double time(std::span<const double> extents) const { return sum(times_, extents); }
  // Bytes between kernels.
  double stored(std::span<const double> extents) const { return sum(stored_, extents); }

 private:
  // A product of extents, each in units of so many coordinates: their number or, of `whole`, the
  // coordinates in them.
  struct Factor {
    ir::AxisId axis;
    double unit;
    bool is_whole;
  };
  struct Term {
    double each;
    std::vector<Factor> factors;
  };
  friend class CostOfKernel;
  static double sum(const std::vector<Term>& terms, std::span<const double> extents);

  std::vector<Term> times_, stored_;
};

// The axes that are a batch in every kernel of a graph with kernels, and as long as a run says:
// everything on their planes has them, or is the same along them; no plane runs along them, and
// nothing on one is folded along them.
std::vector<ir::AxisId> batch_axes(const ir::Graph& graph);

}  // namespace fovea::passes
