// ir/interpret_plan.h — what the interpreter stores, what it computes on the way, and what it
// walks.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/graph.h"

namespace fovea::ir {

// A node, as a term of a sum of products or not: only a term's factor 0 annihilates.
struct Value {
  NodeId node = kNone;
  bool term = false;
  std::vector<int> inputs;      // values
  std::vector<AxisId> axes;     // ascending
  std::vector<AxisId> domain;   // the axes that computing it goes over, ascending
  std::vector<AxisId> keys;     // the walked axes that it depends on
  bool stored = true;           // or computed on the way, block by block, inside those who use it
  std::vector<int> on_the_way;  // of a stored one: what is computed inside it, in order
  std::vector<int> operands;    // of a stored one: the stored values that it uses
};

struct Plan {
  std::vector<Value> values;         // in dependency order
  std::vector<int> outputs;          // by output
  std::vector<int> degrees;          // by axis: the value, or -1
  std::vector<std::int64_t> chunks;  // by axis: how many coordinates are taken at a time
  std::vector<AxisId> walked;        // the axes of which not all are taken at once
};

// `extents` of ragged axes do not matter.
Plan make_plan(const Graph& graph, const std::vector<std::int64_t>& extents);

}  // namespace fovea::ir
