// passes/run.h — runs passes: verifies, times and dumps what each returns; passes never do.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "passes/pipeline.h"

namespace fovea::passes {

// What one pass did, told as soon as it is done.
struct PassReport {
  const Pass& pass;
  std::string_view path;  // its name, after that of its form: "fuse", "decode/defer_scaling"
  int number;             // its place in its form, from 1
  double milliseconds;
  bool changed;
  const ir::Graph& graph;  // what it returned
};

struct RunOptions {
  std::string stop_after = {};    // a path: stop after its first appearance; empty: run them all
  std::optional<int> limit = {};  // run at most so many passes, and what code cannot do without
  std::string dump = {};          // "all" or a path: print the graph after it, or "(unchanged)"
  std::string dump_dir = {};      // write 10_fuse.fov and 10_fuse.dot here, decode/15_… and so on
  bool time = false;              // print a table of times at the end
  std::function<void(const PassReport&)> report = {};
  std::function<void(std::string_view)> print = {};  // where dump and time go; empty: stderr
};

// From FOVEA_DUMP, FOVEA_DUMP_DIR, FOVEA_PASSES and FOVEA_TIME. What makes no sense is the user's
// error (invalid_config), also in the options of what follows.
RunOptions options_from_environment();

// Runs the passes of the general form, or those of the form that `stop_after` names, up to it.
ir::Graph run_pipeline(const ir::Graph& graph, const ir::Target& target,
                       const RunOptions& options = options_from_environment());

// Returns the graph in this form with all of its inputs, ready for code to be made of it.
ir::Graph run_form(const Form& form, const ir::Graph& graph, const ir::Target& target,
                   const RunOptions& options = {});

// The same, from what run_form returned for the same order and fusion without rows.
ir::Graph run_rows(const Form& form, const ir::Graph& made, const ir::Target& target,
                   const RunOptions& options = {});

// Runs any list of passes.
ir::Graph run_passes(std::span<const Pass> passes, const ir::Graph& graph, const ir::Target& target,
                     const RunOptions& options);

}  // namespace fovea::passes
