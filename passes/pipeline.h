// passes/pipeline.h — the compiler as a list of passes, and what runs it.
//
// A pass takes a graph and returns one that means the same. The runner verifies, times and dumps;
// passes never do.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

struct Pass {
  std::string_view name;
  ir::Graph (*run)(const ir::Graph& graph, const ir::Target& target);
  std::string_view help;  // one line
};

// All passes, in order.
std::span<const Pass> pipeline();

// What one pass did, told as soon as it is done.
struct PassReport {
  const Pass& pass;
  int number;  // its place in the pipeline, from 1
  double milliseconds;
  bool changed;
  const ir::Graph& graph;  // what it returned
};

struct RunOptions {
  std::string stop_after = {};    // a pass: stop after its first appearance; empty: run them all
  std::optional<int> limit = {};  // run at most so many passes
  std::string dump = {};          // "all" or a pass: print the graph after it, or "(unchanged)"
  std::string dump_dir = {};      // write 03_fuse.fov and 03_fuse.dot here; made if missing
  bool time = false;              // print a table of times at the end
  std::function<void(const PassReport&)> report = {};
  std::function<void(std::string_view)> print = {};  // where dump and time go; empty: stderr
};

// From FOVEA_DUMP, FOVEA_DUMP_DIR, FOVEA_PASSES and FOVEA_TIME. What makes no sense is the user's
// error (invalid_config), also in the options of run_pipeline.
RunOptions options_from_environment();

ir::Graph run_pipeline(const ir::Graph& graph, const ir::Target& target,
                       const RunOptions& options = options_from_environment());

// The same for any list of passes.
ir::Graph run_passes(std::span<const Pass> passes, const ir::Graph& graph, const ir::Target& target,
                     const RunOptions& options);

}  // namespace fovea::passes
