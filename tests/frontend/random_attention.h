// tests/frontend/random_attention.h — attention as nobody wrote it: random programs for the fuzzer.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "ir/interpret.h"

namespace fovea::test {

// A program in pieces, so that a failing one can be made smaller: every output is a statement of
// its own, which nothing else needs.
struct Program {
  std::string declarations;  // axes, inputs and everything that outputs are made of
  std::vector<std::string> outputs;
  std::string text() const;
};

class RandomAttention {
 public:
  explicit RandomAttention(std::uint32_t seed) : random_(seed) {}
  Program operator()();

 private:
  std::uint32_t below(std::uint32_t n) { return random_() % n; }
  bool chance(std::uint32_t percent) { return below(100) < percent; }
  std::string pick(const std::vector<std::string>& from);
  // Gives an expression a name, and returns that.
  std::string let(const std::string& expression);

  // Called by what is in it: "x" for numbers, "document" and "length" for what those are.
  std::string input(const std::string& dtype, const std::string& axes,
                    const std::string& called = "x");
  std::string feature_input(const std::string& axes);  // f32, now and then a narrower type
  std::string score();
  std::string single_score();
  std::string unusual_score();
  std::string keys();
  std::string bent(const std::string& score);
  std::string mask(int depth);
  std::string masked(const std::string& score);
  std::string weights(const std::string& score);
  std::string output(const std::string& weights, const std::string& score);
  std::string unusual_output(const std::string& weights, const std::string& score);
  std::string ragged_output();
  std::string chosen_output();

  std::mt19937 random_;
  std::string statements_;
  std::string inputs_;
  int names_ = 0, input_count_ = 0, outputs_ = 0;
  bool ragged_ = false, chosen_ = false, cached_ = false, packed_ = false;
  std::string heads_;  // "h, " or nothing
  std::uint32_t head_count_ = 4, width_ = 1;
};

// Extents for the open axes of such programs; small enough to interpret. `past` and `new` sum to j.
ir::Sizes random_sizes(std::uint32_t seed);

}  // namespace fovea::test
