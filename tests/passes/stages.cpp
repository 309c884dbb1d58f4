#include "tests/passes/stages.h"

#include <algorithm>
#include <string>
#include <utility>

#include "passes/run.h"

namespace fovea::passes {

std::vector<Stage> stages(const ir::Graph& graph, const ir::Target& target) {
  std::vector<Stage> all;
  for (const Form& form : forms()) {
    RunOptions options;
    options.report = [&](const PassReport& report) {
      if (std::ranges::find(all, report.graph, &Stage::graph) == all.end())
        all.push_back({std::string(report.path), report.graph});
    };
    run_form(form, graph, target, options);
  }
  return all;
}

}  // namespace fovea::passes
