// ops/reference.h — plain attention in double, for the references; nothing of the language is in
// it.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <vector>

#include "ops/mechanism.h"

namespace fovea::ops {

// One element; aborts outside of the array.
double at(const ir::Array& x, std::initializer_list<std::int64_t> coordinates);
double& at(ir::Array& x, std::initializer_list<std::int64_t> coordinates);

// An f32 array of zeros.
ir::Array zeros(std::vector<std::int64_t> shape);

// A query and a key of one head of one element of the batch.
struct Pair {
  std::int64_t b, h, i, j;
};

// What varies between mechanisms. `score` is given q·k / √d. `weigh` turns the scores of a row,
// those of the visible keys only, into their weights.
struct Plain {
  std::function<bool(const Pair&)> visible = [](const Pair&) { return true; };
  std::function<double(const Pair&, double)> score = [](const Pair&, double s) { return s; };
  std::function<std::vector<double>(const Pair&, const std::vector<double>&)> weigh =
      nullptr;  // softmax
};

std::vector<double> softmax_of(const std::vector<double>& scores);

// Each number's share of their sum.
std::vector<double> shares_of(std::vector<double> numbers);

// Σ_j weight v over inputs q [b, h, i, d], k [b, g, j, d], v [b, g, j, e], as `o` [b, h, i, e].
// Head h reads the keys of head ⌊h / (heads / key heads)⌋.
ir::Arrays attend(const ir::Arrays& inputs, const Plain& plain);

// Σ_m x[b, n, m] w[h, m, d] as [b, h, n, d], and Σ_he x[b, h, n, e] w[h, e, m] as [b, n, m].
ir::Array project(const ir::Array& x, const ir::Array& w);
ir::Array unproject(const ir::Array& x, const ir::Array& w);

// The keys or values [b, g, n, d] of one set, then those of another.
ir::Array joined(const ir::Array& first, const ir::Array& second);

// Multiplies an input by a number, staying with what f32 holds.
void scale_input(ir::Array& x, double factor);

// i + n_k - n_q, or i with the option `start`.
std::int64_t position_of(const Problem& problem, const ir::Sizes& sizes, std::int64_t i);

// Whether random attention shows block `column` to the block of rows `row`, of `blocks`
// (ops/masks.h).
bool is_random_block(const Problem& problem, std::int64_t row, std::int64_t column,
                     std::int64_t blocks);

// Quotient and remainder towards minus infinity.
std::int64_t floor_div(std::int64_t a, std::int64_t b);
std::int64_t floor_mod(std::int64_t a, std::int64_t b);

}  // namespace fovea::ops
