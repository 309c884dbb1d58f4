#include "passes/carry.h"

#include "ir/carry.h"
#include "ir/region.h"

namespace fovea::passes {

using namespace ir;

Graph carry(const Graph& graph, const Target&) {
  Graph result = graph;
  for (Kernel& kernel : result.kernels) {
    if (kernel.row == kNone || kernel.carries) continue;
    if (!carried_sums(graph, kernel, region_of(graph, kernel))) continue;
    kernel.carries = true;
    kernel.reason += kernel.reason.empty() ? "" : "; ";
    kernel.reason += "blocks that need no mask are summed once for all later rows";
  }
  return result;
}

}  // namespace fovea::passes
