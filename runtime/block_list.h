// runtime/block_list.h — which column blocks a tile of the pair plane visits.
//
// The predicates of a step are decided by intervals, whole ranges of blocks at once: ranges where
// nothing is visible are skipped and ranges that need no mask are taken, so the time follows the
// visited blocks and the logarithm of all, not the plane. What intervals leave open, the step's
// compiled evaluator decides, if it has one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/bound_predicate.h"
#include "runtime/program.h"

namespace fovea::runtime {

// Reused from tile to tile, it stops allocating.
struct BlockList {
  std::vector<std::int32_t> blocks;  // those that need no mask first, each part ascending
  int clear = 0;                     // how many need no mask
  int evaluations = 0;               // of predicates, to make this list

  struct Candidate {
    enum class State : std::uint8_t { clear, masked, open };
    std::int32_t block;
    State state;
  };
  std::vector<Candidate> candidates;   // working memory
  std::vector<std::uint8_t> any, all;  // working memory
};

// What the tiles of a step visited, over all batch coordinates.
struct Visits {
  std::int64_t full = 0, partial = 0, empty = 0;  // blocks: without the mask, with it, not at all
  double full_pairs = 0, partial_pairs = 0;       // elements of the plane in them

  Visits& operator+=(const Visits& other);
  Visits operator*(std::int64_t times) const;
};

// Evaluates a row tile exactly, for every column block: is anything visible, is everything visible
// and mask-free. Refers to a callable that outlives it.
class Evaluate {
 public:
  template <class F>
  Evaluate(const F& function)
      : object_(&function), call_([](const void* object, std::uint8_t* any, std::uint8_t* all) {
          (*static_cast<const F*>(object))(any, all);
        }) {}
  void operator()(std::uint8_t* any, std::uint8_t* all) const { call_(object_, any, all); }

 private:
  const void* object_;
  void (*call_)(const void*, std::uint8_t*, std::uint8_t*);
};

// Immutable once made; may be used from many threads.
class BlockLister {
 public:
  // `symbols` are the extents and `buffers` the data of this run, by the program's indices; buffers
  // that no predicate of the step loads are not looked at. Both must stay as they are.
  BlockLister(const Program& program, const Tiled& step, std::span<const std::int64_t> symbols,
              std::span<const BufferRef> buffers);

  std::int64_t column_blocks() const { return blocks_; }

  // The blocks of the tile whose first row is `row`, at these coordinates of the step's batch
  // symbols. `evaluate` is called at most once, and only if the step has an evaluator and some
  // block is open.
  void list(std::span<const std::int64_t> batch, std::int64_t row, const Evaluate& evaluate,
            BlockList& into) const;

  // Whether intervals tell that a row sees no column at all.
  bool sees_nothing(std::span<const std::int64_t> batch, std::int64_t row) const;

  // What a tile of that list visits.
  Visits visits(std::int64_t row, const BlockList& list) const;

 private:
  void descend(BoundPredicate::Rectangle& rectangle, std::int64_t begin, std::int64_t end,
               BlockList& into) const;
  void settle(const Evaluate& evaluate, BlockList& into) const;

  RangeTables tables_;
  BoundPredicate visible_, solid_;
  bool is_same_;  // visible_ and solid_
  std::int64_t rows_, columns_, row_tile_, column_block_, blocks_;
  bool has_evaluator_;
};

}  // namespace fovea::runtime
