#include <HalideRuntime.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "runtime/steps.h"

namespace fovea::runtime {

namespace {

// Pairs of the plane that are worth waking threads for.
constexpr double kWorthWaking = 1 << 14;

// One run of a Tiled step, shared by its lanes.
class TiledRun {
 public:
  TiledRun(Workspace& workspace, int index)
      : workspace_(workspace),
        program_(workspace.program()),
        index_(index),
        step_(program_.steps[static_cast<std::size_t>(index)]),
        tiled_(step_.tiled),
        rows_(workspace.symbol(tiled_.rows)),
        row_tiles_((rows_ + tiled_.row_tile - 1) / tiled_.row_tile),
        checked_(step_.exact.function || program_.exact) {
    const std::int64_t columns = workspace.symbol(tiled_.columns);
    const std::int64_t blocks = (columns + tiled_.column_block - 1) / tiled_.column_block;
    if (tiled_.mask.visible.empty() && tiled_.mask.solid.empty()) {
      all_ = &workspace.all_blocks(blocks);
    } else {
      lister_.emplace(program_, tiled_, workspace.symbols(), workspace.references());
      blocks_ = blocks;
    }
    // Only weighed, so a plane beyond 64 bits is no overflow.
    pairs_ = static_cast<double>(rows_) * static_cast<double>(columns);
  }

  Status run(ThreadPool& pool) {
    if (!tiled_.accumulators.empty()) return run_accumulating(pool);
    if (tiled_.recall.function) return run_carrying(pool);
    std::int64_t coordinates = 1;
    for (const int symbol : tiled_.batch) coordinates *= workspace_.symbol(symbol);
    const std::int64_t items = coordinates * row_tiles_;
    const bool worth_waking = pairs_ * static_cast<double>(coordinates) >= kWorthWaking;
    const auto body = [&](Lane& lane, std::int64_t item) -> Status {
      const std::int64_t row = item % row_tiles_ * tiled_.row_tile;
      set_coordinates(lane, item / row_tiles_);
      return checked_tile(lane, row);
    };
    return for_each_item(workspace_, pool, items, worth_waking, body);
  }

 private:
  // The tiles of a batch coordinate in order, with what later rows see too in a state.
  Status run_carrying(ThreadPool& pool) {
    std::int64_t coordinates = 1;
    for (const int symbol : tiled_.batch) coordinates *= workspace_.symbol(symbol);
    const auto body = [&](Lane& lane, std::int64_t item) -> Status {
      set_coordinates(lane, item);
      for (const int buffer : tiled_.carried)
        std::memset(lane.data(buffer), 0, workspace_.buffer(buffer).bytes);
      lane.absorbed.assign(static_cast<std::size_t>(blocks_), 0);
      lane.from = -1;
      Status status;
      for (std::int64_t row = 0; row < rows_ && status.ok(); row += tiled_.row_tile)
        status = checked_tile(lane, row);
      return status;
    };
    return for_each_item(workspace_, pool, coordinates,
                         static_cast<double>(rows_) * static_cast<double>(coordinates) *
                                 tiled_.column_block >= kWorthWaking, body);
  }

  Status checked_tile(Lane& lane, std::int64_t row) const {
    Doubt doubt;
    if (Status status = tile(lane, row, doubt); !status.ok()) return status;
    if (!checked_) return {};
    crop_rows(lane, row, std::min<std::int64_t>(tiled_.row_tile, rows_ - row));
    if (has_nonfinite(lane, lane.calls(index_), program_, step_)) return again(lane);
    if (!doubt.any()) return {};
    crop_rows(lane, row + doubt.first, doubt.last + 1 - doubt.first);
    return again(lane);
  }

  void set_coordinates(Lane& lane, std::int64_t number) const {
    for (std::size_t n = tiled_.batch.size(); n-- > 0;) number = set_coordinate(lane, n, number);
  }

