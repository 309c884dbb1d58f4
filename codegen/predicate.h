// codegen/predicate.h — conditions of the graph as bytecode over intervals, from which the executor
// lists blocks (runtime/bound_predicate.h).
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "ir/graph.h"
#include "runtime/program.h"

namespace fovea::codegen {

// Where the program keeps what a condition refers to. The functions return nothing for what it does
// not keep.
struct Places {
  struct Stored {
    int buffer = -1;               // index into Program::buffers
    std::vector<ir::AxisId> axes;  // of its dimensions, slowest first
  };
  ir::AxisId row = ir::kNone, column = ir::kNone;
  std::function<std::optional<int>(ir::AxisId)> batch;      // index into Tiled::batch
  std::function<std::optional<int>(ir::AxisId)> symbol;     // index into Program::symbols
  std::function<std::optional<Stored>(ir::NodeId)> stored;  // inputs and results of earlier steps
};

struct BlockPredicate {
  runtime::Predicate code;
  // Intervals see all that the condition depends on: nothing is unknown, no buffer is loaded along
  // two ranges at once. Otherwise Mask::evaluate is worth having.
  bool decided = true;
};

// Translates a bool node. Understood are index and integer arithmetic, comparisons, logic, `where`,
// sizes, stored integers and bools at any such coordinates (reads elsewhere included), and any and
// all over other axes; the rest (floats, the plane itself stored, sums) is unknown where it stands.
// No condition, ir::kNone, is the empty predicate: true.
BlockPredicate predicate(const ir::Graph& graph, ir::NodeId condition, const Places& places);

}  // namespace fovea::codegen
