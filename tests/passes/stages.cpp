#include "tests/passes/stages.h"

#include <algorithm>
#include <string>
#include <utility>

namespace fovea::passes {

std::vector<Stage> made_forms(const ir::Graph& graph, const ir::Target& target,
                              const RunOptions& options) {
  std::vector<Stage> all;
  ir::Graph made;  // in the same order and fusion, without rows
  for (const Form& form : forms()) {
    if (form.rows == nullptr) made = run_form(form, graph, target, options);
    all.push_back(
        {form.path(), form.rows == nullptr ? made : run_rows(form, made, target, options)});
  }
  return all;
}

std::vector<Stage> stages(const ir::Graph& graph, const ir::Target& target) {
  std::vector<Stage> all;
  RunOptions options;
  options.report = [&](const PassReport& report) {
    if (std::ranges::find(all, report.graph, &Stage::graph) == all.end())
      all.push_back({std::string(report.path), report.graph});
  };
  made_forms(graph, target, options);
  return all;
}

}  // namespace fovea::passes
