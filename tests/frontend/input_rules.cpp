#include "tests/frontend/input_rules.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "ir/query.h"
#include "tools/io/random.h"

namespace fovea::test {
namespace {

using Kind = InputRule::Kind;

std::optional<double> number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

double required_number(const std::string& text) {
  const auto value = number(text);
  if (!value) throw std::invalid_argument(fmt::format("'{}' is no number", text));
  return *value;
}

class Filler {
 public:
  Filler(const Graph& graph, const InputRules& rules, const Sizes& sizes, unsigned seed)
      : graph_(graph), rules_(rules), seed_(seed) {
    const Graph axes{graph.axes, {}, {}, {}};  // no input has a shape yet
    extents_ = ir::resolve_extents(axes, {}, sizes);
  }

  ir::Arrays operator()() {
    for (const bool hidden : {false, true})
      for (const ir::Node& node : graph_.nodes)
        if (const auto* input = ir::input_of(node))
          if ((rule_of(input->name).kind == Kind::Hidden) == hidden) fill(node, input->name);
    return std::move(inputs_);
  }

 private:
  InputRule rule_of(const std::string& name) const {
    const auto found = rules_.find(name);
    return found == rules_.end() ? InputRule{} : found->second;
  }

  std::int64_t extent(const std::string& axis) const {
    const ir::AxisId id = ir::find_axis(graph_, axis);
    return id == ir::kNone ? 0 : extents_[static_cast<std::size_t>(id)];
  }

  // The same numbers for a name and a seed, whatever other inputs there are.
  std::mt19937 random_of(const std::string& name) const {
    std::seed_seq mixed(name.begin(), name.end());
    std::vector<unsigned> words(1);
    mixed.generate(words.begin(), words.end());
    return std::mt19937(words[0] ^ seed_);
  }

  void fill(const ir::Node& node, const std::string& name) {
    const InputRule rule = rule_of(name);
    ir::Array array = tools::to_array(tools::random_input(graph_, node, extents_, seed_));
    std::mt19937 random = random_of(name);
    if (rule.kind == Kind::Rows) fill_rows(array, rule, random);
    if (rule.kind == Kind::Ascending || rule.kind == Kind::Starts)
      fill_ascending(array, rule, random);
    if (rule.kind == Kind::Hidden) hide(array, rule);
    if (rule.kind != Kind::Any && rule.kind <= Kind::Between && rule.kind != Kind::Rows)
      for (double& x : array.data) x = next(rule, random);
    for (double& x : array.data) x = ir::round_to(array.dtype, as_stored(array.dtype, x));
    inputs_.emplace(name, std::move(array));
  }

  static double as_stored(Dtype dtype, double x) {
    return ir::is_float(dtype) ? static_cast<double>(static_cast<float>(x)) : x;
  }

  double next(const InputRule& rule, std::mt19937& random) const {
    const auto whole = [&](double low, double count) {
      return low + static_cast<double>(random() % static_cast<unsigned>(std::max(count, 1.0)));
    };
    switch (rule.kind) {
      case Kind::Normal: return std::normal_distribution<>()(random) * rule.value;
      case Kind::Whole: return whole(-3, 7) * rule.value;
      case Kind::Below:
        return whole(0, rule.name.empty() ? rule.value : static_cast<double>(extent(rule.name)));
      case Kind::Between: return whole(rule.value, rule.high - rule.value + 1);
      default: return rule.value;
    }
  }

  static void fill_rows(ir::Array& array, const InputRule& rule, std::mt19937& random) {
    const auto length = static_cast<std::size_t>(array.shape.empty() ? 1 : array.shape.back());
    bool zero = false;
    for (std::size_t n = 0; n < array.data.size(); ++n) {
      if (n % length == 0) zero = random() % 3 == 0;
      array.data[n] = zero ? 0 : std::normal_distribution<>()(random) * rule.value;
    }
  }

  void fill_ascending(ir::Array& array, const InputRule& rule, std::mt19937& random) const {
    const double end = rule.kind == Kind::Starts ? static_cast<double>(extent(rule.name))
                                                 : std::numeric_limits<double>::infinity();
    double last = 0;
    for (double& x : array.data) {
      x = last;
      last = std::min(end, last + static_cast<double>(random() % (rule.name.empty() ? 2 : 6)));
    }
  }

  void hide(ir::Array& array, const InputRule& rule) const {
    const auto seen = inputs_.find(rule.name);
    if (seen == inputs_.end() || seen->second.data.size() != array.data.size()) return;
    for (std::size_t n = 0; n < array.data.size(); ++n)
      if (seen->second.data[n] == 0) array.data[n] = std::numeric_limits<double>::quiet_NaN();
  }

  const Graph& graph_;
  const InputRules& rules_;
  unsigned seed_;
  std::vector<std::int64_t> extents_;
  ir::Arrays inputs_;
};

}  // namespace

InputRule parse_rule(std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  const auto is = [&](std::size_t n, std::string_view word) {
    return n < words.size() && words[n] == word;
  };
  if (words.size() == 1 && is(0, "any")) return {};
  if (words.size() == 1 && is(0, "ascending")) return {Kind::Ascending};
  if (words.size() == 1) return {Kind::Number, required_number(words[0])};
  if (words.size() == 2 && is(0, "starts")) return {Kind::Starts, 0, 0, words[1]};
  if (words.size() == 3 && is(0, "hidden") && is(1, "by")) return {Kind::Hidden, 0, 0, words[2]};
  if (words.size() == 2 && is(0, "below")) {
    if (const auto limit = number(words[1])) return {Kind::Below, *limit};
    return {Kind::Below, 0, 0, words[1]};
  }
  if (words.size() == 4 && is(0, "from") && is(2, "to"))
    return {Kind::Between, required_number(words[1]), required_number(words[3])};
  if (words.size() == 3 && is(1, "*") && is(2, "normal"))
    return {Kind::Normal, required_number(words[0])};
  if (words.size() == 3 && is(1, "*") && is(2, "whole"))
    return {Kind::Whole, required_number(words[0])};
  if (words.size() == 4 && is(1, "*") && is(2, "normal") && is(3, "rows"))
    return {Kind::Rows, required_number(words[0])};
  throw std::invalid_argument(fmt::format("'{}' is no rule for an input", text));
}

std::string print(const InputRule& rule) {
  switch (rule.kind) {
    case Kind::Any: return "any";
    case Kind::Number: return fmt::format("{}", rule.value);
    case Kind::Normal: return fmt::format("{} * normal", rule.value);
    case Kind::Whole: return fmt::format("{} * whole", rule.value);
    case Kind::Rows: return fmt::format("{} * normal rows", rule.value);
    case Kind::Below:
      return rule.name.empty() ? fmt::format("below {}", rule.value) : "below " + rule.name;
    case Kind::Between: return fmt::format("from {} to {}", rule.value, rule.high);
    case Kind::Ascending: return "ascending";
    case Kind::Starts: return "starts " + rule.name;
    case Kind::Hidden: return "hidden by " + rule.name;
  }
  return "any";
}

ir::Arrays make_inputs(const Graph& graph, const InputRules& rules, const Sizes& sizes,
                       unsigned seed) {
  return Filler(graph, rules, sizes, seed)();
}

}  // namespace fovea::test
