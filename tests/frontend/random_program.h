// tests/frontend/random_program.h — programs as rich as the language: a pool of values over random
// sets of axes, to which each step adds one that is made of others.
//
// Values carry their axes and roughly their magnitude, so that what is generated is well typed and
// mostly well conditioned. Steps are what programs are made of (projections, scores, masks,
// softmaxes, weighted sums, products of planes, gathers, scans, norms, …), each with operands from
// anywhere in the pool.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/frontend/input_rules.h"

namespace fovea::test {

// A program with all that running it needs.
struct RandomText {
  std::string text;          // statements
  InputRules rules;          // of the inputs
  std::vector<Sizes> sizes;  // of the open axes
};

class RandomProgram {
 public:
  // Of at most so many values that others are made of, and not many more statements.
  explicit RandomProgram(std::uint32_t seed, std::uint32_t most = 8) : random_(seed), most_(most) {}
  RandomText operator()();

 private:
  using Axes = std::vector<std::string>;  // sorted
  struct Value {
    std::string text;  // a name, or an expression in parentheses
    Axes axes;
    double size = 1;        // magnitude, roughly
    bool exact = false;     // small whole numbers
    bool excludes = false;  // holds -inf
    int depth = 0;          // steps beneath it
  };
  enum class Role : std::uint8_t { Position, Feature, Batch, Short, List };
  struct AxisInfo {
    std::string name, extent;  // as in the text; empty: open
    Role role;
  };

  // --- choosing
  std::uint32_t below(std::uint32_t n) { return random_() % n; }
  bool chance(std::uint32_t percent) { return below(100) < percent; }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[below(static_cast<std::uint32_t>(from.size()))];
  }
  std::string word(const std::vector<std::string>& from) { return pick(from); }

  // --- axes
  void make_axes();
  void add_axis(const std::string& name, const std::string& extent, Role role);
  std::string extent_of(Role role, const std::vector<std::string>& same_as);
  Axes with_role(Role role) const;
  Axes those(const Axes& axes, Role role) const;
  std::string any_axis(Role role);
  std::string other_position(const Axes& than);  // empty: none is left
  bool has_role(const std::string& axis, Role role) const;

  // --- values
  Value let(const std::string& expression, Axes axes, double size, bool exact = false);
  Value input(const std::string& dtype, Axes axes, const std::string& rule, double size);
  Value floats(Axes axes);           // an input
  Value from_pool();                 // rather what came last
  Value with_feature();              // of the pool, or new
  Value tame(const Value& x) const;  // finite, and not large
  Value read(const Value& x, const std::string& axis, const std::string& at) const;
  Value beside(const Value& x, const std::string& position, const std::string& feature);
  bool fits(const Axes& axes) const;
  void add(Value value);

  // --- steps
  void step();
  void project();
  void score();
  Value contraction_score();
  Value unusual_score();
  void masked();
  void weights();
  void mix();
  void multiply_planes();
  void combine();
  void apply_function();
  void read_elsewhere();
  void reduce();
  void layer();
  void scan();
  void choose();
  void neighbours();
  void backward();
  void attention();
  void normalised_rows();
  void hidden();
  void integers_as_floats();
  void geometry();

  // --- integers, conditions and coordinates, as text
  Value integer(const Axes& over, int depth);
  Value integer_leaf(const Axes& over);
  Value detour(const Axes& over);  // through floats
  Value condition(const Axes& over, int depth);
  Value condition_leaf(const Axes& over);
  Value third_axis_condition(const Axes& over);
  Value compared_floats(const Axes& over);
  // A coordinate along the axis: arithmetic, a renamed axis, an input that is inside, a choice.
  Value coordinate(const std::string& axis, const Axes& over);

  std::string outputs();
  std::string stored(const Value& x);
  std::vector<Sizes> sizes_for(const std::string& text);
  std::string axis_line(const std::string& body) const;

  std::mt19937 random_;
  std::uint32_t most_;
  std::vector<AxisInfo> axes_;
  std::vector<Value> pool_, conditions_;
  InputRules rules_;
  std::string inputs_, statements_;
  std::map<std::string, int> depths_;  // of named values
  bool goes_on_ = false;               // the next step takes what came last
  int names_ = 0, input_count_ = 0, ragged_ = 0;
};

}  // namespace fovea::test
