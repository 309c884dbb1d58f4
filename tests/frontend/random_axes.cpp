#include "tests/frontend/random_axes.h"

#include <algorithm>
#include <cctype>
#include <iterator>

#include "ir/query.h"

namespace fovea::test {
namespace {

constexpr double kMostWork = 1.5e6;  // points of all nodes
constexpr double kRagged = 5;        // of such an axis

double work_of(const Graph& graph, const Sizes& sizes) {
  const Graph axes{graph.axes, {}, {}, {}};
  const std::vector<std::int64_t> extents = ir::resolve_extents(axes, {}, sizes);
  double work = 0;
  for (const ir::Node& node : graph.nodes) {
    std::set<ir::AxisId> domain(node.type.axes.begin(), node.type.axes.end());
    for (const ir::AxisId axis : ir::axes_of(node.op)) domain.insert(axis);
    double points = 1;
    for (const ir::AxisId axis : domain) {
      const bool ragged = graph.axis(axis).degree != ir::kNone;
      points *= ragged ? kRagged : static_cast<double>(extents[static_cast<std::size_t>(axis)]);
    }
    work += points;
  }
  return work;
}

}  // namespace

AxisNames unite(AxisNames a, const AxisNames& b) {
  AxisNames all;
  std::ranges::set_union(a, b, std::back_inserter(all));
  return all;
}

AxisNames without(AxisNames axes, std::string_view axis) {
  std::erase(axes, axis);
  return axes;
}

bool contains(const AxisNames& axes, std::string_view axis) {
  return std::ranges::find(axes, axis) != axes.end();
}

AxisNames common(const AxisNames& a, const AxisNames& b) {
  AxisNames both;
  std::ranges::set_intersection(a, b, std::back_inserter(both));
  return both;
}

bool is_ragged(std::string_view axis) {
  return axis.size() == 2 && axis[0] == 'u' && std::isdigit(static_cast<unsigned char>(axis[1]));
}

std::set<std::string> names_in(std::string_view text) {
  std::set<std::string> names;
  std::string name;
  for (const char c : std::string(text) + " ") {
    const auto letter = static_cast<unsigned char>(c);
    if (std::isalpha(letter) != 0 || c == '_' || (!name.empty() && std::isdigit(letter) != 0)) {
      name += c;
    } else {
      if (!name.empty()) names.insert(name);
      name.clear();
    }
  }
  return names;
}

void limit_work(const Graph& graph, Sizes& sizes) {
  while (!sizes.empty() && work_of(graph, sizes) > kMostWork) {
    auto largest =
        std::ranges::max_element(sizes, {}, [](const auto& size) { return size.second; });
    if (largest->second <= 1) return;
    largest->second /= 2;
  }
}

}  // namespace fovea::test
