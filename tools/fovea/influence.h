// tools/fovea/influence.h — who looks at whom, of any mechanism: how much each row of the result
// moves when the values of one column do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ops/mechanism.h"

namespace fovea::tools {

struct Influence {
  std::string row, column;  // the axes
  std::size_t columns = 0;
  std::vector<double> weights;  // rows x columns, the largest 1
};

// By central differences of the graph's meaning in double, on example inputs with so many rows and
// columns; the mean over heads and features. Nothing for a mechanism that has no values along
// columns, or no result along rows.
std::optional<Influence> influence(const ops::Mechanism& mechanism, std::int64_t extent);

}  // namespace fovea::tools