  // Brings the state up to this tile and adds it to what the tile begins with. The blocks that are
  // left to be stepped over.
  const BlockList& carry(Lane& lane, const Lane::Calls& calls, const BlockList& list,
                         Status& status) const {
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

  // Takes one coordinate off a running number and returns the rest.
  std::int64_t set_coordinate(Lane& lane, std::size_t n, std::int64_t number) const {
    const std::int64_t extent = workspace_.symbol(tiled_.batch[n]);
    lane.coordinates[n] = number % extent;
    lane.batch[n] = static_cast<std::int32_t>(lane.coordinates[n]);
    return number / extent;
  }

  Status call(const Call& call, const std::vector<void*>& arguments) const {
    if (!call.function) return {};
    const int code = call.function(const_cast<void**>(arguments.data()));
    return code == 0 ? Status{}
                     : failure(Code::internal, "step '", step_.name, "' returned ", code);
  }

  const BlockList& list_of(Lane& lane, const Lane::Calls& calls, std::int64_t row,
                           Status& status) const {
    if (all_) return *all_;
    const auto evaluate = [&](std::uint8_t* any, std::uint8_t* all) {
      lane.set_decisions(any, all, static_cast<std::int32_t>(blocks_));
      status = call(tiled_.mask.evaluate, calls.evaluate);
    };
    const std::span coordinates(lane.coordinates.data(), tiled_.batch.size());
    lister_->list(coordinates, row, Evaluate(evaluate), lane.list);
    return lane.list;
  }

  // Rows of a tile whose results are not to be trusted though they are finite.
  struct Doubt {
    int first = 0, last = -1;
    bool any() const { return first <= last; }
  };

  Doubt doubt_of(const std::int32_t* rows) const {
    Doubt doubt;
    for (int n = 0; n < tiled_.row_tile; ++n) {
      if (rows[n] == 0) continue;
      if (!doubt.any()) doubt.first = n;
      doubt.last = n;
    }
    return doubt;
  }

  // One tile from prepare to finish.
  Status tile(Lane& lane, std::int64_t row, Doubt& doubt) const {
    const Lane::Calls& calls = lane.calls(index_);
    lane.row = static_cast<std::int32_t>(row);
    auto* doubted =
        tiled_.doubt >= 0 ? static_cast<std::int32_t*>(lane.data(tiled_.doubt)) : nullptr;
    if (doubted) std::fill_n(doubted, tiled_.row_tile, 0);
    Status status;
    const BlockList& all = list_of(lane, calls, row, status);
    if (status.ok()) status = call(tiled_.prepare, calls.prepare);
    const bool carries = tiled_.recall.function && status.ok();
    const BlockList& list = carries ? carry(lane, calls, all, status) : all;
    const auto count = static_cast<int>(list.blocks.size());
    for (int first = 0; first < count && status.ok(); first += tiled_.chunk) {
      lane.here = std::min(tiled_.chunk, count - first);
      lane.clear = std::clamp(list.clear - first, 0, lane.here);
      lane.set_blocks(list.blocks.data() + first, lane.here);
      status = call(tiled_.step, calls.step);
    }
    if (status.ok()) status = call(tiled_.finish, calls.finish);
    if (doubted) doubt = doubt_of(doubted);
    return status;
  }

  void crop_rows(Lane& lane, std::int64_t row, std::int64_t count) const {
    const Lane::Calls& calls = lane.calls(index_);
    for (std::size_t r = 0; r < tiled_.results.size(); ++r) {
      const Tiled::Result& result = tiled_.results[r];
      lane.reset_crop(calls, static_cast<int>(r), result.buffer);
      for (std::size_t d = 0; d < result.along.size(); ++d) {
        const int along = result.along[d];
        const bool rows = along == Tiled::kRows;
        if (along == Tiled::kWhole) continue;
        lane.narrow(calls, static_cast<int>(r), static_cast<int>(d),
                    rows ? row : lane.coordinates[static_cast<std::size_t>(along)],
                    rows ? count : 1);
      }
    }
  }

  // Computes the crops again, exactly.
  Status again(Lane& lane) const {
    const Call* exact = exact_form(program_, index_);
    return exact ? lane.call_exact(*exact, index_) : Status{};
  }

  // All that the work of one accumulating item writes.
  void crop_item(Lane& lane, const std::vector<bool>& independent) const {
    const Lane::Calls& calls = lane.calls(index_);
    const std::vector<int>& results = workspace_.layout().results[static_cast<std::size_t>(index_)];
    for (std::size_t r = 0; r < results.size(); ++r) {
      lane.reset_crop(calls, static_cast<int>(r), results[r]);
      if (r >= tiled_.results.size()) continue;
      const std::vector<int>& along = tiled_.results[r].along;
      for (std::size_t d = 0; d < along.size(); ++d) {
        if (along[d] < 0 || !independent[static_cast<std::size_t>(along[d])]) continue;
        lane.narrow(calls, static_cast<int>(r), static_cast<int>(d),
                    lane.coordinates[static_cast<std::size_t>(along[d])], 1);
      }
    }
  }

  Status run_accumulating(ThreadPool& pool) {
    const Layout& layout = workspace_.layout();
    const std::vector<bool>& independent = layout.independent[static_cast<std::size_t>(index_)];
    const std::vector<int>& results = layout.results[static_cast<std::size_t>(index_)];
    std::int64_t items = 1, in_order = 1;
    for (std::size_t n = 0; n < independent.size(); ++n) {
      (independent[n] ? items : in_order) *= workspace_.symbol(tiled_.batch[n]);
    }
    const auto body = [&](Lane& lane, std::int64_t item) -> Status {
      for (std::size_t n = independent.size(); n-- > 0;) {
        if (independent[n]) item = set_coordinate(lane, n, item);
      }
      crop_item(lane, independent);
      for (const Tiled::Accumulator& sum : tiled_.accumulators) {
        const auto result =
            static_cast<int>(std::ranges::find(results, sum.buffer) - results.begin());
        fill(lane.crop(lane.calls(index_), result),
             program_.buffers[static_cast<std::size_t>(sum.buffer)].type, sum.value);
      }
      bool any_doubt = false;
      for (std::int64_t each = 0; each < in_order; ++each) {
        std::int64_t number = each;
        for (std::size_t n = independent.size(); n-- > 0;) {
          if (!independent[n]) number = set_coordinate(lane, n, number);
        }
        for (std::int64_t row = 0; row < rows_; row += tiled_.row_tile) {
          Doubt doubt;
          if (Status status = tile(lane, row, doubt); !status.ok()) return status;
          any_doubt |= doubt.any();
        }
      }
      if (!checked_) return {};
      const bool trusted = !any_doubt && !has_nonfinite(lane, lane.calls(index_), program_, step_);
      return trusted ? Status{} : again(lane);
    };
    return for_each_item(workspace_, pool, items,
                         pairs_ * static_cast<double>(items * in_order) >= kWorthWaking, body);
  }

  Workspace& workspace_;
  const Program& program_;
  const int index_;
  const Step& step_;
  const Tiled& tiled_;
  const std::int64_t rows_, row_tiles_;
  const bool checked_;
  double pairs_ = 0;
  std::int64_t blocks_ = 0;
  const BlockList* all_ = nullptr;
  std::optional<BlockLister> lister_;
};

}  // namespace

Status run_tiled(Workspace& workspace, int step, ThreadPool& pool) {
  const std::vector<Tiled::Result>& results =
      workspace.program().steps[static_cast<std::size_t>(step)].tiled.results;
  const bool empty = std::ranges::all_of(results, [&](const Tiled::Result& result) {
    return workspace.buffer(result.buffer).elements == 0;
  });
  return empty ? Status{} : TiledRun(workspace, step).run(pool);
}

}  // namespace fovea::runtime
