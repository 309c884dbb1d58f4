// runtime/layout.h — what a program says about itself before any run: which sizes are known when.
//
// Phase 0 is what the bound shapes and the caller's sizes tell. Every further phase begins when
// ragged extents (`largest_of`) become known: phase 1 may come from inputs, the others follow a
// step.
#pragma once

#include <vector>

#include "runtime/program.h"
#include "runtime/status.h"

namespace fovea::runtime {

struct Layout {
  Status status;           // not ok: the program contradicts itself
  std::vector<int> bound;  // input and output buffers
  std::vector<int> order;  // symbols, each after those that its size needs
  std::vector<int> symbol_phase;
  std::vector<int> buffer_phase;
  std::vector<std::vector<int>> ragged;   // per phase, the symbols that begin it
  bool ragged_inputs = false;             // phase 1 begins before the first step
  std::vector<int> phase_after;           // per step, the phase that begins after it, or 0
  std::vector<std::vector<int>> results;  // per step, the buffers that it writes
  // Per Tiled step with accumulators, whether all of them run along each batch symbol: then its
  // coordinates are independent. Along the others all coordinates add to the same elements.
  std::vector<std::vector<bool>> independent;
};

Layout lay_out(const Program& program);

}  // namespace fovea::runtime
