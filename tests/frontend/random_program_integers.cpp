// Integers, conditions, coordinates and choices of random programs (random_program.h).
#include <fmt/format.h>

#include <algorithm>

#include "tests/frontend/random_axes.h"
#include "tests/frontend/random_program.h"

namespace fovea::test {

RandomProgram::Value RandomProgram::integer_leaf(const Axes& over) {
  const auto some = [&] {
    Axes axes;
    for (const std::string& axis : over)
      if (!is_ragged(axis) && chance(50)) axes.push_back(axis);
    return axes;
  };
  switch (below(12)) {
    case 0: return {std::to_string(below(12)), {}};
    case 1:
      return {fmt::format("size({})", over.empty() ? "i" : is_ragged(over[0]) ? "i" : over[0]), {}};
    case 2:
    case 3: {
      const Axes axes = some();
      return input("i32", axes, word({"from -3 to 9", "below 5", "from -20 to 130", "below 2"}), 9);
    }
    case 4: {
      const Axes axes = some();
      return input("i32", axes,
                   word({"ascending", "ascending", "2147483647", "-2147483648",
                         "from 2147483640 to 2147483647"}),
                   9);
    }
    case 5: return {word({"2147483647", "(-2147483647 - 1)", "2147483600", "1073741824"}), {}};
    default: {
      const Axes positions = those(over, Role::Position);
      if (positions.empty() || chance(10)) {
        if (over.empty()) return {"3", {}};
        const std::string axis = pick(over);
        return {axis, {axis}};
      }
      const std::string axis = pick(positions);
      return {axis, {axis}};
    }
  }
}

RandomProgram::Value RandomProgram::detour(const Axes& over) {
  const Value x = integer(over, 1);
  switch (below(3)) {
    case 0:
      return {fmt::format("i32(floor(log(f32(max(abs({}) % 4096 + 0, 1)) / 4.0) * {} + 0.013))",
                          x.text, word({"1.7", "2.9", "4.3"})),
              x.axes};
    case 1:
      return {fmt::format("i32(f32({} % 1024) * {} + 0.29)", x.text, word({"0.37", "0.11", "1.3"})),
              x.axes};
    default:
      return {fmt::format("i32(round(sqrt(f32(abs({} % 900))) * 1.1 + 0.013))", x.text), x.axes};
  }
}

RandomProgram::Value RandomProgram::integer(const Axes& over, int depth) {
  if (depth <= 0 || chance(25)) return integer_leaf(over);
  const Value a = integer(over, depth - 1);
  switch (below(14)) {
    case 0: return {fmt::format("abs({})", a.text), a.axes};
    case 1: return detour(over);
    case 2: {
      const Value c = condition(over, 0), b = integer(over, depth - 1);
      return {fmt::format("where({}, {}, {})", c.text, a.text, b.text),
              unite(unite(a.axes, b.axes), c.axes)};
    }
    case 3:
    case 4: {
      const Value b = integer(over, depth - 1);
      return {fmt::format("{}({} + 0, {})", word({"max", "min"}), a.text, b.text),
              unite(a.axes, b.axes)};
    }
    case 5: {
      // A reduction over a third axis.
      const std::string n = any_axis(Role::Short);
      if (contains(over, n)) return a;
      Axes axes{n};
      if (!over.empty() && chance(60) && !is_ragged(over[0])) axes = unite(axes, {over[0]});
      const Value b = input("i32", axes, "from -3 to 9", 9);
      return {fmt::format("{}({}, {})", word({"sum", "max", "min"}), n, b.text),
              without(b.axes, n)};
    }
    case 6: {
      const std::string n = any_axis(Role::Short);
      if (contains(over, n)) return a;
      Axes axes{n};
      if (!over.empty() && !is_ragged(over[0])) axes = unite(axes, {over[0]});
      const Value b = input("i32", axes, "below 20", 9);
      return {fmt::format("sum({}, {} <= {})", n, b.text, a.text),
              without(unite(a.axes, b.axes), n)};
    }
    case 7:
      // What simplify folds.
      return {
          fmt::format(fmt::runtime(word({"({} + 3 - 2)", "({} * 4 / 2)", "({} * 6 % 3)",
                                         "({} / 2 / 3)", "({} * 3 * 2)", "floor({})", "(-(-{}))",
                                         "({} % 8 / 2)", "min(min({} + 0, 9), 4)"})),
                      a.text),
          a.axes};
    case 8:
      return {fmt::format("({} {} {})", a.text, word({"/", "%", "*"}),
                          word({"1", "2", "3", "4", "7", "8", "16", "-3"})),
              a.axes};
    default: {
      const Value b = integer(over, depth - 1);
      return {fmt::format("({} {} {})", a.text, word({"+", "-", "-", "*", "/", "%"}), b.text),
              unite(a.axes, b.axes)};
    }
  }
}

// Floats decide: equal ones are equal wherever they are computed.
RandomProgram::Value RandomProgram::compared_floats(const Axes& over) {
  const Value x = from_pool();
  for (const std::string& axis : x.axes)
    if (!contains(over, axis)) return {"true", {}};
  if (x.axes.empty()) return {"true", {}};
  const std::string axis = pick(x.axes);
  switch (below(4)) {
    case 0:
      if (is_ragged(axis)) break;
      return {fmt::format("({0} >= max({1}, {0}))", x.text, axis), x.axes};
    case 1:
      if (is_ragged(axis)) break;
      return {fmt::format("({0} > mean({1}, {2}))", x.text, axis, tame(x).text), x.axes};
    default: break;
  }
  return {fmt::format("({} {} {})", x.text, word({"<", ">", ">=", "<="}),
                      word({"0.1", "-0.37", "0.0", "0.77"})),
          x.axes};
}

RandomProgram::Value RandomProgram::third_axis_condition(const Axes& over) {
  const std::string n = any_axis(Role::Short);
  if (contains(over, n) || over.empty()) return {"true", {}};
  const std::string a = pick(over), b = pick(over);
  if (is_ragged(a) || is_ragged(b)) return {"true", {}};
  const auto list = [&](const std::string& axis, const std::string& limit) {
    return input("i32", chance(25) ? Axes{n} : unite({n}, {axis}), "below " + limit, 9);
  };
  const std::string fn = word({"any", "any", "any", "all"});
  switch (below(6)) {
    case 0: {
      const Value c = list(a, b);
      return {fmt::format("{}({}, {} == {})", fn, n, c.text, b), unite(without(c.axes, n), {b})};
    }
    case 1: {
      const Value c = list(a, b);
      return {fmt::format("(max({}, i32({} == {} / 4)) > 0)", n, c.text, b),
              unite(without(c.axes, n), {b})};
    }
    case 2: {
      const Value c = list(a, b), e = list(b, b);
      return {fmt::format("{}({}, {} == {} % 4)", fn, n, c.text, e.text),
              without(unite(c.axes, e.axes), n)};
    }
    case 3: {
      const Value c = list(a, a);
      return {fmt::format("{0}({1}, {2} >= {3} && {4} < {3})", fn, n, a, c.text, b),
              unite(unite(without(c.axes, n), {a}), {b})};
    }
    case 4: {
      const Value c = list(a, a);
      return {fmt::format("{}({}, {} == {} - {})", fn, n, c.text, a, b),
              unite(unite(without(c.axes, n), {a}), {b})};
    }
    default: {
      const Value c = input("bool", unite({n}, {a}), "any", 1),
                  e = input("bool", unite({n}, {b}), "any", 1);
      return {fmt::format("{}({}, {} && {})", fn, n, c.text, e.text),
              without(unite(c.axes, e.axes), n)};
    }
  }
}

RandomProgram::Value RandomProgram::condition_leaf(const Axes& over) {
  Axes plain;
  for (const std::string& axis : over)
    if (!is_ragged(axis)) plain.push_back(axis);
  const Axes positions = those(plain, Role::Position);
  const std::string row = positions.empty() ? "" : positions.front();
  const std::string column = positions.empty() ? "" : positions.back();
  const Axes plane = positions.empty() ? Axes{} : unite({row}, {column});
  if (!conditions_.empty() && chance(15)) {
    const Value c = pick(conditions_);
    if (common(c.axes, over) == c.axes) return c;
  }
  if (positions.empty()) return {fmt::format("{}", input("bool", plain, "any", 1).text), plain};
  switch (below(14)) {
    case 0:
    case 1:
    case 2: return {fmt::format("({} {} {})", column, word({"<=", "<=", "<", ">="}), row), plane};
    case 3: return {fmt::format("(abs({} - {}) < {})", row, column, 1 + below(20)), plane};
    case 4: {
      const Value a = input("i32", {row}, "ascending", 9),
                  b = input("i32", {column}, "ascending", 9);
      return {fmt::format("({} == {})", a.text, b.text), plane};
    }
    case 5: {
      const Axes batch = those(plain, Role::Batch);
      const Axes of = batch.empty() || chance(50) ? Axes{row} : Axes{batch[0]};
      const Value a = input("i32", chance(15) ? Axes{} : of,
                            word({"from -2 to 40", "2147483647", "below 9"}), 9);
      return {fmt::format("({} < {})", column, a.text), unite({column}, a.axes)};
    }
    case 6: {
      const Value a = input("bool", chance(40) ? Axes{column} : plane, "any", 1);
      return {a.text, a.axes};
    }
    case 7:
      return {fmt::format("({} / {} == {} / {})", row, 1 + below(20), column, 1 + below(20)),
              plane};
    case 8:
    case 9: return third_axis_condition(plain);
    case 10: return compared_floats(over);
    case 11: {
      const Value w = input("i32", {}, word({"2147483647", "5", "16", "-2147483648"}), 9);
      return {fmt::format("({} - {} < {})", row, column, w.text), plane};
    }
    default: {
      const Value a = integer(plain, 2), b = integer(plain, 1);
      return {fmt::format("({} {} {})", a.text, word({"<", "<=", "==", "!=", ">"}), b.text),
              unite(a.axes, b.axes)};
    }
  }
}

RandomProgram::Value RandomProgram::condition(const Axes& over, int depth) {
  Value c;
  if (depth > 0 && chance(35)) {
    const Value a = condition(over, depth - 1), b = condition(over, depth - 1);
    c = {fmt::format("({}{} {} {})", chance(20) ? "!" : "", a.text, word({"&&", "||"}), b.text),
         unite(a.axes, b.axes)};
  } else {
    c = condition_leaf(over);
  }
  if (chance(4)) c.text = fmt::format("!(!{})", c.text);
  if (chance(3)) c.text = fmt::format("where({0}, true, {0})", c.text);
  if (chance(30) && !c.axes.empty()) {
    c = let(c.text, c.axes, 1);
    conditions_.push_back(c);
    const Axes positions = those(c.axes, Role::Position);
    // A mask of other rows.
    if (!positions.empty() && chance(15)) {
      const Value at = coordinate(positions[0], c.axes);
      if (common(at.axes, over) == at.axes)
        c = {fmt::format("{}[{} = {}]", c.text, positions[0], at.text),
             unite(without(c.axes, positions[0]), at.axes)};
    }
  }
  return c;
}

RandomProgram::Value RandomProgram::coordinate(const std::string& axis, const Axes& over) {
  const std::string other = other_position(over);
  switch (below(10)) {
    case 0:
    case 1:
    case 2:
      if (!other.empty()) return {other, {other}};
      [[fallthrough]];
    case 3: return {fmt::format("{} - {}", axis, 1 + below(3)), {axis}};
    case 4: return {fmt::format("size({0}) - 1 - {0}", axis), {axis}};
    case 5:
      if (chance(10)) return {axis, {axis}};
      return {fmt::format("max({} + {}, 0)", axis, word({"1", "-2", "3"})), {axis}};
    case 6: {
      Axes axes = unite({axis}, {any_axis(Role::Short)});
      if (chance(50)) axes = {axis};
      const Value at = input("i32", axes, "below " + axis, 9);
      return {at.text, at.axes};
    }
    case 7: {
      const Value at = input("i32", {axis}, "from -3 to 200", 9);
      return {fmt::format("{} % size({})", at.text, axis), at.axes};
    }
    case 8: {
      // A condition inside a coordinate.
      const Value at = input("i32", {axis}, "below " + axis, 9);
      const Axes batch = with_role(Role::Batch);
      const Value length =
          input("i32", batch.empty() || chance(50) ? Axes{} : Axes{batch[0]}, "below " + axis, 9);
      return {fmt::format("where({} < {}, {}, 0)", axis, length.text, at.text),
              unite(at.axes, length.axes)};
    }
    default: {
      const Value at = integer(unite({axis}, other.empty() ? Axes{} : Axes{other}), 2);
      return {fmt::format("{} % size({})", at.text, axis), at.axes};
    }
  }
}

// The best, by scores that are whole numbers: equal ones are equal in f32 too.
void RandomProgram::choose() {
  const std::string row = any_axis(Role::Position), column = other_position({row});
  const std::string n = any_axis(Role::Short), d = any_axis(Role::Feature);
  if (column.empty()) return;
  const Value q = input("f32", unite({row}, {d}), "1 * whole", 3),
              k = input("f32", unite({column}, {d}), "1 * whole", 3);
  const Axes plane = unite({row}, {column});
  Value s = chance(70) ? let(fmt::format("sum({}, {} * {})", d, q.text, k.text), plane, 9, true)
                       : input("f32", plane, "1 * whole", 3);
  if (chance(40)) {
    const Value c = condition(plane, 1);
    if (common(c.axes, plane) != c.axes) return;
    s = let(fmt::format("where({}, {}, -inf)", c.text, s.text), plane, 9, true);
    s.excludes = true;
  }
  if (chance(20)) {
    const Value at = let(fmt::format("argmax({}, {})", column, s.text), {row}, 9);
    const Value v = beside(s, column, any_axis(Role::Feature));
    const Axes axes = unite(without(v.axes, column), {row});
    if (fits(axes)) add(let(fmt::format("{}[{} = {}]", v.text, column, at.text), axes, v.size));
    return;
  }
  const Axes chosen_axes = unite({row}, {n});
  const Value at = let(fmt::format("topk({}, {}, {})", column, n, s.text), chosen_axes, 9);
  switch (below(4)) {
    case 0: {
      conditions_.push_back(let(fmt::format("any({}, {} == {})", n, at.text, column), plane, 1));
      Value kept =
          let(fmt::format("where({}, {}, -inf)", conditions_.back().text, tame(s).text), plane, 9);
      kept.excludes = true;
      return add(kept);
    }
    case 1:
      return add(let(fmt::format("{}[{} = {} else 0.0]", tame(s).text, column, at.text),
                     chosen_axes, 9, true));
    default: {
      const Value v = beside(s, column, any_axis(Role::Feature));
      const Axes axes = unite(without(v.axes, column), {row});
      if (!fits(axes) || contains(v.axes, n)) return;
      return add(
          let(fmt::format("sum({0}, softmax({0}, {1}[{2} = {3} else -inf] * 0.3) * {4}[{2} = {3}])",
                          n, s.text, column, at.text, tame(v).text),
              axes, 3));
    }
  }
}

// Attention over a list of neighbours, as long as each row wants it.
void RandomProgram::neighbours() {
  const std::string row = any_axis(Role::Position), column = any_axis(Role::Position);
  const std::string ragged = fmt::format("u{}", ragged_), slot = fmt::format("k{}", ragged_);
  ++ragged_;
  add_axis(slot, "6", Role::List);
  const Value degree = input("i32", {row}, "below 7", 6);
  add_axis(ragged, "< " + degree.text, Role::List);
  const Value list = input("i32", unite({row}, {slot}), "below " + column, 9);
  const Axes plane = unite({row}, {ragged});
  const Value at = let(fmt::format("{}[{} = {}]", list.text, slot, ragged), plane, 9);
  const std::string d = any_axis(Role::Feature);
  const Value q = tame(beside({}, row, d)), k = tame(beside({}, column, d));
  Axes axes = unite(q.axes, unite(without(k.axes, column), plane));
  const Axes score_axes = without(axes, d);
  if (!fits(score_axes) || contains(without(k.axes, column), row)) return;
  Value s = let(fmt::format("sum({}, {} * {}[{} = {}]) * 0.3", d, q.text, k.text, column, at.text),
                score_axes, 8);
  if (chance(30)) {
    const Value c = condition(unite({row}, {ragged}), 1);
    if (common(c.axes, score_axes) == c.axes) {
      s = let(fmt::format("where({}, {}, -inf)", c.text, s.text), score_axes, 8);
      s.excludes = true;
    }
  }
  const Axes result = without(score_axes, ragged);
  const std::string n = any_axis(Role::Short);
  switch (below(6)) {
    case 0: {
      Value best = let(fmt::format("{}({}, {})", word({"logsumexp", "max"}), ragged, tame(s).text),
                       result, 8);
      best.excludes = true;  // where there is none
      return add(best);
    }
    case 1: {
      if (contains(result, n)) return;
      const Value best =
          let(fmt::format("topk({}, {}, {})", ragged, n, s.text), unite(result, {n}), 9);
      return add(let(fmt::format("{}[{} = {} else -1.0]", tame(s).text, ragged, best.text),
                     unite(result, {n}), 8));
    }
    default: {
      const Value v = tame(beside({}, column, any_axis(Role::Feature)));
      const Axes mixed = unite(result, without(v.axes, column));
      if (!fits(mixed) || contains(without(v.axes, column), row)) return;
      return add(let(fmt::format("sum({0}, softmax({0}, {1}) * {2}[{3} = {4}])", ragged, s.text,
                                 v.text, column, at.text),
                     mixed, 3));
    }
  }
}

}  // namespace fovea::test
