// ops/mechanism.h — what one file of this folder defines: a mechanism of attention.
//
// A mechanism is a graph written in the DSL, made for a problem (its options), and an independent
// reference: the paper's formula as plain loops in double. The reference test, the benchmark and
// `fovea list` loop over all().
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "ir/graph.h"
#include "ir/interpret.h"

namespace fovea::ops {

// An option with its default. Integers and flags are numbers too.
struct Option {
  std::string_view name;
  double value;
  std::string_view doc;
};

// The options of one use of a mechanism. Reading one that the mechanism does not declare aborts.
class Problem {
 public:
  // Defaults, overridden by `given`. Unknown names are errors (invalid_config) that list the
  // options.
  Problem(std::span<const Option> options, const std::map<std::string, double>& given = {});
  double operator[](std::string_view name) const;
  // As an integer; an error (invalid_config) unless it is one from `least` to
  // 999999999.
  int integer(std::string_view name, int least = 1) const;
  // An error (invalid_config) unless it is finite and above 0.
  double positive(std::string_view name) const;
  bool flag(std::string_view name) const { return (*this)[name] != 0; }

 private:
  std::map<std::string, double, std::less<>> values_;
};

// What holds of the output `o` of a mechanism for all inputs; property tests draw some.
struct Properties {
  // A row of `o` is a mean of values, with weights of at least 0 that sum to 1; zeros where it sees
  // none. Values are the inputs that begin with v; in graphs, the neighbours' projected features.
  bool convex = false;
  // Keys may be permuted, with all else that has the axis j, and `o` stays as it is; in graphs, the
  // edges of a node, with all that has the axis edge.
  bool permutable = false;
};

struct Mechanism {
  std::string_view name;     // "sliding_window"
  std::string_view family;   // "dot product", "masks and sparsity", ...
  std::string_view doc;      // one line
  std::string_view formula;  // one line of mathematics
  std::string_view paper;    // "Vaswani 2017"
  std::span<const Option> options;
  ir::Graph (*build)(const Problem& problem);
  // The outputs for these inputs, by loops that share nothing with `build`. `sizes` has the extent
  // of every axis of the built graph by name.
  ir::Arrays (*reference)(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes& sizes);
  // Makes those inputs of example_inputs that are not plain normal numbers (ids, positions, masks,
  // neighbour lists) sensible, in place: `inputs` has them all. Null where there are none.
  void (*special_inputs)(const Problem& problem, const ir::Sizes& sizes, unsigned seed,
                         ir::Arrays& inputs) = nullptr;
  double tolerance = 1e-5;  // largest |compiled - reference| relative to the largest output
  // What the options decided, and by what bound, in a sentence for `fovea explain`. Null where
  // there is nothing to decide.
  std::string (*decision)(const Problem& problem) = nullptr;
  Properties properties = {};
};

std::span<const Mechanism* const> all();

// The mechanism called so; an error (invalid_config) that lists close names otherwise.
const Mechanism& find(std::string_view name);

// Sizes to try a mechanism on: axis i has `rows`, j `columns`, `edge` and `pair` (lists of pairs,
// or a name that ends so) up to four to a row, and every other axis without an extent of its own
// has `others`. Each axis by name.
ir::Sizes example_sizes(const ir::Graph& graph, std::int64_t rows, std::int64_t columns,
                        std::int64_t others = 2);

// Inputs to try a mechanism on, the same for the same seed: normal numbers that f32 holds, small
// integers, then the mechanism's special ones. `sizes` are those of example_sizes.
ir::Arrays example_inputs(const Mechanism& mechanism, const Problem& problem,
                          const ir::Graph& graph, const ir::Sizes& sizes, unsigned seed);

}  // namespace fovea::ops
