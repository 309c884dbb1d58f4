// runtime/program.h — a compiled graph as plain data: sizes, buffers and steps. Codegen writes it, the
// executor runs it; nothing here knows who made it.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "runtime/types.h"

namespace fovea::runtime {

// Arithmetic over symbols in postfix order; `div` floors. Values are 64-bit and must not be negative.
struct SizeTerm {
  enum class Kind : std::uint8_t { number, symbol, add, sub, mul, div, ceil_div, max, min };
  Kind kind = Kind::number;
  std::int64_t value = 0;  // the number, or the index of the symbol
};
using Size = std::vector<SizeTerm>;

// The extent of an axis. Exactly one way to learn it: `size` where that is not empty; the largest
// element of the integer buffer `largest_of` (a ragged axis; known once that buffer is written);
// otherwise from the shapes of bound inputs, or from the caller by name.
struct Symbol {
  std::string name;
  Size size;
  int largest_of = -1;
  std::string from = {};  // what its elements come from, for messages: " (from input 'x')"
};

struct Buffer {
  enum class Role : std::uint8_t {
    input,    // bound by the caller, only read
    output,   // bound by the caller, only written
    stored,   // in the arena, between steps
    scratch,  // one per thread, for the length of one tile
  };
  std::string name;
  Role role = Role::input;
  Dtype type = Dtype::F32;
  std::vector<Size> shape;  // slowest first; dense
  int slot = -1;            // of `stored`: buffers that share a slot never live at the same time
};

// A compiled function. Its arguments are pointers to halide_buffer_t for buffers and to int32_t for
// numbers. Returns 0.
//
// Strides are of any size, but halide_dimension_t has 32 bits for one: behind the dimensions of a
// buffer lie as many more, and the stride of each is what that of the one before it lacks, in units
// of 2^kStrideBits. Only functions of wide indices look there.
using Function = int (*)(void** arguments);
constexpr int kStrideBits = 31;

struct Argument {
  enum class Kind : std::uint8_t {
    buffer,  // index: the buffer
    size,    // index: the symbol
    // of a Tiled step only:
    batch,   // index: coordinate along the step's index-th batch symbol
    row,     // first row of this tile
    blocks,  // i32 buffer [here]: the column blocks of this chunk, those that need no mask first
    here,    // how many blocks this chunk has, at most Tiled::chunk
    clear,   // how many of them need no mask
    any,     // bool buffer [column blocks]: written by Mask::evaluate, is anything visible
    all,     // the same: is everything visible and mask-free
    from,    // the row that the carried state is relative to, not below 0
  };
  Kind kind = Kind::buffer;
  int index = 0;
};

struct Call {
  Function function = nullptr;
  std::vector<Argument> arguments;
};

// A step that writes whole buffers. The work may be cut along the slowest dimension of its one
// result that has more than one element (which the function then sees cropped: dim.min and host are
// those of the piece).
struct Plain {
  Call call;
  std::vector<int> results;  // buffers
  bool divisible = false;    // one result, and pieces of it are independent
  bool excludes = false;     // one result, as of Tiled::Result
  int cuttable = 8;          // along so many of its slowest dimensions; the others stay whole
};

// Bytecode over intervals: decides a predicate for a rectangle of rows x columns at once. Every value
// is an interval [low, high] of i64, booleans are within [0, 1].
struct PredicateOp {
  // clang-format off
  enum class Kind : std::uint8_t {
    constant,  // push value
    row,       // push the rows of the rectangle
    column,    // push its columns
    batch,     // push coordinate of batch symbol `value`
    size,      // push the extent of symbol `value`
    load,      // pop as many coordinates as buffer `value` (integer or bool) has dimensions, last on
               // top; push the range of its elements there; coordinates are clamped into the buffer
    add, sub, mul, div, mod, neg, min, max, abs,  // div and mod floor, as everywhere
    lt, le, eq, ne, logical_and, logical_or, logical_not,
    select,    // pop else, then, condition
    unknown,   // push [0, 1]: nothing is known
  };
  // clang-format on
  Kind kind = Kind::constant;
  std::int64_t value = 0;
};
using Predicate = std::vector<PredicateOp>;

// Which blocks of the plane a tile visits. Empty predicates: all of them, none needing a mask.
struct Mask {
  Predicate visible;  // where certainly false, the block is not visited
  Predicate solid;    // where certainly true, no mask is applied
  // Where intervals cannot decide: evaluates a whole row tile exactly into `any` and `all`.
  // Only asked for blocks that `visible` and `solid` leave open.
  Call evaluate;
};

// A step over a pair plane: for every batch coordinate, for every tile of rows: prepare; for every
// chunk of the tile's block list, in ascending order: step; then for every chunk again: revisit;
// finish. A tile without blocks still gets prepare and finish.
struct Tiled {
  std::vector<int> batch;  // symbols, slowest first
  // An index into `batch`, or -1: of that symbol `members` coordinates are one tile, from the one
  // that functions are given on. They agree on the block list.
  int shared = -1, members = 1;
  int rows = -1;     // symbol
  int columns = -1;  // symbol
  int row_tile = 0, column_block = 0, chunk = 0;
  Call prepare, step, finish;  // prepare and finish may be null
  Call revisit;                // null if what is on the plane needs no row to be known as a whole
  // A state for all tiles of a batch coordinate, which then run in order on one thread: `absorb`
  // adds `blocks` to it and makes it relative to `row`, `recall` adds it to what a tile begins with.
  // Blocks that need no mask are absorbed, once, and never stepped over; later tiles need no mask
  // there either. Null if there is none.
  Call absorb, recall;
  std::vector<int> carried;  // the state's buffers, of role scratch: 0 before the first tile
  Mask mask;
  // Row accumulators of a tile, in scratch: how those of two parts of its columns, walked apart,
  // become one. Dimensions are inner axes, rows, features.
  struct State {
    enum class Fold : std::uint8_t { sum, max, min };
    int buffer = -1;
    Fold fold = Fold::sum;
    // Of a sum of multiples of exp2(scale * (x - m)): m as an index into `states`, and for each of
    // m's dimensions the one of this buffer that it runs along. -1: of nothing.
    int follows = -1;
    std::vector<int> along;
    float scale = 1;
  };
  std::vector<State> states;
  std::vector<int> packed;  // what else prepare writes to scratch
  float pair_work = 4;      // of one element of the plane, in clock cycles or so
  // Stored buffers to which steps add: filled with `value` first (runtime/memory.h). With any of
  // these, the tiles that add to the same columns run in order.
  struct Accumulator {
    int buffer = -1;
    float value = 0;
  };
  std::vector<Accumulator> accumulators;
  // What it leaves: for each dimension of the buffer, slowest first, the batch coordinate it runs
  // along (index into `batch`), or kRows, kColumns (whose buffer may have room for whole blocks) or
  // kWhole.
  static constexpr int kRows = -1, kWhole = -2, kColumns = -3;
  struct Result {
    int buffer = -1;
    std::vector<int> along;
    bool excludes = false;  // -inf is what a mask hides; where it is wrong there is NaN
    int maxima = 0;         // bits of `doubt`: what it is made of, which may be of nothing
  };
  std::vector<Result> results;
  // An i32 buffer [members * row_tile] of role scratch in which finish marks the rows that must be
  // computed again though their results are finite: by kSpoilt, or kDoubted where they see anything;
  // else by a bit each the maxima of which a row rightly sees nothing, whose results may be -inf. -1
  // if there is none.
  static constexpr int kSpoilt = -1, kDoubted = 1, kSeesNothing = ~1;
  int doubt = -1;
};

// Gathered coordinates: all elements of `low` must be >= 0 and of `high` < the extent; both are i32
// scalars written by earlier steps. Over nothing, low is INT32_MAX and high INT32_MIN.
struct Check {
  int low = -1, high = -1;  // buffers
  int symbol = -1;          // the extent
  std::string what;         // "coordinate of k[j = neighbour] along j"
};

struct Step {
  std::string name;
  std::variant<Plain, Tiled, Check> work;
  // The same results in double, by one plain loop nest that obeys annihilation: called (for the tile,
  // the batch coordinate or the elements) where results came out non-finite. Takes buffers and sizes
  // only; result buffers are cropped to what is to be written. Made on demand by
  // Program::exact if null.
  Call exact;

  // What it does, if it is that, or null.
  const Plain* plain() const { return std::get_if<Plain>(&work); }
  const Tiled* tiled() const { return std::get_if<Tiled>(&work); }
  const Check* check() const { return std::get_if<Check>(&work); }
};

struct Program {
  std::vector<Symbol> symbols;
  std::vector<Buffer> buffers;
  std::vector<Step> steps;
  int slots = 0;
  bool wide_indices = false;  // whether its functions reach tensors of 2^31 elements and more
  // Makes Step::exact of a step when it is first needed; thread-safe, and the answer stays valid as
  // long as the program. Returns null with no way to make one, and the results then stay as they are.
  const Call* (*exact)(void* context, int step) = nullptr;
  void* context = nullptr;
};

}  // namespace fovea::runtime
