#include "tests/ops/graphs/graph.h"

#include <rapidcheck.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "ir/error.h"
#include "ir/query.h"

namespace fovea::ops::test {
namespace {

// The first axis of an input.
std::string first_axis(const ir::Graph& graph, const std::string& input) {
  for (const ir::Node& node : graph.nodes)
    if (const auto* found = ir::input_of(node); found && found->name == input)
      return node.type.axes.empty() ? "" : graph.axis(node.type.axes[0]).name;
  return "";
}

// Those inputs in that order whose first axis is this one.
void reorder(const std::string& name, const Options& options, ir::Arrays& inputs,
             const std::string& axis, const std::vector<int>& order) {
  const Mechanism& mechanism = find(name);
  const ir::Graph graph = mechanism.build(Problem(mechanism.options, options));
  for (auto& [input, array] : inputs)
    if (!order.empty() && first_axis(graph, input) == axis) array = reordered(array, order);
}

}  // namespace

Lists any_lists() {
  const int nodes = *rc::gen::inRange(1, 7);
  return *rc::gen::container<Lists>(
      static_cast<std::size_t>(nodes),
      rc::gen::container<std::vector<int>>(rc::gen::inRange(0, nodes)));
}

std::vector<int> shuffled(int count) {
  std::vector<int> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::shuffle(order, std::mt19937(*rc::gen::arbitrary<unsigned>()));
  return order;
}

ir::Arrays graph_inputs(const std::string& name, const Options& options, const Lists& neighbours,
                        unsigned seed) {
  const Mechanism& mechanism = find(name);
  const Problem problem(mechanism.options, options);
  const ir::Graph graph = mechanism.build(problem);
  const auto nodes = static_cast<std::int64_t>(neighbours.size());
  std::vector<double> start{0}, all;
  for (const std::vector<int>& row : neighbours) {
    all.insert(all.end(), row.begin(), row.end());
    start.push_back(static_cast<double>(all.size()));
  }
  ir::Sizes sizes = example_sizes(graph, nodes, nodes);
  sizes["edge"] = static_cast<std::int64_t>(all.size());
  ir::Arrays inputs = example_inputs(mechanism, problem, graph, sizes, seed);
  inputs.at("row_start") = integers(start);
  inputs.at("neighbour") = integers(all);
  return inputs;
}

ir::Array reordered(const ir::Array& array, const std::vector<int>& order) {
  ir::Array result = array;
  result.shape[0] = static_cast<std::int64_t>(order.size());
  result.data.clear();
  const auto row = static_cast<std::ptrdiff_t>(array.data.size()) / array.shape[0];
  for (const int from : order) {
    const auto first = array.data.begin() + from * row;
    result.data.insert(result.data.end(), first, first + row);
  }
  return result;
}

ir::Arrays relabelled(const std::string& name, const Options& options, const ir::Arrays& inputs,
                      const std::vector<int>& order) {
  std::vector<int> place(order.size()), edges;
  for (std::size_t n = 0; n < order.size(); ++n)
    place[static_cast<std::size_t>(order[n])] = static_cast<int>(n);
  const std::vector<double>& start = inputs.at("row_start").data;
  std::vector<double> begin{0};
  for (const int from : order) {
    const auto row = static_cast<std::size_t>(from);
    for (auto edge = static_cast<int>(start[row]); edge < static_cast<int>(start[row + 1]); ++edge)
      edges.push_back(edge);
    begin.push_back(static_cast<double>(edges.size()));
  }
  ir::Arrays result = inputs;
  reorder(name, options, result, "i", order);
  reorder(name, options, result, "edge", edges);
  result.at("row_start") = integers(begin);
  for (double& neighbour : result.at("neighbour").data)
    neighbour = place[static_cast<std::size_t>(neighbour)];
  return result;
}

ir::Arrays with_edges(const std::string& name, const Options& options, const ir::Arrays& inputs,
                      const std::vector<int>& order) {
  ir::Arrays result = inputs;
  reorder(name, options, result, "edge", order);
  return result;
}

ir::Array by_head(const ir::Array& x, const ir::Array& w) {
  const std::int64_t nodes = x.shape[0], heads = w.shape[0], features = w.shape[1];
  const std::int64_t width = w.shape[2];
  ir::Array z = filled({1, heads, nodes, width}, 0);
  for (std::size_t n = 0; n < z.data.size(); ++n) {
    const auto at = static_cast<std::int64_t>(n);
    const std::int64_t d = at % width, i = at / width % nodes, h = at / width / nodes;
    for (std::int64_t c = 0; c < features; ++c)
      z.data[n] += x.data[static_cast<std::size_t>(i * features + c)] *
                   w.data[static_cast<std::size_t>((h * features + c) * width + d)];
  }
  return z;
}

std::string failure_of(const std::string& name, const Options& options, const ir::Arrays& inputs) {
  try {
    evaluate(name, options, inputs);
  } catch (const Error& error) {
    return std::string(fovea::name(error.code()));
  }
  return "ok";
}

}  // namespace fovea::ops::test
