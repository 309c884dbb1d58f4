// codegen/layout.h — where everything lies that the kernels of a graph read and write.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "runtime/program.h"

namespace fovea::codegen {

// Where a node lies in memory. Symbols of the program are the graph's axes, by AxisId.
struct Place {
  int buffer = -1;                   // of runtime::Program
  ir::Dtype dtype = ir::Dtype::F32;  // as stored
  std::vector<ir::AxisId> layout;    // slowest first
  // Memory holds so many elements along this axis that they are a multiple of a number.
  ir::AxisId padded = ir::kNone;
  int multiple = 1;
};
using Placement = std::map<ir::NodeId, Place>;

// An output whose value lies in another buffer already: an input, another output, or a result that
// is stored in a form of its own.
struct Copy {
  std::string name;
  ir::NodeId node = ir::kNone;
  Place place;
};

struct Layout {
  std::vector<runtime::Symbol> symbols;
  std::vector<runtime::Buffer> buffers;  // the same for the same graph
  int slots = 0;
  Placement places;  // of inputs and of all results of kernels
  std::vector<Copy> copies;
};

// Of a graph after all passes. Between kernels values lie as they are computed, in f32,
// i32 and bool; those folded over the rows of a plane have columns and then their last feature axis
// fastest, and columns padded to whole blocks.
Layout lay_out(const ir::Graph& graph);

// Of a buffer along an axis; and of columns rounded up to the kernel's blocks.
runtime::Size extent_size(ir::AxisId axis);
runtime::Size padded_columns(const ir::Kernel& kernel);

}  // namespace fovea::codegen
