// codegen/contraction.h — results that are sums of products, taken apart. For .cpp files of this
// folder, which include Halide.h first.
#pragma once

#include <optional>
#include <vector>

#include "codegen/lower.h"
#include "ir/region.h"

namespace fovea::codegen {

// sum(m, a[y, m] * b[x, m]): x is the fastest axis of the result, y one along which b is constant.
struct SumOfProducts {
  ir::NodeId sum = ir::kNone;  // the result is a function of this, element by element
  ir::AxisId x = ir::kNone, y = ir::kNone;
  std::vector<ir::AxisId> m;  // slowest first
  std::vector<ir::Factor> a, b;
  double scale = 1;
};

// Whether an operand varies along the axis.
bool any_has(const ir::Graph& graph, const std::vector<ir::Factor>& factors, ir::AxisId axis);

// Nothing if the result is no such sum, or is not a function of one alone.
std::optional<SumOfProducts> sum_of_products(const Source& source, const Result& result);

}  // namespace fovea::codegen
