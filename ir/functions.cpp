#include "ir/functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ir/ast.h"
#include "ir/geometry_functions.h"

namespace fovea::ir {
namespace {

constexpr std::pair<std::string_view, AxisFn> kAxisFns[] = {
    {"sum", AxisFn::Sum},         {"max", AxisFn::Max},
    {"min", AxisFn::Min},         {"any", AxisFn::Any},
    {"all", AxisFn::All},         {"mean", AxisFn::Mean},
    {"softmax", AxisFn::Softmax}, {"logsumexp", AxisFn::LogSumExp},
    {"argmax", AxisFn::ArgMax},   {"cumsum", AxisFn::CumSum},
    {"topk", AxisFn::TopK},       {"size", AxisFn::Size},
};

// Cast is written as the name of a dtype, operators as such; both are no functions here.
std::vector<Fn> element_fns() {
  std::vector<Fn> all;
  for (int k = 0; k < static_cast<int>(Fn::Cast); ++k)
    if (is_identifier(name(static_cast<Fn>(k)))) all.push_back(static_cast<Fn>(k));
  return all;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t k = 0; k <= b.size(); ++k) row[k] = k;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t k = 1; k <= b.size(); ++k) {
      const std::size_t changed = diagonal + (a[i - 1] == b[k - 1] ? 0 : 1);
      diagonal = row[k];
      row[k] = std::min({changed, row[k] + 1, row[k - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<AxisFn> find_axis_fn(std::string_view word) {
  for (const auto& [called, fn] : kAxisFns)
    if (called == word) return fn;
  return std::nullopt;
}

std::optional<Fn> find_element_fn(std::string_view word) {
  for (Fn fn : element_fns())
    if (name(fn) == word) return fn;
  return std::nullopt;
}

std::vector<std::string_view> function_names() {
  std::vector<std::string_view> all;
  for (Fn fn : element_fns()) all.push_back(name(fn));
  for (const auto& [called, fn] : kAxisFns) all.push_back(called);
  for (const GeometryFn& fn : geometry_functions()) all.push_back(fn.name);
  for (const auto& row : runtime::kDtypes) all.push_back(row.name);
  return all;
}

std::string suggestion(std::string_view word, const std::vector<std::string_view>& known) {
  constexpr std::size_t kLongest = 40;
  std::size_t best = word.size() / 4 + 1;
  std::string_view nearest;
  for (std::string_view candidate : known) {
    if (word.size() > kLongest || candidate.size() > kLongest || candidate.size() < 2) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= candidate.size() || distance > best) continue;
    if (distance == best && !nearest.empty()) continue;
    best = distance;
    nearest = candidate;
  }
  return nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest);
}

}  // namespace fovea::ir
