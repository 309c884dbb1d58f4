// frontend/explain.h — what the compiler made of a graph, in numbers for given extents.
#pragma once

#include <span>

#include "fovea/fovea.h"
#include "runtime/program.h"

namespace fovea::frontend {

// Everything of a Report that follows from the partitioned graph, its program, the extents and the threads of
// a run.
Report explain(const ir::Graph& graph, const runtime::Program& program, const Sizes& sizes,
               std::span<const NamedView> inputs, int threads);

}  // namespace fovea::frontend
