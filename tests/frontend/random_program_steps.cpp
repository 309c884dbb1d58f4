// What programs are made of (random_program.h).
#include <fmt/format.h>

#include <algorithm>

#include "tests/frontend/random_axes.h"
#include "tests/frontend/random_program.h"

namespace fovea::test {

// A value over that position and feature: of the pool, read there, or new.
RandomProgram::Value RandomProgram::beside(const Value& x, const std::string& position,
                                           const std::string& feature) {
  for (int n = 0; n < 4; ++n) {
    const Value y = n == 0 && chance(40) ? tame(x) : tame(from_pool());
    if (!contains(y.axes, feature)) continue;
    if (contains(y.axes, position)) return y;
    const Axes there = those(y.axes, Role::Position);
    if (!there.empty()) return read(y, pick(there), position);
  }
  Axes axes = unite({position}, {feature});
  for (const std::string& batch : those(x.axes, Role::Batch))
    if (chance(70)) axes = unite(axes, {batch});
  return floats(axes);
}

void RandomProgram::project() {
  const Value x = tame(with_feature());
  const std::string from = pick(those(x.axes, Role::Feature)), to = any_axis(Role::Feature);
  if (contains(x.axes, to)) return;
  Axes weights = unite({from}, {to});
  if (chance(40) && !with_role(Role::Batch).empty())
    weights = unite(weights, {any_axis(Role::Batch)});
  const Axes axes = without(unite(x.axes, weights), from);
  if (!fits(axes)) return;
  const Value w = floats(weights);
  std::string text = fmt::format("sum({}, {} * {})", from, x.text, tame(w).text);
  if (chance(60)) text += " * 0.3";
  if (chance(20)) text += " + " + input("f32", {to}, "1 * normal", 1).text;
  add(let(text, axes, 4 * x.size));
}

RandomProgram::Value RandomProgram::contraction_score() {
  const Value a = tame(with_feature());
  const std::string feature = pick(those(a.axes, Role::Feature));
  const std::string position = other_position(a.axes);
  if (position.empty()) return {};
  const Value b = tame(beside(a, position, feature));
  Axes axes = unite(a.axes, b.axes);
  Axes folded{feature};
  for (const std::string& other : those(common(a.axes, b.axes), Role::Feature))
    if (other != feature && chance(60)) folded.push_back(other);
  for (const std::string& axis : folded) axes = without(axes, axis);
  if (!fits(axes)) return {};
  const std::string over =
      folded.size() == 1 ? feature : fmt::format("({})", fmt::join(folded, ", "));
  std::string term = fmt::format("{} * {}", a.text, b.text);
  bool exact = a.exact && b.exact;
  switch (below(10)) {
    case 0:
      return let(
          fmt::format("sum({}, tanh({} + {}) * {})", over, a.text, b.text, floats({feature}).text),
          axes, 8);
    case 1:
      return let(fmt::format("-sum({0}, ({1} - {2}) * ({1} - {2})) * 0.1", over, a.text, b.text),
                 axes, 6);
    case 2:
      return let(
          fmt::format("{}({}, {} + {})", word({"max", "min", "mean"}), feature, a.text, b.text),
          unite(axes, without(folded, feature)), 4);
    case 3:
      term += " * " + tame(floats({feature})).text;
      exact = false;
      break;
    default: break;
  }
  const std::string scale = word({"", " * 0.3", " * 0.3", " * rsqrt(size(" + feature + "))"});
  return let(fmt::format("sum({}, {}){}", over, term, scale), axes, 8, exact && scale.empty());
}

RandomProgram::Value RandomProgram::unusual_score() {
  const std::string row = any_axis(Role::Position), column = other_position({row});
  if (column.empty()) return {};
  Axes plane = unite({row}, {column});
  if (chance(25) && !with_role(Role::Batch).empty()) plane = unite(plane, {any_axis(Role::Batch)});
  switch (below(6)) {
    case 0: {
      const std::string feature = any_axis(Role::Feature);
      const Axes all = unite(plane, {feature});
      return let(fmt::format("sum({}, {} * {})", feature, tame(floats(all)).text,
                             tame(floats({feature})).text),
                 plane, 6);
    }
    case 1: return tame(floats(plane));
    case 2: {
      const Value at = integer(plane, 1);
      const std::string axis = word({any_axis(Role::Feature), any_axis(Role::Short)});
      return let(
          fmt::format("{}[{} = {} % size({})]", tame(floats({axis})).text, axis, at.text, axis),
          at.axes, 2);
    }
    case 3:
      return let(fmt::format("{} + {}", tame(floats({row})).text, tame(floats({column})).text),
                 unite({row}, {column}), 3);
    case 4: {
      const Value at = integer(plane, 2);
      return let(fmt::format("f32({} % 16) * 0.2", at.text), at.axes, 3);
    }
    default: {
      const Value at = detour(plane);
      const std::string axis = any_axis(Role::Short);
      return let(fmt::format("{}[{} = {} else {}]", tame(floats({axis})).text, axis, at.text,
                             word({"0.5", "-1.0"})),
                 at.axes, 2);
    }
  }
}

void RandomProgram::score() {
  Value s = chance(75) ? contraction_score() : unusual_score();
  if (s.text.empty()) return;
  if (chance(25)) {
    const Value more = chance(50) ? contraction_score() : unusual_score();
    const Axes axes = unite(s.axes, more.axes);
    if (!more.text.empty() && fits(axes))
      s = let(fmt::format("{} {} {}", s.text, word({"+", "-", "+"}), more.text), axes,
              s.size + more.size, s.exact && more.exact);
  }
  if (chance(15))
    s = let(fmt::format("{}({})", word({"gelu", "elu", "tanh", "sigmoid", "relu", "abs"}), s.text),
            s.axes, s.size);
  add(s);
}

void RandomProgram::masked() {
  const Value x = from_pool();
  const Value c = condition(x.axes, 2);
  const Axes axes = unite(x.axes, c.axes);
  if (!fits(axes)) return;
  const std::string otherwise = word({"-inf", "-inf", "-inf", "0.0", "-1e30"});
  const bool reversed = chance(10);
  Value result =
      let(fmt::format("where({}{}, {}, {})", reversed ? "!" : "", c.text, x.text, otherwise), axes,
          x.size);
  result.excludes = x.excludes || otherwise != "0.0";
  add(result);
}

void RandomProgram::weights() {
  const Value s = from_pool();
  if (s.axes.empty()) return;
  Axes over = those(s.axes, Role::Position);
  if (over.empty() || chance(10)) over = s.axes;
  const std::string axis = pick(over);
  std::string list = axis;
  if (s.axes.size() > 1 && chance(12) && !is_ragged(axis)) {
    const std::string other = pick(without(s.axes, axis));
    list = is_ragged(other) ? axis : fmt::format("({}, {})", axis, other);
  }
  const Value t = tame(s);
  switch (below(12)) {
    case 0: return add(let(fmt::format("sigmoid({})", s.text), s.axes, 1));
    case 1:
      return add(
          let(fmt::format("relu({0}) / (sum({1}, relu({0})) + 1.0)", t.text, axis), s.axes, 1));
    case 2: {
      const Value m = let(fmt::format("max({}, {})", axis, t.text), without(s.axes, axis), t.size);
      const Value p = let(fmt::format("exp({} - {})", t.text, m.text), s.axes, 1);
      return add(let(fmt::format("{0} / sum({1}, {0})", p.text, axis), s.axes, 1));
    }
    case 3: {
      const Value c = condition(s.axes, 1);
      const Axes axes = unite(s.axes, c.axes);
      if (!fits(axes)) return;
      return add(let(fmt::format("softmax({0}, {1}) {2} softmax({0}, where({3}, {1}, -inf))", list,
                                 s.text, word({"-", "+", "*"}), c.text),
                     axes, 2));
    }
    case 4: {
      const Value y = tame(from_pool());
      const Axes axes = unite(s.axes, y.axes);
      if (!fits(axes)) return;
      return add(let(fmt::format("softmax({}, {}) * {}", list, s.text, y.text), axes, y.size));
    }
    default: return add(let(fmt::format("softmax({}, {})", list, s.text), s.axes, 1));
  }
}

void RandomProgram::mix() {
  const Value p = tame(from_pool());
  const Axes positions = those(p.axes, Role::Position);
  if (positions.empty()) return;
  const std::string over = pick(positions);
  const Value v = tame(beside(p, over, any_axis(Role::Feature)));
  Axes axes = without(unite(p.axes, v.axes), over);
  std::string list = over;
  const Axes more = those(without(axes, over), Role::Batch);
  if (!more.empty() && chance(20)) {
    list = fmt::format("({}, {})", more[0], over);
    axes = without(axes, more[0]);
  }
  if (!fits(axes)) return;
  add(let(fmt::format("sum({}, {} * {})", list, p.text, v.text), axes, 3 * p.size * v.size));
}

void RandomProgram::multiply_planes() {
  const auto plane = [&]() -> Value {
    for (int n = 0; n < 5; ++n)
      if (Value x = tame(from_pool()); those(x.axes, Role::Position).size() >= 2) return x;
    return {};
  };
  const Value p = plane(), r = plane();
  if (p.text.empty() || r.text.empty()) return;
  const std::string middle = other_position(Axes{});
  const Axes left = those(p.axes, Role::Position), right = those(r.axes, Role::Position);
  const auto at_middle = [&](const Value& x, const Axes& positions) {
    return contains(x.axes, middle) ? x : read(x, pick(positions), middle);
  };
  const Value a = at_middle(p, left), b = at_middle(r, right);
  const Axes axes = without(unite(a.axes, b.axes), middle);
  if (!fits(axes)) return;
  add(let(fmt::format("sum({}, {} * {})", middle, a.text, b.text), axes, 3 * a.size * b.size));
}

void RandomProgram::combine() {
  const Value a = tame(from_pool()), b = tame(from_pool());
  const Axes axes = unite(a.axes, b.axes);
  if (!fits(axes)) return;
  switch (below(8)) {
    case 0: return add(let(fmt::format("{} * {}", a.text, b.text), axes, a.size * b.size));
    case 1: return add(let(fmt::format("{} - {}", a.text, b.text), axes, a.size + b.size));
    case 2: return add(let(fmt::format("{} / (abs({}) + 1.0)", a.text, b.text), axes, a.size));
    case 3:
      return add(let(fmt::format("{}(0.0 + {}, {})", word({"max", "min"}), a.text, b.text), axes,
                     std::max(a.size, b.size)));
    case 4: {
      const Value c = condition(axes, 1);
      const Axes all = unite(axes, c.axes);
      if (!fits(all)) return;
      return add(let(fmt::format("where({}, {}, {})", c.text, a.text, b.text), all,
                     std::max(a.size, b.size)));
    }
    case 5: return add(let(fmt::format("{} * sigmoid({})", a.text, b.text), axes, a.size));
    default: return add(let(fmt::format("{} + {}", a.text, b.text), axes, a.size + b.size));
  }
}

void RandomProgram::apply_function() {
  const Value x = tame(from_pool());
  const std::string t = x.text;
  const std::string text = word({"tanh({})",
                                 "sigmoid({})",
                                 "gelu({})",
                                 "elu({})",
                                 "erf({})",
                                 "sin({})",
                                 "cos({})",
                                 "atan({})",
                                 "exp({} * 0.2)",
                                 "exp2({} * 0.2)",
                                 "log1p(abs({}))",
                                 "log(abs({}) + 0.5)",
                                 "sqrt(abs({}) + 0.5)",
                                 "rsqrt(abs({}) + 0.5)",
                                 "relu({})",
                                 "pow(abs({}) + 0.5, 1.5)",
                                 "-{}",
                                 "leaky_relu({}, 0.2)",
                                 "asin(tanh({}) * 0.9)",
                                 "acos(tanh({}) * 0.9)",
                                 "floor({})",
                                 "round({} * 2.0)",
                                 "acosh(abs({}) + 1.5)",
                                 "atanh(tanh({}) * 0.9)",
                                 "{} % 3.0",
                                 "1.0 / (abs({}) + 0.5)",
                                 "-(-{})",
                                 "{} * -1.0",
                                 "pow({}, 2.0)",
                                 "2.0 + -{}",
                                 "exp(-log1p(abs({})))",
                                 "exp(-acosh(1.0 + abs({})))",
                                 "min(min(0.0 + {}, 1.5), 0.5)",
                                 "{} * -2.0 * 0.25",
                                 "0.5 - -{}",
                                 "f32(i32({} > 0.25)) * 0.5"});
  add(let(fmt::format(fmt::runtime(text), t), x.axes, std::max(x.size, 2.0)));
}

void RandomProgram::read_elsewhere() {
  const Value x = from_pool();
  if (x.axes.empty()) return;
  Axes from = those(x.axes, Role::Position);
  if (from.empty() || chance(10)) from = x.axes;
  const std::string axis = pick(from);
  if (is_ragged(axis)) return;
  if (from.size() >= 2 && chance(20) && has_role(from[0], Role::Position)) {
    Value swapped = let(fmt::format("{0}[{1} = {2}, {2} = {1}]", x.text, from[0], from[1]), x.axes,
                        x.size, x.exact);
    swapped.excludes = x.excludes;
    return add(swapped);
  }
  if (from.size() >= 2 && chance(8) && !is_ragged(from[0]) && !is_ragged(from[1]) && !x.excludes)
    return add(let(fmt::format("{0}[{1} = {1} - 1][{2} = {2} / 2]", x.text, from[0], from[1]),
                   x.axes, x.size, x.exact));
  const Value at = coordinate(axis, x.axes);
  const Axes axes = unite(without(x.axes, axis), at.axes);
  if (!fits(axes)) return;
  const std::string otherwise = chance(25) ? " else " + word({"0.5", "-1.5", "0.0"}) : "";
  Value result = let(fmt::format("{}[{} = {}{}]", x.text, axis, at.text, otherwise), axes, x.size,
                     x.exact && otherwise.empty());
  result.excludes = x.excludes;
  if (chance(40)) {
    const Value both = tame(x), moved = tame(result);
    const Axes all = unite(x.axes, axes);
    if (fits(all))
      result = let(fmt::format("{} {} {}", both.text, word({"+", "-", "*"}), moved.text), all,
                   both.size * moved.size + both.size + moved.size);
  }
  add(result);
}

void RandomProgram::reduce() {
  const Value x = from_pool();
  if (x.axes.size() < 2) return;
  // Now and then over an axis that it lacks.
  const std::string axis = chance(5) ? any_axis(Role::Short) : pick(x.axes);
  const std::string fn = word({"sum", "sum", "max", "min", "mean", "logsumexp"});
  const bool whole = fn == "max" || fn == "min" || fn == "logsumexp";
  const Value t = whole ? x : tame(x);
  Value result = let(fmt::format("{}({}, {})", fn, axis, t.text), without(x.axes, axis),
                     fn == "sum" ? 4 * t.size : t.size, t.exact && (fn == "max" || fn == "min"));
  result.excludes = whole;  // over nothing
  if (chance(50) && !is_ragged(axis)) {
    const Value y = tame(result), z = tame(x);
    result = let(fmt::format("{} {} {}", z.text, word({"-", "*", "+"}), y.text), x.axes,
                 y.size * z.size + y.size + z.size);
  }
  add(result);
}

void RandomProgram::layer() {
  const Value x = tame(with_feature());
  const std::string c = pick(those(x.axes, Role::Feature));
  Value y = x;
  if (chance(60))
    for (const Value& other : pool_)
      if (other.axes == x.axes && other.text != x.text) y = tame(other);
  if (y.text != x.text) y = let(fmt::format("{} + {}", x.text, y.text), x.axes, x.size + y.size);
  switch (below(3)) {
    case 0:
      return add(let(fmt::format("{0} * rsqrt(mean({1}, {0} * {0}) + 0.1)", y.text, c), x.axes, 2));
    case 1: {
      const Value centred = let(fmt::format("{0} - mean({1}, {0})", y.text, c), x.axes, y.size);
      return add(
          let(fmt::format("{0} * rsqrt(mean({1}, {0} * {0}) + 0.1)", centred.text, c), x.axes, 2));
    }
    default: return add(y);
  }
}

void RandomProgram::scan() {
  const Value x = tame(from_pool());
  const Axes positions = those(x.axes, Role::Position);
  if (positions.empty()) return;
  const std::string axis = pick(positions);
  const Value c = let(fmt::format("cumsum({}, {} * 0.1)", axis, x.text), x.axes, x.size);
  const std::string other = other_position(x.axes);
  const Axes plane = unite(x.axes, {other});
  if (other.empty() || chance(40) || !fits(plane)) return add(c);
  add(let(fmt::format("where({1} <= {2}, exp({0}[{2} = {1}] - {0}), 0.0)", c.text, other, axis),
          plane, 4));
}

// Each step on what came of the one before, if anything did.
void RandomProgram::attention() {
  const auto then = [&](void (RandomProgram::*step)(), std::uint32_t percent) {
    if (!chance(percent)) return;
    goes_on_ = !pool_.empty();
    (this->*step)();
  };
  then(&RandomProgram::project, 40);
  const std::size_t before = pool_.size();
  then(&RandomProgram::score, 100);
  if (pool_.size() == before) return;
  then(&RandomProgram::masked, 70);
  then(&RandomProgram::weights, 100);
  then(&RandomProgram::mix, 90);
  then(&RandomProgram::project, 30);
  then(&RandomProgram::layer, 25);
  goes_on_ = false;
}

void RandomProgram::backward() {
  Value p;
  for (int n = 0; n < 5 && p.text.empty(); ++n)
    if (const Value x = tame(from_pool()); those(x.axes, Role::Position).size() >= 2) p = x;
  if (p.text.empty()) return;
  const Axes positions = those(p.axes, Role::Position);
  const std::string row = positions[0], column = positions[1], e = any_axis(Role::Feature);
  const Value go = beside(p, row, e), v = beside(p, column, e);
  const Axes axes = unite(without(unite(go.axes, v.axes), e), p.axes);
  if (!fits(axes)) return;
  const Value dp = let(fmt::format("sum({}, {} * {})", e, go.text, v.text), axes, 6);
  const Value ds =
      let(fmt::format("{0} * ({1} - 0.75 * sum({2}, {0} * {1}))", p.text, dp.text, column), axes,
          p.size * 8);
  add(ds);
  const Value k = beside(p, chance(50) ? row : column, any_axis(Role::Feature));
  const std::string over = contains(k.axes, row) ? row : column;
  const Axes result = without(unite(axes, k.axes), over);
  if (fits(result))
    add(let(fmt::format("sum({}, {} * {})", over, ds.text, k.text), result, ds.size * 4));
}

void RandomProgram::normalised_rows() {
  const Value x = with_feature();
  const std::string c = pick(those(x.axes, Role::Feature)), column = other_position(x.axes);
  if (column.empty()) return;
  const Value k =
      let(input("f32", unite({column}, {c}), "1 * normal rows", 1).text, unite({column}, {c}), 1);
  const Axes axes = without(unite(x.axes, k.axes), c);
  if (!fits(axes)) return;
  add(let(
      fmt::format("sum({0}, {1} * ({2} * rsqrt(sum({0}, {2} * {2}))))", c, tame(x).text, k.text),
      axes, 4));
}

// NaN behind a mask.
void RandomProgram::hidden() {
  Axes axes{any_axis(Role::Position)};
  if (chance(50))
    axes = unite(axes, {other_position(axes).empty() ? axes[0] : other_position(axes)});
  if (chance(50)) axes = unite(axes, {any_axis(Role::Feature)});
  const Value seen = input("bool", axes, "any", 1);
  const Value x = input("f32", axes, "hidden by " + seen.text, 1);
  const bool excludes = chance(50);
  Value y =
      let(fmt::format("where({}, {}, {})", seen.text, x.text, excludes ? "-inf" : "0.0"), axes, 2);
  y.excludes = excludes;
  add(y);
}

void RandomProgram::integers_as_floats() {
  const Axes plane = unite({any_axis(Role::Position)}, {any_axis(Role::Position)});
  const Value at = integer(plane, 2);
  add(let(fmt::format("f32({} % 13) * 0.1", at.text), at.axes, 1));
}

void RandomProgram::geometry() {
  const Value x = with_feature();
  const std::string c = pick(those(x.axes, Role::Feature)), column = other_position(x.axes);
  if (column.empty()) return;
  const Value y = beside(x, column, c);
  const Axes axes = without(unite(x.axes, y.axes), c);
  if (!fits(axes)) return;
  const auto inside = [&](const Value& point) {
    return fmt::format("project_to_ball({}, tanh({}) * 0.2, 1.0, 0.001)", c, tame(point).text);
  };
  add(let(fmt::format("-distance({}, {}, {}, 1.0)", c, inside(x), inside(y)), axes, 4));
}

}  // namespace fovea::test
