// frontend/explain.h — what the compiler made of a graph, in numbers for given extents.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/fovea.h"
#include "runtime/block_list.h"
#include "runtime/program.h"

namespace fovea::frontend {

// Extents of all axes, by AxisId, as run() finds them; an input that is not given carries none, as
// if it were a constant. Errors: those of Kernel::explain.
std::vector<std::int64_t> extents_of(const ir::Graph& graph, const Sizes& sizes,
                                     std::span<const NamedView> inputs);

// Whether only data tell what some kernel visits.
bool visits_by_data(const runtime::Program& program);

// Everything of a Report that follows from the partitioned graph, its program, the extents, the
// threads of a run and what a run visited by its data, if there was one (of each step; else empty).
Report explain(const ir::Graph& graph, const runtime::Program& program, const Sizes& sizes,
               std::span<const NamedView> inputs, int threads,
               std::span<const runtime::Visits> visits);

}  // namespace fovea::frontend
