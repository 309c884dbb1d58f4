// frontend/explain.h — what the compiler made of a graph, in numbers for given extents.
#pragma once

#include <span>

#include "fovea/fovea.h"
#include "runtime/program.h"

namespace fovea::frontend {

// Everything of a Report that follows from the partitioned graph, its program and the extents.
Report explain(const ir::Graph& graph, const runtime::Program& program, const Sizes& sizes,
               std::span<const NamedView> inputs);

}  // namespace fovea::frontend
