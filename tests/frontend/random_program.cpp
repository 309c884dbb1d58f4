#include "tests/frontend/random_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "ir/text.h"
#include "tests/frontend/random_axes.h"

namespace fovea::test {
namespace {

constexpr std::size_t kMostAxes = 5;       // of a value
constexpr std::size_t kMostPositions = 3;  // of a value
constexpr double kLarge = 20;              // larger values are made small before they are used

}  // namespace

// --- axes

void RandomProgram::add_axis(const std::string& name, const std::string& extent, Role role) {
  axes_.push_back({name, extent, role});
}

std::string RandomProgram::extent_of(Role role, const std::vector<std::string>& same_as) {
  if (!same_as.empty() && chance(50)) return word(same_as);
  switch (role) {
    case Role::Position: return chance(85) ? "" : word({"7", "24", "33", "8 * 12", "64", "100"});
    case Role::Feature:
      return chance(40) ? "" : word({"1", "2", "3", "4", "4", "5", "8", "8", "16", "17", "32"});
    case Role::Batch: return chance(40) ? "" : word({"1", "2", "2", "3", "4", "8"});
    case Role::Short: return chance(35) ? "" : word({"1", "2", "3", "3", "5"});
    case Role::List: break;
  }
  return "";
}

void RandomProgram::make_axes() {
  if (chance(25)) add_axis("b", extent_of(Role::Batch, {}), Role::Batch);
  if (chance(55)) add_axis("h", extent_of(Role::Batch, {}), Role::Batch);
  if (chance(15)) add_axis("r", extent_of(Role::Batch, {}), Role::Batch);
  add_axis("i", extent_of(Role::Position, {}), Role::Position);
  add_axis("j", extent_of(Role::Position, {"i"}), Role::Position);
  if (chance(50)) add_axis("m", extent_of(Role::Position, {"i", "j"}), Role::Position);
  if (chance(15)) add_axis("t", chance(50) ? "i + j" : "(j + 3) / 4", Role::Position);
  add_axis("d", extent_of(Role::Feature, {}), Role::Feature);
  if (chance(70)) add_axis("e", extent_of(Role::Feature, {"d"}), Role::Feature);
  if (chance(40)) add_axis("f", extent_of(Role::Feature, {"d"}), Role::Feature);
  add_axis("n", extent_of(Role::Short, {}), Role::Short);
  if (chance(40)) add_axis("x", extent_of(Role::Short, {}), Role::Short);
}

bool RandomProgram::has_role(const std::string& axis, Role role) const {
  return std::ranges::any_of(
      axes_, [&](const AxisInfo& info) { return info.name == axis && info.role == role; });
}

RandomProgram::Axes RandomProgram::with_role(Role role) const {
  Axes found;
  for (const AxisInfo& info : axes_)
    if (info.role == role) found.push_back(info.name);
  return found;
}

RandomProgram::Axes RandomProgram::those(const Axes& axes, Role role) const {
  Axes found;
  for (const std::string& axis : axes)
    if (has_role(axis, role)) found.push_back(axis);
  return found;
}

std::string RandomProgram::any_axis(Role role) {
  const Axes all = with_role(role);
  return all.empty() ? "i" : pick(all);
}

std::string RandomProgram::other_position(const Axes& than) {
  Axes left;
  for (const std::string& axis : with_role(Role::Position))
    if (!contains(than, axis)) left.push_back(axis);
  return left.empty() ? "" : pick(left);
}

// --- values

bool RandomProgram::fits(const Axes& axes) const {
  return axes.size() <= kMostAxes && those(axes, Role::Position).size() <= kMostPositions;
}

RandomProgram::Value RandomProgram::let(const std::string& expression, Axes axes, double size,
                                        bool exact) {
  const std::string name = fmt::format("t{}", names_++);
  statements_ += fmt::format("{} = {}\n", name, expression);
  int depth = 0;
  for (const std::string& used : names_in(expression))
    if (const auto found = depths_.find(used); found != depths_.end())
      depth = std::max(depth, found->second);
  depths_[name] = depth + 1;
  return {name, std::move(axes), size, exact};
}

void RandomProgram::add(Value value) {
  if (const auto found = depths_.find(value.text); found != depths_.end())
    value.depth = found->second;
  pool_.push_back(std::move(value));
  goes_on_ = false;
}

RandomProgram::Value RandomProgram::input(const std::string& dtype, Axes axes,
                                          const std::string& rule, double size) {
  const std::string name = fmt::format("a{}", input_count_++);
  // Layouts in an order of their own, now and then; what hides another has that one's.
  Axes layout = axes;
  std::ranges::sort(layout, {}, [&](const std::string& axis) {
    return std::ranges::find(axes_, axis, &AxisInfo::name) - axes_.begin();
  });
  const bool pairs = dtype == "bool" || rule.starts_with("hidden");
  if (layout.size() > 1 && chance(15) && !pairs) std::swap(layout[0], layout[layout.size() - 1]);
  inputs_ += fmt::format("{} : {}[{}]\n", name, dtype, fmt::join(layout, ", "));
  rules_[name] = parse_rule(rule);
  return {name, std::move(axes), size};
}

RandomProgram::Value RandomProgram::floats(Axes axes) {
  if (chance(10)) {
    Value whole = input("f32", std::move(axes), "1 * whole", 3);
    whole.exact = true;
    return whole;
  }
  if (chance(8)) return input("f32", std::move(axes), "1 * normal rows", 1);
  if (chance(6)) {
    Value narrow =
        input(word({"bf16", "f16", "i8", "u8", "i4", "bool"}), std::move(axes), "any", 4);
    narrow.text = fmt::format("f32({})", narrow.text);
    return narrow;
  }
  if (chance(5)) {
    const std::string scale = word({"1e-42", "1e-30", "1e-10", "1e4", "1e10", "1e20", "1e37"});
    const double size = scale == "1e4" ? 1e4 : scale.starts_with("1e-") ? 0.1 : 1e30;
    return input("f32", std::move(axes), scale + " * normal", size);
  }
  return input("f32", std::move(axes), chance(80) ? "1 * normal" : "3 * normal", 2);
}

RandomProgram::Value RandomProgram::from_pool() {
  if (pool_.empty()) {
    Axes axes{any_axis(Role::Position)};
    if (chance(80)) axes = unite(axes, {any_axis(Role::Feature)});
    if (chance(40) && !with_role(Role::Batch).empty()) axes = unite(axes, {any_axis(Role::Batch)});
    add(floats(axes));
  }
  if (std::exchange(goes_on_, false)) return pool_.back();
  const auto count = static_cast<std::uint32_t>(pool_.size());
  const std::uint32_t recent = chance(75) ? std::min(count, 2U) : count;
  return pool_[count - 1 - below(recent)];
}

RandomProgram::Value RandomProgram::with_feature() {
  for (int n = 0; n < 4; ++n) {
    Value x = from_pool();
    if (!those(x.axes, Role::Feature).empty() && !those(x.axes, Role::Position).empty()) return x;
  }
  Axes axes = unite({any_axis(Role::Position)}, {any_axis(Role::Feature)});
  if (chance(50) && !with_role(Role::Batch).empty()) axes = unite(axes, {any_axis(Role::Batch)});
  return floats(axes);
}

RandomProgram::Value RandomProgram::tame(const Value& x) const {
  Value result = x;
  if (x.excludes) result = {fmt::format("max(0.0 + {}, -8.0)", x.text), x.axes, x.size + 8};
  if (x.size <= kLarge) return result;
  return {fmt::format("tanh({} * {:.0e})", result.text, 1 / x.size), x.axes, 1};
}

// At another coordinate, which is an axis of its own.
RandomProgram::Value RandomProgram::read(const Value& x, const std::string& axis,
                                         const std::string& at) const {
  Value result = x;
  result.text = fmt::format("{}[{} = {}]", x.text, axis, at);
  result.axes = unite(without(x.axes, axis), {at});
  return result;
}

// --- the program

RandomText RandomProgram::operator()() {
  make_axes();
  const std::size_t wanted = 2 + below(most_ - 1);
  for (int tries = 0; pool_.size() < wanted && tries < 40; ++tries) step();
  const std::string body = inputs_ + statements_ + outputs();
  const std::string text = axis_line(body) + body;
  return {text, rules_, sizes_for(text)};
}

void RandomProgram::step() {
  using Step = void (RandomProgram::*)();
  static constexpr std::pair<Step, std::uint32_t> kSteps[] = {
      {&RandomProgram::attention, 14},
      {&RandomProgram::project, 8},
      {&RandomProgram::score, 14},
      {&RandomProgram::masked, 10},
      {&RandomProgram::weights, 12},
      {&RandomProgram::mix, 12},
      {&RandomProgram::multiply_planes, 6},
      {&RandomProgram::combine, 6},
      {&RandomProgram::apply_function, 8},
      {&RandomProgram::read_elsewhere, 8},
      {&RandomProgram::reduce, 6},
      {&RandomProgram::layer, 5},
      {&RandomProgram::scan, 4},
      {&RandomProgram::choose, 6},
      {&RandomProgram::neighbours, 4},
      {&RandomProgram::backward, 5},
      {&RandomProgram::normalised_rows, 4},
      {&RandomProgram::hidden, 4},
      {&RandomProgram::integers_as_floats, 4},
      {&RandomProgram::geometry, 2}};
  std::uint32_t all = 0;
  for (const auto& [step, weight] : kSteps) all += weight;
  std::uint32_t chosen = below(all);
  for (const auto& [step, weight] : kSteps) {
    if (chosen < weight) return (this->*step)();
    chosen -= weight;
  }
}

// What most steps lead to is an output, and now and then something else.
std::string RandomProgram::outputs() {
  for (int tries = 0; pool_.size() < 2 && tries < 40; ++tries) step();
  if (pool_.empty()) (void)from_pool();
  std::string text;
  const std::uint32_t count = 1 + below(10) / 5 + below(10) / 8;
  std::set<std::string> done;
  for (std::uint32_t n = 0; n < count; ++n) {
    const Value x = n == 0 ? *std::ranges::max_element(pool_, {}, &Value::depth) : from_pool();
    if (done.insert(x.text).second) text += fmt::format("out o{} = {}\n", n, stored(x));
  }
  return text;
}

// Without ragged axes, and not with too many others.
std::string RandomProgram::stored(const Value& x) {
  Axes kept = x.axes, folded;
  for (const std::string& axis : x.axes)
    if (is_ragged(axis) || (kept.size() > 1 && chance(kept.size() > 3 ? 60 : 8))) {
      folded.push_back(axis);
      kept = without(kept, axis);
    }
  // A ragged axis first: what ends it may be folded after it.
  std::ranges::stable_partition(folded, is_ragged);
  std::string expression = x.text;
  for (const std::string& axis : folded)
    expression = fmt::format("{}({}, {})", word({"sum", "sum", "max", "mean"}), axis, expression);
  return expression;
}

std::string RandomProgram::axis_line(const std::string& body) const {
  const std::set<std::string> used = names_in(body);
  std::set<std::string> needed = used;
  for (int n = 0; n < 4; ++n)
    for (const AxisInfo& info : axes_)
      if (needed.contains(info.name))
        for (const std::string& name : names_in(info.extent)) needed.insert(name);
  std::string line;
  for (const AxisInfo& info : axes_) {
    if (!needed.contains(info.name)) continue;
    line += (line.empty() ? "axis " : ", ") + info.name;
    if (info.extent.starts_with("< "))
      line += " " + info.extent;
    else if (!info.extent.empty())
      line += " = " + info.extent;
  }
  return line + "\n";
}

std::vector<Sizes> RandomProgram::sizes_for(const std::string& text) {
  constexpr std::int64_t kPositions[] = {0, 1, 2, 3, 5, 7, 8, 16, 17, 31, 33, 48, 64, 65, 97, 130};
  constexpr std::int64_t kFeatures[] = {1, 2, 3, 4, 5, 8, 16, 17, 33, 0};
  constexpr std::int64_t kShort[] = {1, 2, 3, 4, 2, 3, 2, 0};
  const Graph graph = ir::parse(text);
  std::vector<Sizes> all;
  for (int count = 0; count < 2; ++count) {
    Sizes sizes;
    for (const AxisInfo& info : axes_) {
      const ir::AxisId id = ir::find_axis(graph, info.name);
      if (id == ir::kNone || !info.extent.empty()) continue;
      std::int64_t& size = sizes[info.name];
      if (info.role == Role::Position) size = kPositions[below(std::size(kPositions))];
      if (info.role == Role::Feature) size = kFeatures[below(chance(5) ? 10 : 9)];
      if (info.role == Role::Batch || info.role == Role::Short)
        size = kShort[below(chance(10) ? 8 : 7)];
    }
    limit_work(graph, sizes);
    all.push_back(std::move(sizes));
  }
  return all;
}

}  // namespace fovea::test
