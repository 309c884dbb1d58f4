// codegen/lower.h — kernels as Halide pipelines. For .cpp files of this folder, which include Halide.h first.
#pragma once

#include <string>
#include <vector>

#include "codegen/signature.h"
#include "ir/graph.h"
#include "ir/region.h"
#include "ir/target.h"

namespace fovea::codegen {

// One function of a kernel: Halide's outputs, and what it is called with.
struct Function {
  std::string name;
  std::vector<Halide::Func> outputs;
  std::vector<Halide::Argument> halide;
  std::vector<runtime::Argument> arguments;
};

// What every lowering starts from.
struct Source {
  const ir::Graph& graph;
  const Places& places;
  ir::Leaves leaves;          // what is in memory before the kernel runs
  std::vector<bool> checked;  // by node: Reads whose coordinates were checked before
  const ir::Target& target;
  std::string name;
};

// Results as plain loop nests: every fold inside a kernel is computed where it is needed. Each result
// may be cropped. `exact`: in double, with annihilation.
Function lower_plain(const Source& source, const std::vector<ir::NodeId>& results, bool exact);

}  // namespace fovea::codegen
