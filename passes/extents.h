// passes/extents.h — what is known of extents when a kernel is compiled.
#pragma once

#include <cstdint>
#include <optional>

#include "ir/graph.h"

namespace fovea::passes {

// The extent of an axis whose text fixes it, also by way of other axes.
std::optional<std::int64_t> fixed_extent(const ir::Graph& graph, ir::AxisId axis);

}  // namespace fovea::passes
