// tests/frontend/input_rules.h — what the inputs of a program hold, as a line of text says it:
//
//   # input window = 2147483647    this number everywhere
//   # input q = 10000 * normal     normal numbers with this deviation
//   # input q = 2 * whole          whole numbers from -3 to 3, times this
//   # input q = 1 * normal rows    the same as normal, but some rows are zeros
//   # input n = below 5            whole numbers from 0 to 4
//   # input n = below j            coordinates along an axis
//   # input n = from -3 to 130     whole numbers between these
//   # input d = ascending          0 or more, each as large as the one before or one more
//   # input first = starts edge    ascending, from 0 to the extent of that axis
//   # input x = hidden by seen     normal numbers, NaN where the bool input of these axes is false
//   # input x = any                the usual choice for its dtype (tools/io/random.h)
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "tests/frontend/support.h"

namespace fovea::test {

struct InputRule {
  enum class Kind : std::uint8_t {
    Any,
    Number,
    Normal,
    Whole,
    Rows,
    Below,
    Between,
    Ascending,
    Starts,
    Hidden
  } kind = Kind::Any;
  double value = 0, high = 0;
  std::string name = {};  // an axis or an input

  bool operator==(const InputRule&) const = default;
};
using InputRules = std::map<std::string, InputRule>;

// Errors: std::invalid_argument.
InputRule parse_rule(std::string_view text);
std::string print(const InputRule& rule);

// All inputs of the graph.
ir::Arrays make_inputs(const Graph& graph, const InputRules& rules, const Sizes& sizes,
                       unsigned seed);

}  // namespace fovea::test
