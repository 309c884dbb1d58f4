// runtime/tiled_run.h — one run of a Tiled step, shared by its lanes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/block_list.h"
#include "runtime/parts.h"
#include "runtime/steps.h"

namespace fovea::runtime {

class TiledRun {
 public:
  TiledRun(Workspace& workspace, int index);
  Status run(ThreadPool& pool);

 private:
  // Tiles whose parts lanes walk at the same time: chains of `length` tiles, each chain in order.
  struct Band {
    std::int64_t first = 0, chains = 0;  // tiles, or coordinates of accumulators
    std::int64_t in_order = 0;  // of accumulators: the coordinate along which they do not run
    std::int64_t row_tile = 0;  // and the first tile of rows
    std::int64_t length = 1;
  };

  Status run_tiles(ThreadPool& pool);
  Status run_carrying(ThreadPool& pool);
  Status run_accumulating(ThreadPool& pool);

  // --- batch coordinates and rows

  std::int64_t count_of(std::size_t n) const;
  std::int64_t set_coordinate(Lane& lane, std::size_t n, std::int64_t number) const;
  void enter_tile(Lane& lane, std::int64_t item) const;
  void enter_batch(Lane& lane, std::int64_t number, bool independent) const;

  // --- one tile on one lane

  Status call(const Call& call, const std::vector<void*>& arguments) const;
  const BlockList& list_of(Lane& lane, BlockList& into, Status& status) const;
  void count_visits(Lane& lane, const BlockList& list) const;
  const BlockList& carry(Lane& lane, const BlockList& list, Status& status) const;
  Status walk(Lane& lane, const BlockList& list, const Call& each,
              const std::vector<void*>& arguments) const;
  Status step(Lane& lane, const BlockList& list) const;
  Status walk_parts(Lane& lane, const BlockList& list) const;
  Status tile(Lane& lane) const;
  Status finish(Lane& lane, const BlockList& list) const;

  // --- parts of tiles on several lanes

  bool is_apart(std::int64_t chains, std::int64_t tiles) const;
  std::int64_t fitting(std::int64_t wanted) const;
  void enter(Lane& lane, const Band& band, std::int64_t chain, std::int64_t n) const;
  Status run_apart(ThreadPool& pool, const Band& band);
  void join(Lane& lane, const BlockList& list, const std::byte* prepared, std::byte* parts) const;

  // --- results that are to be computed again

  std::int32_t* marks_of(const Lane& lane, int member) const;
  bool is_doubted(const Lane& lane, int member) const;
  Trust trust_in_tile(Lane& lane) const;
  template <class F>
  void for_each_member(Lane& lane, const F& f) const;
  std::int64_t present_rows(const Lane& lane) const;
  bool is_spoilt(Lane& lane, int of_nothing = 0) const;
  void trust_rows_that_see_nothing(Lane& lane, int member) const;
  void crop_rows(Lane& lane, std::int64_t row, std::int64_t count) const;
  void crop_item(Lane& lane, bool with_room) const;
  Status settle_tile(Lane& lane) const;
  Trust trust_in(Lane& lane, int member, std::int64_t row) const;
  Status settle_member(Lane& lane, int member) const;
  Status begin_item(Lane& lane) const;
  Status settle_item(Lane& lane, Trust rows) const;

  const std::vector<bool>& independent() const;

  Workspace& workspace_;
  const Program& program_;
  const int index_;
  const Step& step_;
  const Tiled& tiled_;
  const std::int64_t rows_, columns_, row_tiles_;
  const bool checked_;
  const int parts_;
  const TileMemory memory_;  // of a tile in parts
  bool worth_waking_ = false;
  std::int64_t blocks_ = 0;
  const BlockList* all_ = nullptr;
  std::span<const BufferRef> buffers_;  // of steps with a mask
  std::optional<BlockLister> lister_;
};

}  // namespace fovea::runtime
