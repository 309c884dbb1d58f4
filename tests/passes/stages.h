// tests/passes/stages.h — the graphs that the compiler makes of one on its way to code: after every
// pass, in both orders of contractions, fused and not, and tiled for every number of rows.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"
#include "ir/target.h"
#include "passes/run.h"

namespace fovea::passes {

struct Stage {
  std::string name;  // "fuse", "unfused/tile", "short_axes/simplify", "decode/defer_scaling"
  ir::Graph graph;
};

// In order; each differs from all before it.
std::vector<Stage> stages(const ir::Graph& graph, const ir::Target& target = ir::targets()[0]);

// Every form by its path, the general one first, as code is made of it.
std::vector<Stage> made_forms(const ir::Graph& graph, const ir::Target& target,
                              const RunOptions& options = {});

}  // namespace fovea::passes
