#include "tests/passes/same_meaning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace fovea::passes {
namespace {

constexpr int kSeeds = 4;

double random_value(ir::Dtype dtype, Values values, std::mt19937& random) {
  if (dtype == ir::Dtype::Bool) return static_cast<double>(random() % 2);
  const bool special = values == Values::Special;
  if (ir::is_integer(dtype)) {
    if (!special) return static_cast<double>(random() % 3);
    const double lowest = dtype == ir::Dtype::U8 ? 0 : -4;
    return lowest + static_cast<double>(random() % 9);
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kSpecial[] = {0, -0.0, kInfinity, -kInfinity,
                                 std::numeric_limits<double>::quiet_NaN()};
  if (special && random() % 2 == 0) return kSpecial[random() % std::size(kSpecial)];
  return ir::round_to(dtype, std::uniform_real_distribution<double>(-2, 2)(random));
}

bool agree(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return std::abs(a - b) <= 1e-12 * std::max({1.0, std::abs(a), std::abs(b)});
}

ir::Arrays only_needed(const ir::Graph& graph, const ir::Arrays& inputs) {
  ir::Arrays needed;
  for (const ir::Node& node : graph.nodes) {
    if (const auto* input = std::get_if<ir::Input>(&node.op)) {
      needed.emplace(input->name, inputs.at(input->name));
    }
  }
  return needed;
}

}  // namespace

ir::Sizes small_sizes(const ir::Graph& graph) {
  ir::Sizes sizes;
  std::int64_t next = 0;
  for (const ir::Axis& axis : graph.axes) {
    if (axis.extent.empty() && axis.degree == ir::kNone) sizes[axis.name] = 3 + next++ % 3;
  }
  return sizes;
}

ir::Arrays random_inputs(const ir::Graph& graph, Values values, std::uint32_t seed) {
  std::mt19937 random(seed);
  const ir::Graph axes{graph.axes, {}, {}, {}};  // without inputs that would have to have shapes
  const auto extents = ir::resolve_extents(axes, {}, small_sizes(graph));
  ir::Arrays inputs;
  for (const ir::Node& node : graph.nodes) {
    const auto* input = std::get_if<ir::Input>(&node.op);
    if (input == nullptr) continue;
    ir::Array array{node.type.dtype, {}, {}};
    std::int64_t size = 1;
    for (const ir::AxisId axis : node.type.axes) {
      array.shape.push_back(extents[static_cast<std::size_t>(axis)]);
      size *= array.shape.back();
    }
    for (std::int64_t n = 0; n < size; ++n) {
      array.data.push_back(random_value(node.type.dtype, values, random));
    }
    inputs.emplace(input->name, std::move(array));
  }
  return inputs;
}

std::optional<std::string> difference(const ir::Graph& before, const ir::Graph& after,
                                      Values values) {
  const ir::Sizes sizes = small_sizes(before);
  for (std::uint32_t seed = 0; seed < kSeeds; ++seed) {
    const ir::Arrays inputs = random_inputs(before, values, seed);
    const ir::Arrays expected = ir::interpret(before, inputs, sizes);
    const ir::Arrays found = ir::interpret(after, only_needed(after, inputs), sizes);
    for (const auto& [name, array] : expected) {
      const ir::Array& other = found.at(name);
      if (other.shape != array.shape || other.dtype != array.dtype) {
        return fmt::format("{} has another shape or dtype", name);
      }
      for (std::size_t n = 0; n < array.data.size(); ++n) {
        if (agree(array.data[n], other.data[n])) continue;
        return fmt::format("seed {}: {}[{}] was {} and became {}", seed, name, n, array.data[n],
                           other.data[n]);
      }
    }
  }
  return {};
}

}  // namespace fovea::passes
