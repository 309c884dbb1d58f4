// tests/ops/graphs/graph.h — small graphs with nodes of known features, and what relabelling their
// nodes does.
#pragma once

#include <string>
#include <vector>

#include "tests/ops/support.h"

namespace fovea::ops::test {

using Lists = std::vector<std::vector<int>>;  // the neighbours of each node

// In properties: up to six nodes with any neighbours, in any order, some twice; and so many places
// in any order.
Lists any_lists();
std::vector<int> shuffled(int count);

// Inputs of a mechanism over graphs for these neighbours; the rest is random.
ir::Arrays graph_inputs(const std::string& name, const Options& options, const Lists& neighbours,
                        unsigned seed = 1);

// The same graph with node `order[i]` in the place of node i.
ir::Arrays relabelled(const std::string& name, const Options& options, const ir::Arrays& inputs,
                      const std::vector<int>& order);

// The same graph with edge `order[n]` in the place of the n-th, within its row.
ir::Arrays with_edges(const std::string& name, const Options& options, const ir::Arrays& inputs,
                      const std::vector<int>& order);

// sum_c x[i, c] w[h, c, d] as [1, h, i, d], for mechanisms that are not over graphs.
ir::Array by_head(const ir::Array& x, const ir::Array& w);

// Rows of an array [i, …] in that order.
ir::Array reordered(const ir::Array& array, const std::vector<int>& order);

// The code with which the graph's evaluation fails, "ok" if it succeeds.
std::string failure_of(const std::string& name, const Options& options, const ir::Arrays& inputs);

}  // namespace fovea::ops::test
