// codegen/staging.h — inputs that lie on the plane, copied for a tile of rows and a block of
// columns so that rows are the fastest, as the lanes want them. Halide would gather such values one
// by one; instead its kernels call a function whose name says all that it must do, and whose code
// joins the kernel in LLVM.
//
//   in [row][column][run…] or [column][row]   ->   out [column][run…][row]
//
// The function takes (in, blocks, a coordinate for each dimension of in, out), buffers as
// halide_buffer_t*, and returns 0. Dimensions of `out` are: 0 the row, from the first of the tile;
// 1 the column within a block; 2 the block's place in `blocks`; then others. What lies
// beyond the tensor is never read: rows there repeat the last one, columns are 0.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llvm {
class Module;
}

namespace fovea::codegen {

struct Staging {
  int bits;   // of an element: 8, 16 or 32
  int lanes;  // rows that are turned at once: a power of two that divides the rows of `out`
  int rows;   // of a tile
  int block;  // columns of a block
  // By dimension of `in`, fastest first: the dimension of `out` that runs along it; -1 where the
  // coordinate that is given is all.
  std::vector<int> along;
  bool wide = false;  // whether strides of `in` may be of more than 31 bits
};

std::string symbol_of(const Staging& staging);

// The function that fetches into the cache what the stage of that name will read for the next
// block: takes the same arguments and then n and m, and does the n-th part of m. Nothing if the
// stage does so by itself, or the name is not of a stage. All at once, as many requests would hold
// up the loads behind them; no prefetcher of a CPU follows as many rows.
std::optional<std::string> ahead_of(std::string_view symbol);

// Gives all functions of such names that the module calls their code.
void define_stagings(llvm::Module& module);

}  // namespace fovea::codegen
