#include "tests/passes/stages.h"

#include <algorithm>
#include <utility>

#include "ir/checks.h"
#include "passes/defer_scaling.h"
#include "passes/fuse.h"
#include "passes/pipeline.h"
#include "passes/plan_buffers.h"
#include "passes/reassociate.h"
#include "passes/tile.h"

namespace fovea::passes {
namespace {

using ir::Graph;
using Run = decltype(Pass::run);

class Stages {
 public:
  explicit Stages(const ir::Target& target) : target_(target) {}

  // What frontend/compile.cpp does, and then frontend/variants.cpp.
  void compile(const Graph& graph, const std::string& prefix, Run order, Run partition) {
    std::vector<Pass> table(pipeline().begin(), pipeline().end());
    for (Pass& pass : table) {
      if (pass.run == reassociate) pass.run = order;
      if (pass.run == fuse) pass.run = partition;
    }
    RunOptions options;
    options.report = [&](const PassReport& report) {
      add(prefix + std::string(report.pass.name), report.graph);
    };
    tile_for_rows(prefix, run_passes(table, graph, target_, options));
  }

  std::vector<Stage> take() { return std::move(all_); }

 private:
  void tile_for_rows(const std::string& prefix, const Graph& graph) {
    add(prefix + "tile_half", tile_half(graph, target_));
    for (const bool one : {false, true}) {
      const std::string rows = prefix + (one ? "one_row/" : "few_rows/");
      const Graph columns = tile_columns(graph, target_, one);
      add(rows + "tile_columns", columns);
      const Graph deferred = defer_scaling(columns, target_);
      add(rows + "defer_scaling", deferred);
      if (deferred != columns) add(rows + "plan_buffers", plan_buffers(deferred, target_));
    }
  }

  void add(std::string name, const Graph& graph) {
    if (std::ranges::find(all_, graph, &Stage::graph) == all_.end())
      all_.push_back({std::move(name), graph});
  }

  const ir::Target& target_;
  std::vector<Stage> all_;
};

}  // namespace

std::vector<Stage> stages(const Graph& graph, const ir::Target& target) {
  const Graph start = ir::check_reads(graph);
  Stages stages(target);
  stages.compile(start, "", reassociate, fuse);
  stages.compile(start, "unfused/", reassociate, partition_unfused);
  stages.compile(start, "short/", reassociate_short, fuse);
  stages.compile(start, "short/unfused/", reassociate_short, partition_unfused);
  return stages.take();
}

}  // namespace fovea::passes
