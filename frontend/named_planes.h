// frontend/named_planes.h — the pair planes that the author of a graph would name, whatever planes
// its kernels have.
//
//   s = sum(d, q * k)                    q[h, i, d], k[h, j, d]: i x j, of which neither has both,
//   o = sum(j, softmax(j, s) * v)        and which is folded along j; h is in both
#pragma once

#include <vector>

#include "ir/graph.h"

namespace fovea::frontend {

struct NamedPlane {
  ir::AxisId row, column;
  bool operator==(const NamedPlane&) const = default;
};

// For each axis of unfixed extent along which a value of two such axes is folded that was made of
// values with one of them each: the other axis, and the folded one, in this order. Of several, the
// one whose indices are compared or read in each other's place, else the one with a maximum, and of
// these the last to be joined, declared last. Axes that all inputs with the other share are a batch,
// no rows.
std::vector<NamedPlane> named_planes(const ir::Graph& graph);

}  // namespace fovea::frontend
