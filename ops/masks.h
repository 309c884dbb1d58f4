// ops/masks.h — which keys a row sees: predicates over the pair plane, and the random blocks.
#pragma once

#include <vector>

#include "ops/heads.h"

namespace fovea::ops {

inline constexpr Option kStart{"start", 0,
                               "1: row 0 stands at key 0; 0: the last row at the last key"};
inline constexpr Option kWindow{"window", 256, "keys that a row sees, the last of them its own"};
inline constexpr Option kBlock{"block", 64, "rows and keys of a block"};
inline constexpr Option kRandom{"random", 3, "random blocks that a block of rows sees"};
inline constexpr Option kSeed{"seed", 0, "of the random blocks"};

// The key at which row i stands: i + n_k - n_q, or i with the option `start`.
Tensor position(const Problem& problem, const Heads& x);

// The blocks that random attention adds to each block of rows, as i32 over the rows: `random` of
// them from n equal shares of all blocks, so that they differ. Integers below 2^31 throughout.
//
//   mix(x, y) = t³ mod 32717, t = (20011 x + y + 7919) mod 32717
//   share n of N blocks = [⌊n N / random⌋, ⌊(n + 1) N / random⌋)
//   block n of row block r = share.first
//                          + mix(mix(mix(seed, n), r mod 32717), n) mod max(share.size, 1)
std::vector<Tensor> random_blocks_of(const Problem& problem, const Heads& x,
                                     const Tensor& row_block);

// Whether key j lies in one of those blocks.
Tensor in_random_block(const Problem& problem, const Heads& x, const Tensor& row_block);

}  // namespace fovea::ops
