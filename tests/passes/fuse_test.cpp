#include "passes/fuse.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "ir/text.h"
#include "passes/run.h"

namespace fovea::passes {
namespace {

// The most nodes that one kernel computes from inputs and from what others store.
std::size_t largest_kernel(const ir::Graph& graph) {
  std::set<ir::NodeId> stored;
  for (const ir::Kernel& kernel : graph.kernels)
    stored.insert(kernel.results.begin(), kernel.results.end());
  std::size_t most = 0;
  for (const ir::Kernel& kernel : graph.kernels) {
    std::set<ir::NodeId> own;
    std::vector<ir::NodeId> stack(kernel.results);
    while (!stack.empty()) {
      const ir::NodeId id = stack.back();
      stack.pop_back();
      if (!own.insert(id).second) continue;
      for (const ir::NodeId input : graph.node(id).inputs)
        if (!stored.contains(input)) stack.push_back(input);
    }
    most = std::max(most, own.size());
  }
  return most;
}

std::size_t largest_kernel_of_steps(int steps) {
  const std::string text =
      "axis j, d = 5\nw : f32[j]\nx : f32[j, d]\nout mean = frechet_mean(j, d, w, x, 1.0, " +
      std::to_string(steps) + ")\n";
  return largest_kernel(run_pipeline(ir::parse(text), ir::targets().front(), {}));
}

}  // namespace

TEST_CASE("fuse: the steps of an iteration do not compute those before them again") {
  const std::size_t few = largest_kernel_of_steps(6), many = largest_kernel_of_steps(12);
  CHECK(many < few + few / 2);
}

}  // namespace fovea::passes
