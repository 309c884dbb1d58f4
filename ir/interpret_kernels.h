// ir/interpret_kernels.h — what a graph with kernels means: they run in order, each computes what
// it can from inputs and from what others stored, and nothing else is there. In double, without
// tiles.
//
// - A kernel computes what ir/kernel_graph.h says, and no more than ir/kernel_walk.h allows.
// - Its results lie in their slots of the arena or in an output's memory; before slots are planned,
//   each in memory of its own. A kernel overwrites its slots while it runs: whatever lay there is
//   lost as a whole, as extents may be any.
// - Outputs are what lies in their memory, and copies of what is there after the last kernel.
#pragma once

#include <vector>

#include "ir/graph.h"
#include "ir/interpret.h"
#include "ir/kernel_graph.h"

namespace fovea::ir {

// A graph whose kernels are taken apart, for any number of runs.
class KernelProgram {
 public:
  // Kept by reference. An error (internal) that names the kernel and the node where one needs what
  // is not there: never stored, stored later, overwritten by then, or not to be had in one walk.
  explicit KernelProgram(const Graph& graph);

  Arrays run(const Arrays& inputs, const Sizes& sizes = {}) const;

 private:
  const Graph& graph_;
  std::vector<KernelGraph> kernels_;  // the last one copies outputs
};

Arrays interpret_kernels(const Graph& graph, const Arrays& inputs, const Sizes& sizes = {});

}  // namespace fovea::ir
