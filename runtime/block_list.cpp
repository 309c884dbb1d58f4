#include "runtime/block_list.h"

#include <algorithm>

namespace fovea::runtime {

using State = BlockList::Candidate::State;

Visits& Visits::operator+=(const Visits& other) {
  full += other.full;
  partial += other.partial;
  empty += other.empty;
  full_pairs += other.full_pairs;
  partial_pairs += other.partial_pairs;
  return *this;
}

Visits Visits::operator*(std::int64_t times) const {
  const auto factor = static_cast<double>(times);
  return {full * times, partial * times, empty * times, full_pairs * factor,
          partial_pairs * factor};
}

BlockLister::BlockLister(const Program&, const Tiled& step, std::span<const std::int64_t> symbols,
                         std::span<const BufferRef> buffers)
    : visible_(step.mask.visible, symbols, buffers, tables_),
      solid_(step.mask.solid, symbols, buffers, tables_),
      is_same_(visible_ == solid_),
      rows_(symbols[static_cast<std::size_t>(step.rows)]),
      columns_(symbols[static_cast<std::size_t>(step.columns)]),
      row_tile_(step.row_tile),
      column_block_(step.column_block),
      blocks_((columns_ + column_block_ - 1) / column_block_),
      has_evaluator_(step.mask.evaluate.function != nullptr) {}

void BlockLister::list(std::span<const std::int64_t> batch, std::int64_t row,
                       const Evaluate& evaluate, BlockList& into) const {
  into.blocks.clear();
  into.candidates.clear();
  into.clear = 0;
  into.evaluations = 0;
  if (blocks_ == 0 || row >= rows_) return;
  BoundPredicate::Rectangle rectangle{
      .batch = batch, .rows = {row, std::min(row + row_tile_, rows_) - 1}, .columns = {}};
  descend(rectangle, 0, blocks_, into);
  settle(evaluate, into);
}

bool BlockLister::sees_nothing(std::span<const std::int64_t> batch, std::int64_t row) const {
  return columns_ == 0 ||
         visible_({.batch = batch, .rows = {row, row}, .columns = {0, columns_ - 1}})
             .certainly_false();
}

Visits BlockLister::visits(std::int64_t row, const BlockList& list) const {
  const auto count = static_cast<std::int64_t>(list.blocks.size());
  Visits visits{.full = list.clear, .partial = count - list.clear, .empty = blocks_ - count};
  const auto rows = static_cast<double>(std::min(row_tile_, rows_ - row));
  for (std::int64_t n = 0; n < count; ++n) {
    const std::int64_t first = list.blocks[static_cast<std::size_t>(n)] * column_block_;
    (n < list.clear ? visits.full_pairs : visits.partial_pairs) +=
        rows * static_cast<double>(std::min(column_block_, columns_ - first));
  }
  return visits;
}

void BlockLister::descend(BoundPredicate::Rectangle& rectangle, std::int64_t begin,
                          std::int64_t end, BlockList& into) const {
  rectangle.columns = {begin * column_block_, std::min(end * column_block_, columns_) - 1};
  const Interval visible = visible_(rectangle);
  ++into.evaluations;
  if (visible.certainly_false()) return;
  State state = State::open;
  if (visible.certainly_true() || end - begin == 1) {
    const Interval solid = is_same_ ? visible : solid_(rectangle);
    if (!is_same_) ++into.evaluations;
    if (visible.certainly_true() && solid.certainly_true()) state = State::clear;
    if (visible.certainly_true() && solid.certainly_false()) state = State::masked;
  }
  if (state == State::open && end - begin > 1) {
    const std::int64_t middle = begin + (end - begin) / 2;
    descend(rectangle, begin, middle, into);
    descend(rectangle, middle, end, into);
    return;
  }
  for (std::int64_t block = begin; block < end; ++block) {
    into.candidates.push_back({static_cast<std::int32_t>(block), state});
  }
}

void BlockLister::settle(const Evaluate& evaluate, BlockList& into) const {
  const bool asks = has_evaluator_ && std::ranges::any_of(into.candidates, [](const auto& each) {
                      return each.state == State::open;
                    });
  if (asks) {
    into.any.assign(static_cast<std::size_t>(blocks_), 0);
    into.all.assign(static_cast<std::size_t>(blocks_), 0);
    evaluate(into.any.data(), into.all.data());
  }
  const auto append = [&](bool wants_clear) {
    for (const BlockList::Candidate& each : into.candidates) {
      const auto block = static_cast<std::size_t>(each.block);
      const bool asked = asks && each.state == State::open;
      if (asked && into.any[block] == 0) continue;
      const bool is_clear = asked ? into.all[block] != 0 : each.state == State::clear;
      if (is_clear == wants_clear) into.blocks.push_back(each.block);
    }
  };
  append(true);
  into.clear = static_cast<int>(into.blocks.size());
  append(false);
}

}  // namespace fovea::runtime
