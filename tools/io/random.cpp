#include "tools/io/random.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "ir/extent.h"
#include "ir/query.h"

namespace fovea::tools {
namespace {

constexpr std::int64_t kSmall = 8;

// Which nodes the input reaches.
std::vector<bool> reached(const Graph& graph, const ir::Node& input) {
  std::vector<bool> reach(graph.nodes.size());
  for (std::size_t id = 0; id < graph.nodes.size(); ++id) {
    const ir::Node& node = graph.nodes[id];
    reach[id] = &node == &input || std::ranges::any_of(node.inputs, [&](ir::NodeId from) {
      return reach[static_cast<std::size_t>(from)];
    });
  }
  return reach;
}

// The smallest extent of the axes along which the input is a coordinate; nothing if it is none.
std::optional<std::int64_t> coordinate_bound(const Graph& graph, const ir::Node& input,
                                             const std::vector<std::int64_t>& extents) {
  const std::vector<bool> reach = reached(graph, input);
  std::optional<std::int64_t> bound;
  for (const ir::Node& node : graph.nodes) {
    const auto* read = ir::read_of(node);
    if (read == nullptr) continue;
    std::size_t at = 1;
    for (const ir::Read::Coordinate& coordinate : read->at) {
      const std::int64_t extent = extents[static_cast<std::size_t>(coordinate.axis)];
      if (reach[static_cast<std::size_t>(node.inputs[at])] && extent > 0)
        bound = std::min(bound.value_or(extent), extent);
      at += coordinate.otherwise ? 2 : 1;
    }
  }
  return bound;
}

std::function<double(std::mt19937&)> generator(const Graph& graph, const ir::Node& input,
                                               const std::vector<std::int64_t>& extents) {
  const Dtype dtype = input.type.dtype;
  if (ir::is_float(dtype))
    return [normal = std::normal_distribution<double>()](std::mt19937& random) mutable {
      return normal(random);
    };
  if (dtype == Dtype::Bool)
    return [](std::mt19937& random) { return static_cast<double>(random() & 1); };
  const auto bound = coordinate_bound(graph, input, extents);
  const bool is_signed = !bound && (dtype == Dtype::I8 || dtype == Dtype::I4);
  const auto high =
      static_cast<double>(std::min(bound.value_or(kSmall), std::int64_t{1} << 31) - 1);
  std::uniform_int_distribution<std::int64_t> uniform(is_signed ? -kSmall : 0,
                                                      static_cast<std::int64_t>(high));
  return [uniform](std::mt19937& random) mutable { return static_cast<double>(uniform(random)); };
}

}  // namespace

Tensor random_input(const Graph& graph, const ir::Node& input,
                    const std::vector<std::int64_t>& extents, unsigned seed) {
  const std::string& name = std::get<ir::Input>(input.op).name;
  std::seed_seq mixed(name.begin(), name.end());
  std::vector<unsigned> words(1);
  mixed.generate(words.begin(), words.end());
  std::mt19937 random(words[0] ^ seed);
  ir::Array array{input.type.dtype, {}, {}};
  for (ir::AxisId axis : input.type.axes)
    array.shape.push_back(extents[static_cast<std::size_t>(axis)]);
  ir::check_elements(name, array.shape);
  auto next = generator(graph, input, extents);
  array.data.resize(static_cast<std::size_t>(ir::element_count(array.shape)));
  for (double& element : array.data) element = ir::round_to(array.dtype, next(random));
  return from_array(array);
}

}  // namespace fovea::tools
