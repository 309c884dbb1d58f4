// passes/extents.h — what is known of extents when a kernel is compiled, and what they cost.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "ir/graph.h"

namespace fovea::passes {

// The extent of an axis whose text fixes it, also by way of other axes.
std::optional<std::int64_t> fixed_extent(const ir::Graph& graph, ir::AxisId axis);

// How many points these axes span. An axis known only when run counts as 4096.
double points(const ir::Graph& graph, std::span<const ir::AxisId> axes);

// How many elements are computed in all: a map at each of its points, a fold at each that it reads.
double operations(const ir::Graph& graph);

}  // namespace fovea::passes
