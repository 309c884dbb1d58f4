// tests/frontend/random_axes.h — sets of axis names, and what programs over them cost.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/frontend/support.h"

namespace fovea::test {

// Sorted names.
using AxisNames = std::vector<std::string>;

AxisNames unite(AxisNames a, const AxisNames& b);
AxisNames without(AxisNames axes, std::string_view axis);
bool contains(const AxisNames& axes, std::string_view axis);
// Those of `a` that `b` has too.
AxisNames common(const AxisNames& a, const AxisNames& b);

// Axes that have a degree are called u0, u1, …
bool is_ragged(std::string_view axis);

// All names in a text.
std::set<std::string> names_in(std::string_view text);

// Halves the largest sizes until interpreting the graph costs little.
void limit_work(const Graph& graph, Sizes& sizes);

}  // namespace fovea::test
