// Extents of axes from the shapes of inputs and the caller's sizes, and what they make.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "ir/extent.h"
#include "ir/infer.h"
#include "ir/interpret.h"
#include "ir/query.h"
#include "ir/require.h"

namespace fovea::ir {
namespace {

using Shapes = std::map<std::string, std::vector<std::int64_t>>;

// An extent and who said so, for the message when two disagree.
struct Found {
  std::int64_t extent = 0;
  std::string by;
};

class Extents {
 public:
  explicit Extents(const Graph& graph)
      : graph_(graph), found_(graph.axes.size()), derived_(graph.axes.size()) {}

  void find(AxisId id, std::int64_t extent, const std::string& by) {
    std::optional<Found>& known = found_[static_cast<std::size_t>(id)];
    const std::string& axis = graph_.axis(id).name;
    require(extent >= 0, Code::dimension_mismatch,
            "axis {} has extent {} in {}; expected 0 or more", axis, extent, by);
    require(extent <= std::numeric_limits<std::int32_t>::max(), Code::input_too_large,
            "axis {} has extent {} in {}; expected at most 2147483647", axis, extent, by);
    if (!known) known = Found{extent, by};
    require(known->extent == extent, Code::dimension_mismatch,
            "axis {} has extent {} in {}; expected {} as in {}", axis, extent, by, known->extent,
            known->by);
  }

  // Follows the extents that are made of others, each once; those that mention an unknown one stay
  // unknown.
  std::optional<std::int64_t> derive(AxisId id) {
    const Axis& axis = graph_.axis(id);
    if (!axis.extent.empty() && !derived_[static_cast<std::size_t>(id)]) {
      derived_[static_cast<std::size_t>(id)] = true;
      if (const auto extent = evaluate(axis)) {
        find(id, *extent, "the definition of the axis");
      }
    }
    const std::optional<Found>& known = found_[static_cast<std::size_t>(id)];
    return known ? std::optional(known->extent) : std::nullopt;
  }

 private:
  std::optional<std::int64_t> evaluate(const Axis& axis) {
    return ir::evaluate(
        axis.extent, [&](AxisId id) { return derive(id); },
        [&](ExtentTerm::Kind kind, std::int64_t a, std::int64_t b) {
          require(kind != ExtentTerm::Kind::Div || b != 0, Code::invalid_config,
                  "the extent of axis {} divides {} by 0", axis.name, a);
          const auto result = combine(kind, a, b);
          require(result.has_value(), Code::input_too_large, "the extent of axis {} overflows",
                  axis.name);
          return result;
        });
  }

  const Graph& graph_;
  std::vector<std::optional<Found>> found_;
  std::vector<bool> derived_;
};

// The axes whose extents nothing can do without.
std::vector<bool> needed_axes(const Graph& graph) {
  std::vector<bool> needed(graph.axes.size(), false);
  const auto need = [&](const std::vector<AxisId>& axes) {
    for (const AxisId axis : axes) needed[static_cast<std::size_t>(axis)] = true;
  };
  for (const Node& node : graph.nodes) {
    need(node.type.axes);
    need(axes_of(node.op));
  }
  return needed;
}

std::string list(const std::vector<std::string>& names) {
  return names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "));
}

void find_inputs(const Graph& graph, const Shapes& shapes, Extents& extents) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) {
    const auto* input = input_of(node);
    if (input == nullptr) continue;
    names.push_back(input->name);
    const auto given = shapes.find(input->name);
    require(given != shapes.end(), Code::empty_input, "input {} is missing", input->name);
    require(given->second.size() == node.type.axes.size(), Code::dimension_mismatch,
            "input {} has rank {}; expected {}", input->name, given->second.size(),
            node.type.axes.size());
    for (std::size_t n = 0; n < node.type.axes.size(); ++n) {
      extents.find(node.type.axes[n], given->second[n], "input " + input->name);
    }
  }
  for (const auto& [name, shape] : shapes) {
    require(std::ranges::find(names, name) != names.end(), Code::invalid_config,
            "'{}' is not an input of this graph; expected {}", name, list(names));
  }
}

void find_sizes(const Graph& graph, const Sizes& sizes, Extents& extents) {
  for (const auto& [name, size] : sizes) {
    const AxisId axis = find_axis(graph, name);
    std::vector<std::string> names;
    for (const Axis& known : graph.axes) names.push_back(known.name);
    require(axis != kNone, Code::invalid_config,
            "a size is given for '{}', which is not an axis of this graph; expected {}", name,
            list(names));
    require(graph.axis(axis).degree == kNone, Code::invalid_config,
            "a size is given for the ragged axis {}, whose extents are its degree", name);
    extents.find(axis, size, "the given sizes");
  }
}

}  // namespace

std::optional<std::int64_t> combine(ExtentTerm::Kind kind, std::int64_t a, std::int64_t b) {
  using Kind = ExtentTerm::Kind;
  std::int64_t result = 0;
  bool fails = false;
  if (kind == Kind::Add) fails = __builtin_add_overflow(a, b, &result);
  if (kind == Kind::Sub) fails = __builtin_sub_overflow(a, b, &result);
  if (kind == Kind::Mul) fails = __builtin_mul_overflow(a, b, &result);
  if (kind == Kind::Div) {
    fails = b == 0 || (b == -1 && a == std::numeric_limits<std::int64_t>::min());
    if (!fails) result = a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
  }
  return fails ? std::nullopt : std::optional(result);
}

void check_elements(std::string_view input, std::span<const std::int64_t> shape) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const bool is_empty = std::ranges::find(shape, 0) != shape.end();
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    require(is_empty || extent <= kMost / count, Code::input_too_large,
            "input '{}' has shape [{}]; expected at most {} elements", input,
            fmt::join(shape, ", "), kMost);
    count *= is_empty ? 1 : extent;
  }
}

std::int64_t element_count(std::span<const std::int64_t> shape) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 16;
  if (std::ranges::find(shape, 0) != shape.end()) return 0;
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) {
    require(extent > 0 && product <= kMost / extent, Code::input_too_large,
            "an array of shape [{}] exceeds what memory can hold", fmt::join(shape, ", "));
    product *= extent;
  }
  return product;
}

std::vector<std::int64_t> resolve_extents(const Graph& graph, const Shapes& shapes,
                                          const Sizes& sizes) {
  Extents extents(graph);
  find_inputs(graph, shapes, extents);
  find_sizes(graph, sizes, extents);
  const std::vector<bool> needed = needed_axes(graph);
  std::vector<std::int64_t> result;
  for (AxisId id = 0; id < static_cast<AxisId>(graph.axes.size()); ++id) {
    const auto extent = extents.derive(id);
    const bool open = needed[static_cast<std::size_t>(id)] && graph.axis(id).degree == kNone;
    require(extent || !open, Code::empty_input,
            "the extent of axis {} is not known: no input has it; expected a size for it",
            graph.axis(id).name);
    result.push_back(extent.value_or(0));
  }
  return result;
}

}  // namespace fovea::ir
