#include "ops/masks.h"

namespace fovea::ops {
namespace {

constexpr int kPrime = 32717;  // 2 mod 3, so cubes are a permutation; products stay below 2^31

Tensor mix(const Tensor& x, const Tensor& y) {
  const Tensor t = (x * 20011 + y + 7919) % kPrime;
  return t * t % kPrime * t % kPrime;
}

}  // namespace

Tensor position(const Problem& problem, const Heads& x) {
  return problem.flag("start") ? Tensor(x.i) : x.i + (size(x.j) - size(x.i));
}

std::vector<Tensor> random_blocks_of(const Problem& problem, const Heads& x,
                                     const Tensor& row_block) {
  const int block = problem.integer("block"), random = problem.integer("random", 0);
  const int seed = problem.integer("seed", 0) % kPrime;
  const Tensor blocks = (size(x.j) + (block - 1)) / block;
  std::vector<Tensor> chosen;
  for (int n = 0; n < random; ++n) {
    const Tensor first = blocks * n / random, last = blocks * (n + 1) / random;
    const Tensor number = mix(mix(mix(seed, n), row_block % kPrime), n);
    chosen.push_back(first + number % max(last - first, 1));
  }
  return chosen;
}

Tensor in_random_block(const Problem& problem, const Heads& x, const Tensor& row_block) {
  const Tensor column_block = x.j / problem.integer("block");
  Tensor in = false;
  for (const Tensor& chosen : random_blocks_of(problem, x, row_block)) {
    in = in || column_block == chosen;
  }
  return in;
}

}  // namespace fovea::ops
