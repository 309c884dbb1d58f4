#include "tests/frontend/random_attention.h"

#include <fmt/format.h>

#include <iterator>

namespace fovea::test {

std::string Program::text() const {
  std::string all = declarations;
  for (const std::string& output : outputs) all += output + "\n";
  return all;
}

std::string RandomAttention::pick(const std::vector<std::string>& from) {
  return from[below(static_cast<std::uint32_t>(from.size()))];
}

std::string RandomAttention::let(const std::string& expression) {
  const std::string name = fmt::format("t{}", names_++);
  statements_ += fmt::format("{} = {}\n", name, expression);
  return name;
}

std::string RandomAttention::input(const std::string& dtype, const std::string& axes,
                                   const std::string& called) {
  const std::string name = fmt::format("{}{}", called, input_count_++);
  inputs_ += fmt::format("{} : {}[{}]\n", name, dtype, axes);
  return name;
}

std::string RandomAttention::feature_input(const std::string& axes) {
  const std::string dtype = chance(85) ? "f32" : pick({"bf16", "f16", "i8", "u8", "i4", "bool"});
  const std::string name = input(dtype, axes);
  return dtype == "f32" ? name : "f32(" + name + ") * 0.5";
}

// A cache and its new keys, read as one.
std::string RandomAttention::keys() {
  if (!chance(10)) return feature_input(heads_ + "j, d");
  cached_ = true;
  return fmt::format("({}[past = j] + {}[new = j - size(past)])", input("f32", heads_ + "past, d"),
                     input("f32", heads_ + "new, d"));
}

// Of indices and integers, through reads, from heads that lie packed in one axis.
std::string RandomAttention::unusual_score() {
  switch (below(6)) {
    case 0: return let(fmt::format("f32(({} * i - j) % {}) * 0.2", 1 + below(4), 2 + below(9)));
    case 1: return let(fmt::format("f32(j / {} - i / -{}) * 0.01", 1 + below(9), 1 + below(9)));
    case 2:
      return let(fmt::format("f32({} / ({} - 1)) * 0.3", input("i32", "i"), input("i32", "j")));
    case 3:
      return let(fmt::format("sum(d, {} * {}[j = j - {} else {}]) * 0.3",
                             feature_input(heads_ + "i, d"), input("f32", heads_ + "j, d"),
                             1 + below(3), pick({"0.5", "0.0", input("f32", "d")})));
    case 4:
      return let(fmt::format("{}[i = i - j + size(j) else -0.25]", input("f32", heads_ + "i")));
    default: {
      if (heads_.empty()) return single_score();
      packed_ = true;
      return let(fmt::format("sum(d, {}[c = h * {} + d] * {}) * 0.3", input("f32", "i, c"), width_,
                             keys()));
    }
  }
}

std::string RandomAttention::bent(const std::string& s) {
  switch (below(6)) {
    case 0: return let(fmt::format("cumsum(j, {}) * 0.05", s));
    case 1: return let(fmt::format("{0} + {0}[j = j - 1 else -1.5]", s));
    case 2:
      return let(fmt::format("{} * 0.5 + {}[h = {}]", s, input("f32", "h, i"),
                             heads_.empty() ? "i % 4" : "h / 2"));
    default:
      return let(
          fmt::format("{}({})", pick({"gelu", "elu", "erf", "sin", "atan", "abs", "sigmoid"}), s));
  }
}

std::string RandomAttention::single_score() {
  const std::string rows = heads_ + "i, d";
  if (chance(15)) return unusual_score();
  switch (below(9)) {
    case 0: {
      const std::string q = feature_input(rows),
                        k = feature_input(heads_.empty() ? "j, d" : "g, j, d");
      if (heads_.empty()) return let(fmt::format("sum(d, {} * {}) * 0.3", q, k));
      return let(fmt::format("sum(d, {} * ({})[g = h / {}]) * 0.3", q, k, head_count_ / 2));
    }
    case 1:
      return let(fmt::format("sum(d, tanh({} + {}) * {})", feature_input(rows), keys(),
                             input("f32", "d")));
    case 2: {
      const std::string q = input("f32", rows), k = input("f32", heads_ + "j, d");
      return let(fmt::format("-sum(d, ({0} - {1}) * ({0} - {1})) * 0.2", q, k));
    }
    case 3:
      return let(fmt::format("{} + {}", input("f32", heads_ + "i"), input("f32", heads_ + "j")));
    case 4:
      return let(
          fmt::format("sum(d, {} * {}) * 0.3 + {}", feature_input(rows), keys(),
                      input(chance(80) ? "f32" : "i8", chance(50) ? "i, j" : heads_ + "j, i")));
    default: return let(fmt::format("sum(d, {} * {}) * 0.3", feature_input(rows), keys()));
  }
}

std::string RandomAttention::score() {
  std::string s = single_score();
  if (chance(25)) s = let(s + pick({" + ", " - ", " * "}) + single_score());
  switch (below(8)) {
    case 0: return let(fmt::format("tanh({} / 3.0) * 3.0", s));
    case 1: return let(fmt::format("{} - 0.1 * abs(i - j)", s));
    case 2: return let(fmt::format("leaky_relu({}, 0.2)", s));
    case 3: return heads_.empty() ? bent(s) : let(fmt::format("{} * {}", s, input("f32", "h")));
    case 4: return chance(50) ? bent(s) : s;
    default: return s;
  }
}

std::string RandomAttention::mask(int depth) {
  if (depth > 0 && chance(45)) {
    const std::string a = mask(depth - 1), b = mask(depth - 1);
    return fmt::format("({}{} {} {})", chance(20) ? "!" : "", a, pick({"&&", "||"}), b);
  }
  switch (below(13)) {
    case 0:
    case 1: return "(j <= i)";
    case 9:
      return fmt::format("({} == {})", input("i32", "i", "document"),
                         input("i32", "j", "document"));
    case 10: return fmt::format("(j < {})", input("i32", heads_.empty() ? "i" : "h", "length"));
    case 11:
      return fmt::format("(i / {} == j / {} || j % {} == 0)", 1 + below(50), 1 + below(50),
                         2 + below(40));
    case 12:
      return fmt::format("((i - j) / {} <= {} % {})", pick({"3", "-4", "16"}), input("i32", "j"),
                         pick({"2", "-3"}));
    case 2: return fmt::format("(abs(i - j) < {})", 1 + below(60));
    case 3: return fmt::format("(j % {} == i % {})", 1 + below(5), 1 + below(3));
    case 4: return fmt::format("({} == {})", input("i32", "i"), input("i32", "j"));
    case 5: return input("bool", chance(70) || heads_.empty() ? "i, j" : "h, i, j");
    case 6: return fmt::format("(j < {})", below(120));
    case 7: return fmt::format("(i + size(j) - size(i) >= j)");
    default: return input("bool", "j");
  }
}

std::string RandomAttention::masked(const std::string& s) {
  if (chance(30)) return s;
  std::string result = fmt::format("where({}, {}, -inf)", mask(2), s);
  if (chance(20)) result = fmt::format("where({}, {}, -inf)", mask(1), result);
  return let(result);
}

std::string RandomAttention::weights(const std::string& s) {
  switch (below(10)) {
    case 0: return let(fmt::format("sigmoid({})", s));
    case 1: return let(fmt::format("where({}, relu({}), 0.0)", mask(1), s));
    case 2: {
      const std::string m = let(fmt::format("max(j, {})", s));
      const std::string p = let(fmt::format("exp({} - where({} == -inf, 0.0, {}))", s, m, m));
      return let(fmt::format("{0} / (sum(j, {0}) + 1.0)", p));
    }
    case 3: return let(fmt::format("softmax(j, {}) - 0.5 * softmax(j, {})", s, masked(score())));
    case 4: return let(fmt::format("softmax(j, {}) * {}", s, input("f32", "i, j")));
    case 5: return let(fmt::format("softmax(i, {})", s));
    default: return let(fmt::format("softmax(j, {})", s));
  }
}

std::string RandomAttention::output(const std::string& p, const std::string& s) {
  const std::string v = feature_input(heads_ + "j, e");
  const auto w = [&] { return feature_input(heads_ + "i, e"); };
  switch (below(16)) {
    case 0: return fmt::format("logsumexp(j, {})", s);
    case 14:
    case 15: return unusual_output(p, s);
    case 1: return fmt::format("sum(i, {} * ({}))", p, w());
    case 2: return fmt::format("max(j, {})", p);
    case 3: return p;
    case 4: return fmt::format("sum((i, j), {})", p);
    case 5: return fmt::format("sum(j, {} * ({})) * sigmoid({})", p, v, w());
    case 6: {
      const std::string d = let(fmt::format("sum(e, ({}) * ({}))", w(), v));
      const std::string mean = let(fmt::format("sum(j, {} * {})", p, d));
      // Not the whole mean: where a row sees one column nothing but rounding would be left.
      return fmt::format("sum(j, {} * ({} - {} * 0.75) * ({}))", p, d, mean, v);
    }
    case 7:
      return heads_.empty() ? fmt::format("sum(j, {} * {} * ({}))", p, p, v)
                            : fmt::format("sum((h, j), {} * ({}))", p, v);
    case 8: return fmt::format("sum(j, ({})[j = j - 1] * ({}))", p, v);
    case 9: return fmt::format("sum(j, where({}, {}, 0.0) * ({}))", mask(1), p, v);
    default: return fmt::format("sum(j, {} * ({}))", p, v);
  }
}

std::string RandomAttention::unusual_output(const std::string& p, const std::string& s) {
  switch (below(8)) {
    case 0: return fmt::format("mean(j, {})", p);
    case 1: return fmt::format("min(j, {})", s);
    case 2: return fmt::format("any(j, {}) && all(i, {})", mask(1), mask(0));
    case 3: return fmt::format("sum(j, where({}, j + 1, -i))", mask(2));
    case 4:
      return fmt::format("{}(sum(j, {} * ({})))", pick({"bf16", "f16"}), p,
                         feature_input(heads_ + "j, e"));
    case 5: return fmt::format("max((i, j), {})", p);
    case 6:
      return fmt::format("sum(j, softmax({}, {}) * {})", heads_.empty() ? "(i, j)" : "(h, j)", s,
                         input("f32", heads_ + "j, e"));
    default:
      return fmt::format("sum(j, {} * ({})[j = j + {} else {}])", p, feature_input(heads_ + "j, e"),
                         1 + below(3), input("f32", "e"));
  }
}

// The best columns, by scores that are whole numbers: equal ones are equal in f32 too.
std::string RandomAttention::chosen_output() {
  chosen_ = true;
  std::string s = let(fmt::format("sum(d, f32({}) * f32({}))", input("i8", heads_ + "i, d"),
                                  input("u8", heads_ + "j, d")));
  if (chance(50)) s = let(fmt::format("where({}, {}, -inf)", mask(1), s));
  if (chance(25)) return fmt::format("argmax(j, {})", s);
  const std::string at = let(fmt::format("topk(j, top, {})", s));
  if (chance(25)) return at;
  return fmt::format("sum(top, softmax(top, {}[j = {} else -inf] * 0.3) * {}[j = {}])", s, at,
                     input("f32", heads_ + "j, e"), at);
}

std::string RandomAttention::ragged_output() {
  ragged_ = true;
  const std::string at = let("list[edge = first[r = i] + n]");
  const std::string q = input("f32", heads_ + "i, d"), k = input("f32", heads_ + "j, d"),
                    v = input("f32", heads_ + "j, e");
  std::string s = let(fmt::format("sum(d, {} * {}[j = {}]) * 0.3", q, k, at));
  if (chance(40)) s = let(fmt::format("{} + {}[edge = first[r = i] + n]", s, input("f32", "edge")));
  if (chance(30)) s = let(fmt::format("where(n < {}, {}, -inf)", 1 + below(4), s));
  switch (below(4)) {
    case 0: return fmt::format("logsumexp(n, {})", s);
    case 1: return fmt::format("max(n, {})", s);
    default: return fmt::format("sum(n, softmax(n, {}) * {}[j = {}])", s, v, at);
  }
}

Program RandomAttention::operator()() {
  const std::uint32_t widths[] = {1, 3, 8, 16, 20, 32, 64, 64};
  const std::uint32_t d = widths[below(std::size(widths))], e = widths[below(std::size(widths))];
  if (chance(60)) heads_ = "h, ";
  if (chance(25)) head_count_ = 8;
  width_ = d;
  Program program;
  const std::string s = masked(score());
  std::string p = weights(s);
  for (std::uint32_t n = 1 + below(3); n > 0; --n) {
    if (chance(15)) p = weights(chance(50) ? s : masked(score()));
    const std::string value = chance(8)   ? ragged_output()
                              : chance(6) ? chosen_output()
                                          : output(p, s);
    program.outputs.push_back(fmt::format("out o{} = {}", outputs_++, value));
  }
  program.declarations =
      fmt::format("axis h = {}, g = 2, i, {}, d = {}, e = {}{}{}{}\n", head_count_,
                  cached_ ? "past, new, j = past + new" : "j", d, e,
                  ragged_ ? ", r = i + 1, edge, n < degree" : "", chosen_ ? ", top = 4" : "",
                  packed_ ? fmt::format(", c = {}", head_count_ * d) : "");
  if (ragged_) {
    program.declarations += "first : i32[r]\nlist : i32[edge]\n";
    program.declarations += "degree = first[r = i + 1] - first[r = i]\n";
  }
  program.declarations += inputs_ + statements_;
  return program;
}

ir::Sizes random_sizes(std::uint32_t seed) {
  std::mt19937 random(seed);
  constexpr std::int64_t kExtents[] = {0, 1, 2, 3, 7, 17, 48, 64, 65, 96, 97, 129, 200};
  constexpr std::int64_t kLarge[] = {257, 500, 1000};  // now and then, beside something small
  const auto pick = [&] { return kExtents[random() % std::size(kExtents)]; };
  // Drawn one after the other: the order of evaluation of a list of calls is the compiler's.
  std::int64_t rows = pick(), columns = pick();
  if (random() % 12 == 0) (rows < columns ? columns : rows) = kLarge[random() % std::size(kLarge)];
  const std::int64_t past = columns * static_cast<std::int64_t>(random() % 5) / 4;
  return {{"i", rows}, {"j", columns}, {"edge", 3 * rows}, {"past", past}, {"new", columns - past}};
}

}  // namespace fovea::test
