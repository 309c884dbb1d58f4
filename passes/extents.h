// passes/extents.h — what is known of extents when a kernel is compiled, and what they cost.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ir/graph.h"

namespace fovea::passes {

// The extent of an axis whose text fixes it, also by way of other axes.
std::optional<std::int64_t> fixed_extent(const ir::Graph& graph, ir::AxisId axis);

// What an axis that is known only when run counts as, where none is told.
constexpr double kUsualExtent = 4096;

// How many points these axes span.
double points(const ir::Graph& graph, std::span<const ir::AxisId> axes,
              double usual = kUsualExtent);

// A sum of products of extents, for extents that are known later.
class Count {
 public:
  explicit Count(const ir::Graph& graph);
  void add(std::span<const ir::AxisId> axes, double times = 1);

  // The axes whose extents come when run, in ascending order.
  const std::vector<ir::AxisId>& open() const { return open_; }
  // For extents of the open axes, in their order.
  double at(std::span<const double> extents) const;
  double at_usual(double usual = kUsualExtent) const;

 private:
  struct Term {
    double fixed = 1;       // the product of the extents that are known
    std::vector<int> open;  // places in open_
  };
  template <class Extent>
  double sum(Extent extent) const;

  std::vector<std::optional<std::int64_t>> fixed_;  // by AxisId
  std::vector<ir::AxisId> open_;
  std::vector<Term> terms_;
};

// How many elements a graph computes in all: a map at each of its points, a fold at each that it
// reads.
Count operations(const ir::Graph& graph);

// How many bytes lie between the kernels of a graph that has some.
Count stored_bytes(const ir::Graph& graph);

}  // namespace fovea::passes
