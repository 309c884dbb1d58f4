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

std::string RandomAttention::input(const std::string& dtype, const std::string& axes) {
  const std::string name = fmt::format("x{}", input_count_++);
  inputs_ += fmt::format("{} : {}[{}]\n", name, dtype, axes);
  return name;
}

std::string RandomAttention::feature_input(const std::string& axes) {
  const std::string dtype = chance(85) ? "f32" : pick({"bf16", "f16", "i8", "u8", "i4", "bool"});
  const std::string name = input(dtype, axes);
  return dtype == "f32" ? name : "f32(" + name + ") * 0.5";
}

std::string RandomAttention::single_score() {
  const std::string rows = heads_ + "i, d", keys = heads_ + "j, d";
  switch (below(9)) {
    case 0: {
      const std::string q = feature_input(rows),
                        k = feature_input(heads_.empty() ? "j, d" : "g, j, d");
      if (heads_.empty()) return let(fmt::format("sum(d, {} * {}) * 0.3", q, k));
      return let(fmt::format("sum(d, {} * ({})[g = h / 2]) * 0.3", q, k));
    }
    case 1:
      return let(fmt::format("sum(d, tanh({} + {}) * {})", feature_input(rows), feature_input(keys),
                             input("f32", "d")));
    case 2: {
      const std::string q = input("f32", rows), k = input("f32", keys);
      return let(fmt::format("-sum(d, ({0} - {1}) * ({0} - {1})) * 0.2", q, k));
    }
    case 3:
      return let(fmt::format("{} + {}", input("f32", heads_ + "i"), input("f32", heads_ + "j")));
    case 4:
      return let(
          fmt::format("sum(d, {} * {}) * 0.3 + {}", feature_input(rows), feature_input(keys),
                      input(chance(80) ? "f32" : "i8", chance(50) ? "i, j" : heads_ + "j, i")));
    default:
      return let(fmt::format("sum(d, {} * {}) * 0.3", feature_input(rows), feature_input(keys)));
  }
}

std::string RandomAttention::score() {
  std::string s = single_score();
  if (chance(25)) s = let(s + pick({" + ", " - ", " * "}) + single_score());
  switch (below(8)) {
    case 0:
      return let(fmt::format("tanh({} / 3.0) * 3.0", s));
    case 1:
      return let(fmt::format("{} - 0.1 * abs(i - j)", s));
    case 2:
      return let(fmt::format("leaky_relu({}, 0.2)", s));
    case 3:
      return heads_.empty() ? s : let(fmt::format("{} * {}", s, input("f32", "h")));
    default:
      return s;
  }
}

std::string RandomAttention::mask(int depth) {
  if (depth > 0 && chance(45)) {
    const std::string a = mask(depth - 1), b = mask(depth - 1);
    return fmt::format("({}{} {} {})", chance(20) ? "!" : "", a, pick({"&&", "||"}), b);
  }
  switch (below(9)) {
    case 0:
    case 1:
      return "(j <= i)";
    case 2:
      return fmt::format("(abs(i - j) < {})", 1 + below(60));
    case 3:
      return fmt::format("(j % {} == i % {})", 1 + below(5), 1 + below(3));
    case 4:
      return fmt::format("({} == {})", input("i32", "i"), input("i32", "j"));
    case 5:
      return input("bool", chance(70) || heads_.empty() ? "i, j" : "h, i, j");
    case 6:
      return fmt::format("(j < {})", below(120));
    case 7:
      return fmt::format("(i + size(j) - size(i) >= j)");
    default:
      return input("bool", "j");
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
    case 0:
      return let(fmt::format("sigmoid({})", s));
    case 1:
      return let(fmt::format("where({}, relu({}), 0.0)", mask(1), s));
    case 2: {
      const std::string m = let(fmt::format("max(j, {})", s));
      const std::string p = let(fmt::format("exp({} - where({} == -inf, 0.0, {}))", s, m, m));
      return let(fmt::format("{0} / (sum(j, {0}) + 1.0)", p));
    }
    case 3:
      return let(fmt::format("softmax(j, {}) - 0.5 * softmax(j, {})", s, masked(score())));
    case 4:
      return let(fmt::format("softmax(j, {}) * {}", s, input("f32", "i, j")));
    case 5:
      return let(fmt::format("softmax(i, {})", s));
    default:
      return let(fmt::format("softmax(j, {})", s));
  }
}

std::string RandomAttention::output(const std::string& p, const std::string& s) {
  const std::string v = feature_input(heads_ + "j, e");
  const auto w = [&] { return feature_input(heads_ + "i, e"); };
  switch (below(14)) {
    case 0:
      return fmt::format("logsumexp(j, {})", s);
    case 1:
      return fmt::format("sum(i, {} * ({}))", p, w());
    case 2:
      return fmt::format("max(j, {})", p);
    case 3:
      return p;
    case 4:
      return fmt::format("sum((i, j), {})", p);
    case 5:
      return fmt::format("sum(j, {} * ({})) * sigmoid({})", p, v, w());
    case 6: {
      const std::string d = let(fmt::format("sum(e, ({}) * ({}))", w(), v));
      const std::string mean = let(fmt::format("sum(j, {} * {})", p, d));
      // Not the whole mean: where a row sees one column nothing but rounding would be left.
      return fmt::format("sum(j, {} * ({} - {} * 0.75) * ({}))", p, d, mean, v);
    }
    case 7:
      return heads_.empty() ? fmt::format("sum(j, {} * {} * ({}))", p, p, v)
                            : fmt::format("sum((h, j), {} * ({}))", p, v);
    case 8:
      return fmt::format("sum(j, ({})[j = j - 1] * ({}))", p, v);
    case 9:
      return fmt::format("sum(j, where({}, {}, 0.0) * ({}))", mask(1), p, v);
    default:
      return fmt::format("sum(j, {} * ({}))", p, v);
  }
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
    case 0:
      return fmt::format("logsumexp(n, {})", s);
    case 1:
      return fmt::format("max(n, {})", s);
    default:
      return fmt::format("sum(n, softmax(n, {}) * {}[j = {}])", s, v, at);
  }
}

Program RandomAttention::operator()() {
  const std::uint32_t widths[] = {1, 3, 8, 16, 20, 32};
  const std::uint32_t d = widths[below(std::size(widths))], e = widths[below(std::size(widths))];
  if (chance(60)) heads_ = "h, ";
  Program program;
  const std::string s = masked(score());
  std::string p = weights(s);
  for (std::uint32_t n = 1 + below(3); n > 0; --n) {
    if (chance(15)) p = weights(chance(50) ? s : masked(score()));
    const std::string value = chance(8) ? ragged_output() : output(p, s);
    program.outputs.push_back(fmt::format("out o{} = {}", outputs_++, value));
  }
  program.declarations = fmt::format("axis h = 4, g = 2, i, j, d = {}, e = {}{}\n", d, e,
                                     ragged_ ? ", r = i + 1, edge, n < degree" : "");
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
  const auto pick = [&] { return kExtents[random() % std::size(kExtents)]; };
  // Drawn one after the other: the order of evaluation of a list of calls is the compiler's.
  const std::int64_t rows = pick(), columns = pick();
  return {{"i", rows}, {"j", columns}, {"edge", 3 * rows}};
}

}  // namespace fovea::test
