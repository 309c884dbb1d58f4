// Walks tiles from their first block to their results (runtime/tiled_run.h).
#include <HalideRuntime.h>

#include <algorithm>
#include <cstring>

#include "runtime/tiled_run.h"

namespace fovea::runtime {

namespace {

bool is_doubt(std::int32_t mark) { return mark == Tiled::kDoubted || mark == Tiled::kSpoilt; }

constexpr double kWorthWaking = 1 << 16;  // cycles or so that are worth waking threads for
// Cycles or so to list the blocks of a tile: to begin with, and for each operation of the
// predicates.
constexpr double kListing = 500, kListingOperation = 30;

bool is_masked(const Tiled& tiled) {
  return !tiled.mask.visible.empty() || !tiled.mask.solid.empty();
}

// Whether a tile is so small that masking all of it takes less time than listing its blocks. A
// state that is carried needs the lists.
bool is_masked_whole(const Tiled& tiled, std::int64_t rows, std::int64_t columns) {
  const auto operations = static_cast<double>(tiled.mask.visible.size() + tiled.mask.solid.size());
  return !tiled.recall.function &&
         tile_work(tiled, rows, columns) < kListing + kListingOperation * operations;
}

}  // namespace

TiledRun::TiledRun(Workspace& workspace, int index)
    : workspace_(workspace),
      program_(workspace.program()),
      index_(index),
      step_(program_.steps[static_cast<std::size_t>(index)]),
      tiled_(*step_.tiled()),
      rows_(workspace.symbol(tiled_.rows)),
      columns_(workspace.symbol(tiled_.columns)),
      row_tiles_((rows_ + tiled_.row_tile - 1) / tiled_.row_tile),
      checked_(step_.exact.function || program_.exact),
      parts_(parts_of(tiled_, rows_, columns_)),
      memory_(workspace, tiled_) {
  const std::int64_t blocks = (columns_ + tiled_.column_block - 1) / tiled_.column_block;
  const bool masked = is_masked(tiled_);
  const bool lists =
      masked && (workspace.counts_visits() || !is_masked_whole(tiled_, rows_, columns_));
  if (masked) buffers_ = workspace.references();
  if (!lists) {
    all_ = &workspace.all_blocks(blocks, masked);
  } else {
    lister_.emplace(program_, tiled_, workspace.symbols(), buffers_);
    blocks_ = blocks;
  }
  // Only weighed, so a plane beyond 64 bits is no overflow.
  double work = static_cast<double>(rows_) * static_cast<double>(columns_) * tiled_.pair_work;
  for (const int symbol : tiled_.batch) work *= static_cast<double>(workspace_.symbol(symbol));
  worth_waking_ = work >= kWorthWaking;
}

Status TiledRun::run(ThreadPool& pool) {
  if (!tiled_.accumulators.empty()) return run_accumulating(pool);
  return tiled_.recall.function ? run_carrying(pool) : run_tiles(pool);
}

Status TiledRun::run_tiles(ThreadPool& pool) {
  std::int64_t items = row_tiles_;
  for (std::size_t n = 0; n < tiled_.batch.size(); ++n) items *= count_of(n);
  if (!is_apart(items, items)) {
    const auto body = [&](Lane& lane, std::int64_t item) -> Status {
      enter_tile(lane, item);
      if (Status status = tile(lane); !status.ok()) return status;
      return settle_tile(lane);
    };
    return for_each_item(workspace_, pool, items, worth_waking_, body);
  }
  const std::int64_t most = fitting(items);
  for (Band band{0, 0, 0, 0, 1}; band.first < items; band.first += most) {
    band.chains = std::min(most, items - band.first);
    if (Status status = run_apart(pool, band); !status.ok()) return status;
  }
  return {};
}

// The tiles of a batch coordinate in order, with what later rows see too in a state.
Status TiledRun::run_carrying(ThreadPool& pool) {
  std::int64_t items = 1;
  for (std::size_t n = 0; n < tiled_.batch.size(); ++n) items *= count_of(n);
  const auto body = [&](Lane& lane, std::int64_t item) -> Status {
    enter_tile(lane, item * row_tiles_);
    for (const int buffer : tiled_.carried)
      std::memset(lane.data(buffer), 0, workspace_.buffer(buffer).bytes);
    lane.absorbed.assign(static_cast<std::size_t>(blocks_), 0);
    lane.from = -1;
    Status status;
    for (std::int64_t row = 0; row < rows_ && status.ok(); row += tiled_.row_tile) {
      lane.row = static_cast<std::int32_t>(row);
      status = tile(lane);
      if (status.ok()) status = settle_tile(lane);
    }
    return status;
  };
  const double work = static_cast<double>(rows_) * static_cast<double>(items) *
                      tiled_.column_block * tiled_.pair_work;
  return for_each_item(workspace_, pool, items, work >= kWorthWaking, body);
}

// Brings the state up to this tile and adds it to what the tile begins with. The blocks that are
// left to be stepped over.
const BlockList& TiledRun::carry(Lane& lane, const BlockList& list, Status& status) const {
  const Lane::Calls& calls = lane.calls(index_);
  lane.fresh.blocks.clear();
  lane.rest.blocks.clear();
  for (std::size_t n = 0; n < list.blocks.size(); ++n) {
    std::uint8_t& absorbed = lane.absorbed[static_cast<std::size_t>(list.blocks[n])];
    if (absorbed) continue;
    const bool clear = n < static_cast<std::size_t>(list.clear);
    (clear ? lane.fresh : lane.rest).blocks.push_back(list.blocks[n]);
    absorbed = clear;
  }
  lane.rest.clear = 0;
  const auto count = static_cast<int>(lane.fresh.blocks.size());
  if (lane.from < 0 && count > 0) lane.from = lane.row;
  for (int first = 0; first < count && status.ok(); first += tiled_.chunk) {
    lane.here = lane.clear = std::min(tiled_.chunk, count - first);
    lane.set_blocks(lane.fresh.blocks.data() + first, lane.here);
    status = call(tiled_.absorb, calls.absorb);
    lane.from = lane.row;
  }
  if (status.ok() && lane.from >= 0) status = call(tiled_.recall, calls.recall);
  return lane.rest;
}

Status TiledRun::run_accumulating(ThreadPool& pool) {
  std::int64_t items = 1, in_order = 1;
  for (std::size_t n = 0; n < tiled_.batch.size(); ++n)
    (independent()[n] ? items : in_order) *= count_of(n);
  if (!is_apart(items, items * in_order * row_tiles_)) {
    const auto body = [&](Lane& lane, std::int64_t item) -> Status {
      enter_batch(lane, item, true);
      if (Status status = begin_item(lane); !status.ok()) return status;
      Trust trust = Trust::whole;
      for (std::int64_t each = 0; each < in_order; ++each) {
        enter_batch(lane, each, false);
        for (std::int64_t row = 0; row < rows_; row += tiled_.row_tile) {
          lane.row = static_cast<std::int32_t>(row);
          if (Status status = tile(lane); !status.ok()) return status;
          trust = std::min(trust, trust_in_tile(lane));
        }
      }
      return settle_item(lane, trust);
    };
    return for_each_item(workspace_, pool, items, worth_waking_, body);
  }
  std::vector<Trust>& trust = workspace_.apart().trust;
  trust.assign(static_cast<std::size_t>(items), Trust::whole);
  const auto on_each = [&](const auto& body) {
    return for_each_item(workspace_, pool, items, worth_waking_, [&](Lane& lane, std::int64_t n) {
      enter_batch(lane, n, true);
      return body(lane, n);
    });
  };
  Status status = on_each([&](Lane& lane, std::int64_t) { return begin_item(lane); });
  Band band{0, items, 0, 0, 1};
  const std::int64_t most = std::max<std::int64_t>(fitting(items * row_tiles_) / items, 1);
  for (; band.in_order < in_order; ++band.in_order)
    for (band.row_tile = 0; band.row_tile < row_tiles_ && status.ok(); band.row_tile += most) {
      band.length = std::min(most, row_tiles_ - band.row_tile);
      status = run_apart(pool, band);
      for (std::int64_t n = 0; n < items * band.length; ++n) {
        Trust& item = trust[static_cast<std::size_t>(n / band.length)];
        item = std::min(item, workspace_.apart().tile_trust[static_cast<std::size_t>(n)]);
      }
    }
  if (!status.ok()) return status;
  return on_each([&](Lane& lane, std::int64_t n) {
    return settle_item(lane, trust[static_cast<std::size_t>(n)]);
  });
}

const std::vector<bool>& TiledRun::independent() const {
  return workspace_.layout().independent[static_cast<std::size_t>(index_)];
}

// Of a shared axis, groups of members.
std::int64_t TiledRun::count_of(std::size_t n) const {
  const std::int64_t extent = workspace_.symbol(tiled_.batch[n]);
  if (static_cast<int>(n) != tiled_.shared) return extent;
  return (extent + tiled_.members - 1) / tiled_.members;
}

// Takes one coordinate off a running number and returns the rest.
std::int64_t TiledRun::set_coordinate(Lane& lane, std::size_t n, std::int64_t number) const {
  const std::int64_t count = count_of(n);
  const int step = static_cast<int>(n) == tiled_.shared ? tiled_.members : 1;
  lane.coordinates[n] = number % count * step;
  lane.batch[n] = static_cast<std::int32_t>(lane.coordinates[n]);
  return number / count;
}

void TiledRun::enter_tile(Lane& lane, std::int64_t item) const {
  lane.row = static_cast<std::int32_t>(item % row_tiles_ * tiled_.row_tile);
  item /= row_tiles_;
  for (std::size_t n = tiled_.batch.size(); n-- > 0;) item = set_coordinate(lane, n, item);
}

void TiledRun::enter_batch(Lane& lane, std::int64_t number, bool is_independent) const {
  for (std::size_t n = tiled_.batch.size(); n-- > 0;)
    if (independent()[n] == is_independent) number = set_coordinate(lane, n, number);
}

Status TiledRun::call(const Call& call, const std::vector<void*>& arguments) const {
  if (!call.function) return {};
  const int code = call.function(const_cast<void**>(arguments.data()));
  return code == 0 ? Status{} : failure(Code::internal, "step '", step_.name, "' returned ", code);
}

const BlockList& TiledRun::list_of(Lane& lane, BlockList& into, Status& status) const {
  if (all_) return *all_;
  const auto evaluate = [&](std::uint8_t* any, std::uint8_t* all) {
    lane.set_decisions(any, all, static_cast<std::int32_t>(blocks_));
    status = call(tiled_.mask.evaluate, lane.calls(index_).evaluate);
  };
  const std::span coordinates(lane.coordinates.data(), tiled_.batch.size());
  lister_->list(coordinates, lane.row, Evaluate(evaluate), into);
  if (workspace_.counts_visits()) count_visits(lane, into);
  return into;
}

void TiledRun::count_visits(Lane& lane, const BlockList& list) const {
  const Visits once = lister_->visits(lane.row, list);
  std::int64_t members = 1;
  if (tiled_.shared >= 0) {
    const auto shared = static_cast<std::size_t>(tiled_.shared);
    members = std::min<std::int64_t>(
        tiled_.members, workspace_.symbol(tiled_.batch[shared]) - lane.coordinates[shared]);
  }
  lane.visits += once * members;
}

// Calls once for every chunk of the list.
Status TiledRun::walk(Lane& lane, const BlockList& list, const Call& each,
                      const std::vector<void*>& arguments) const {
  if (!each.function) return {};
  const auto count = static_cast<int>(list.blocks.size());
  for (int first = 0; first < count; first += tiled_.chunk) {
    lane.here = std::min(tiled_.chunk, count - first);
    lane.clear = std::clamp(list.clear - first, 0, lane.here);
    lane.set_blocks(list.blocks.data() + first, lane.here);
    if (Status status = call(each, arguments); !status.ok()) return status;
  }
  return {};
}

// One tile from prepare to finish.
Status TiledRun::tile(Lane& lane) const {
  Status status;
  const BlockList& all = list_of(lane, lane.list, status);
  if (status.ok()) status = call(tiled_.prepare, lane.calls(index_).prepare);
  const bool carries = tiled_.recall.function && status.ok();
  const BlockList& list = carries ? carry(lane, all, status) : all;
  if (status.ok()) status = parts_ == 1 ? step(lane, list) : walk_parts(lane, list);
  return status.ok() ? finish(lane, list) : status;
}

Status TiledRun::step(Lane& lane, const BlockList& list) const {
  return walk(lane, list, tiled_.step, lane.calls(index_).step);
}

// What is left to do when the states are those of all blocks.
Status TiledRun::finish(Lane& lane, const BlockList& list) const {
  if (Status status = walk(lane, list, tiled_.revisit, lane.calls(index_).revisit); !status.ok())
    return status;
  if (tiled_.doubt >= 0)
    std::fill_n(static_cast<std::int32_t*>(lane.data(tiled_.doubt)),
                tiled_.members * tiled_.row_tile, 0);
  return call(tiled_.finish, lane.calls(index_).finish);
}

std::int64_t TiledRun::present_rows(const Lane& lane) const {
  return std::min<std::int64_t>(tiled_.row_tile, rows_ - lane.row);
}

// What `finish` says of the rows of a tile, if it says anything.
std::int32_t* TiledRun::marks_of(const Lane& lane, int member) const {
  if (tiled_.doubt < 0) return nullptr;
  return static_cast<std::int32_t*>(lane.data(tiled_.doubt)) + member * tiled_.row_tile;
}

bool TiledRun::is_doubted(const Lane& lane, int member) const {
  const std::int32_t* marks = marks_of(lane, member);
  return marks && std::any_of(marks, marks + tiled_.row_tile, is_doubt);
}

// Calls f(member), at the member's coordinate, while it says so.
template <class F>
void TiledRun::for_each_member(Lane& lane, const F& f) const {
  if (tiled_.shared < 0) {
    f(0);
    return;
  }
  const auto shared = static_cast<std::size_t>(tiled_.shared);
  const std::int64_t first = lane.coordinates[shared];
  const std::int64_t left = workspace_.symbol(tiled_.batch[shared]) - first;
  for (int n = 0; n < std::min<std::int64_t>(tiled_.members, left); ++n) {
    lane.coordinates[shared] = first + n;
    if (!f(n)) break;
  }
  lane.coordinates[shared] = first;
}

// The least trust in any row of the tile. Folds over the rows are not complete yet.
Trust TiledRun::trust_in_tile(Lane& lane) const {
  Trust least = Trust::whole;
  if (!checked_) return least;
  for_each_member(lane, [&](int member) {
    trust_rows_that_see_nothing(lane, member);
    const std::int64_t rows = present_rows(lane);
    crop_rows(lane, lane.row, rows);
    if (is_doubted(lane, member)) least = Trust::none;
    if (least == Trust::whole && is_spoilt(lane))
      for (std::int64_t row = 0; row < rows && least == Trust::whole; ++row)
        least = trust_in(lane, member, row);
    return least != Trust::none;
  });
  return least;
}

// No score of theirs was lost: there is none.
void TiledRun::trust_rows_that_see_nothing(Lane& lane, int member) const {
  if (tiled_.mask.visible.empty() || !is_doubted(lane, member)) return;
  std::optional<BlockLister> made;
  const BlockLister& lister =
      lister_ ? *lister_ : made.emplace(program_, tiled_, workspace_.symbols(), buffers_);
  const std::span coordinates(lane.coordinates.data(), tiled_.batch.size());
  std::int32_t* marks = marks_of(lane, member);
  for (int n = 0; n < tiled_.row_tile; ++n)
    if (marks[n] == Tiled::kDoubted && lister.sees_nothing(coordinates, lane.row + n))
      marks[n] = Tiled::kSeesNothing;
}

void TiledRun::crop_rows(Lane& lane, std::int64_t row, std::int64_t count) const {
  const Lane::Calls& calls = lane.calls(index_);
  for (std::size_t r = 0; r < tiled_.results.size(); ++r) {
    const Tiled::Result& result = tiled_.results[r];
    lane.reset_crop(calls, static_cast<int>(r), result.buffer);
    for (std::size_t d = 0; d < result.along.size(); ++d) {
      const int along = result.along[d];
      if (along == Tiled::kWhole) continue;
      std::int64_t first = 0, extent = columns_;
      if (along == Tiled::kRows) {
        first = row;
        extent = count;
      } else if (along != Tiled::kColumns) {
        first = lane.coordinates[static_cast<std::size_t>(along)];
        extent = 1;
      }
      lane.narrow(calls, static_cast<int>(r), static_cast<int>(d), first, extent);
    }
  }
}

// Members are of different elements of the batch: none is computed again for another's sake.
Status TiledRun::settle_tile(Lane& lane) const {
  if (!checked_) return {};
  Status status;
  for_each_member(lane, [&](int member) {
    status = settle_member(lane, member);
    return status.ok();
  });
  return status;
}

// True if the cropped rows hold anything that is not finite.
bool TiledRun::is_spoilt(Lane& lane, int of_nothing) const {
  return has_nonfinite(lane, lane.calls(index_), program_, step_, Results::of_each_row, of_nothing);
}

// -inf is right in results of maxima of which a row sees nothing.
Trust TiledRun::trust_in(Lane& lane, int member, std::int64_t row) const {
  const std::int32_t* marks = marks_of(lane, member);
  if (marks && is_doubt(marks[row])) return Trust::none;
  crop_rows(lane, lane.row + row, 1);
  return is_spoilt(lane, marks ? marks[row] : 0) ? Trust::finite : Trust::whole;
}

Status TiledRun::settle_member(Lane& lane, int member) const {
  const std::int64_t rows = present_rows(lane);
  crop_rows(lane, lane.row, rows);
  const bool finite = !is_spoilt(lane);
  trust_rows_that_see_nothing(lane, member);
  if (finite && !is_doubted(lane, member)) return {};
  Status status;
  for (std::int64_t row = 0; row < rows && status.ok();) {
    const std::int64_t first = row;
    const Trust trust = trust_in(lane, member, row++);
    while (row < rows && trust_in(lane, member, row) == trust) ++row;
    crop_rows(lane, lane.row + first, row - first);
    status = compute_again(lane, program_, index_, trust);
  }
  return status;
}

// All that the work of one accumulating item writes, or of it what is of columns that there are.
void TiledRun::crop_item(Lane& lane, bool with_room) const {
  const Lane::Calls& calls = lane.calls(index_);
  const std::vector<int>& results = workspace_.layout().results[static_cast<std::size_t>(index_)];
  for (std::size_t r = 0; r < results.size(); ++r) {
    lane.reset_crop(calls, static_cast<int>(r), results[r]);
    if (r >= tiled_.results.size()) continue;
    const std::vector<int>& along = tiled_.results[r].along;
    for (std::size_t d = 0; d < along.size(); ++d) {
      if (along[d] == Tiled::kColumns && !with_room)
        lane.narrow(calls, static_cast<int>(r), static_cast<int>(d), 0, columns_);
      if (along[d] < 0 || !independent()[static_cast<std::size_t>(along[d])]) continue;
      lane.narrow(calls, static_cast<int>(r), static_cast<int>(d),
                  lane.coordinates[static_cast<std::size_t>(along[d])], 1);
    }
  }
}

Status TiledRun::begin_item(Lane& lane) const {
  crop_item(lane, true);
  const std::vector<int>& results = workspace_.layout().results[static_cast<std::size_t>(index_)];
  for (const Tiled::Accumulator& sum : tiled_.accumulators) {
    const auto result = static_cast<int>(std::ranges::find(results, sum.buffer) - results.begin());
    fill(lane.crop(lane.calls(index_), result),
         program_.buffers[static_cast<std::size_t>(sum.buffer)].type, sum.value);
  }
  return {};
}

Status TiledRun::settle_item(Lane& lane, Trust rows) const {
  if (!checked_) return {};
  crop_item(lane, false);
  const bool folds_spoilt =
      has_nonfinite(lane, lane.calls(index_), program_, step_, Results::of_all_rows);
  return compute_again(lane, program_, index_, folds_spoilt ? std::min(rows, Trust::finite) : rows);
}

Status run_tiled(Workspace& workspace, int step, ThreadPool& pool) {
  const std::vector<Tiled::Result>& results =
      workspace.program().steps[static_cast<std::size_t>(step)].tiled()->results;
  const bool empty = std::ranges::all_of(results, [&](const Tiled::Result& result) {
    return workspace.buffer(result.buffer).elements == 0;
  });
  return empty ? Status{} : TiledRun(workspace, step).run(pool);
}

}  // namespace fovea::runtime
