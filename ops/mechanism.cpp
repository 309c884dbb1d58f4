#include "ops/mechanism.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "ir/require.h"

namespace fovea::ops {
namespace {

// The largest integer of an option: the sum of two is an index still.
constexpr int kMost = 999999999;

// Letters to insert, delete or replace to make one from the other (Levenshtein 1966).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t n = 0; n < row.size(); ++n) row[n] = n;
  for (std::size_t m = 0; m < a.size(); ++m) {
    std::size_t diagonal = row[0];
    row[0] = m + 1;
    for (std::size_t n = 0; n < b.size(); ++n) {
      const std::size_t replaced = diagonal + (a[m] == b[n] ? 0 : 1);
      diagonal = row[n + 1];
      row[n + 1] = std::min({replaced, row[n] + 1, row[n + 1] + 1});
    }
  }
  return row.back();
}

bool is_close(std::string_view asked, std::string_view name) {
  return edit_distance(asked, name) <= std::max<std::size_t>(1, asked.size() / 3) ||
         (asked.size() > 2 && name.find(asked) != name.npos);
}

std::string listed(const std::vector<std::string_view>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

Problem::Problem(std::span<const Option> options, const std::map<std::string, double>& given) {
  for (const Option& option : options) values_.emplace(option.name, option.value);
  for (const auto& [name, value] : given) {
    const auto found = values_.find(name);
    if (found == values_.end()) {
      std::vector<std::string_view> names;
      for (const Option& option : options) names.push_back(option.name);
      fail(Code::invalid_config, "there is no option '{}'; expected one of: {}", name,
           names.empty() ? "none" : listed(names));
    }
    found->second = value;
  }
}

double Problem::operator[](std::string_view name) const {
  const auto found = values_.find(name);
  invariant(found != values_.end(), "a mechanism reads the options that it declares");
  return found->second;
}

int Problem::integer(std::string_view name, int least) const {
  const double value = (*this)[name];
  require(value == std::floor(value) && value >= least && value <= kMost, Code::invalid_config,
          "option {} is {}; expected an integer from {} to {}", name, value, least, kMost);
  return static_cast<int>(value);
}

double Problem::positive(std::string_view name) const {
  const double value = (*this)[name];
  require(std::isfinite(value) && value > 0, Code::invalid_config,
          "option {} is {}; expected a number above 0", name, value);
  return value;
}

const Mechanism& find(std::string_view name) {
  std::vector<std::string_view> close;
  for (const Mechanism* mechanism : all()) {
    if (mechanism->name == name) return *mechanism;
    if (is_close(name, mechanism->name)) close.push_back(mechanism->name);
  }
  require(!close.empty(), Code::invalid_config,
          "there is no mechanism '{}'; `fovea list` shows those there are", name);
  fail(Code::invalid_config, "there is no mechanism '{}'; close to it: {}", name, listed(close));
}

}  // namespace fovea::ops
