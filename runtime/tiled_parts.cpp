// Walks parts of tiles and joins what they leave (runtime/tiled_run.h).
#include <algorithm>

#include "runtime/tiled_run.h"

namespace fovea::runtime {

namespace {

bool has_part(const BlockList& list, int part, int parts) {
  return std::ranges::any_of(list.blocks, [&](int block) { return block % parts == part; });
}

Status no_memory() { return {Code::input_too_large, "no memory for the parts of a tile"}; }

}  // namespace

// Threads that find enough chains of tiles to walk need not share any.
bool TiledRun::is_apart(std::int64_t chains, std::int64_t tiles) const {
  return worth_waking_ && tiles > 0 && goes_apart(parts_, chains, workspace_.threads());
}

std::int64_t TiledRun::fitting(std::int64_t wanted) const {
  return tiles_at_once(parts_, memory_.bytes(), memory_.state_bytes(), workspace_.threads(),
                       wanted);
}

// All parts of a prepared tile, one after the other. In the spare memory: the states as they begin,
// then those of all parts so far.
Status TiledRun::walk_parts(Lane& lane, const BlockList& list) const {
  const std::size_t each = memory_.state_bytes();
  if (!lane.spare.reserve(3 * each)) return no_memory();
  std::byte *const begin = lane.spare.data(), *const all = begin + each, *const here = all + each;
  memory_.save_states(lane, begin);
  bool any = false;
  for (int part = 0; part < parts_; ++part) {
    take_part(list, part, parts_, lane.part);
    if (lane.part.blocks.empty()) continue;
    if (any) memory_.load_states(lane, begin);
    if (Status status = step(lane, lane.part); !status.ok()) return status;
    memory_.save_states(lane, any ? here : all);
    if (any) memory_.merge(all, here);
    any = true;
  }
  if (any) memory_.load_states(lane, all);
  return {};
}

// The lane's states become those of all parts together.
void TiledRun::join(Lane& lane, const BlockList& list, const std::byte* prepared,
                    std::byte* parts) const {
  std::byte* all = nullptr;
  for (int part = 0; part < parts_; ++part) {
    if (!has_part(list, part, parts_)) continue;
    std::byte* const states = parts + static_cast<std::size_t>(part) * memory_.state_bytes();
    if (all)
      memory_.merge(all, states);
    else
      all = states;
  }
  memory_.load_states(lane, all ? all : prepared);
}

void TiledRun::enter(Lane& lane, const Band& band, std::int64_t chain, std::int64_t n) const {
  if (tiled_.accumulators.empty()) return enter_tile(lane, band.first + chain);
  enter_batch(lane, chain, true);
  enter_batch(lane, band.in_order, false);
  lane.row = static_cast<std::int32_t>((band.row_tile + n) * tiled_.row_tile);
}

// First every tile is prepared, then lanes take parts of chains, then every tile is joined. What of
// a chain's tiles is added to the same columns stays within a part, and so in order.
Status TiledRun::run_apart(ThreadPool& pool, const Band& band) {
  Workspace::Apart& apart = workspace_.apart();
  const std::int64_t tiles = band.chains * band.length;
  const std::size_t whole = memory_.bytes(), each = memory_.state_bytes();
  const auto parts = static_cast<std::size_t>(parts_);
  if (!apart.memory.reserve(static_cast<std::size_t>(tiles) * (whole + parts * each)))
    return no_memory();
  if (apart.lists.size() < static_cast<std::size_t>(tiles))
    apart.lists.resize(static_cast<std::size_t>(tiles));
  apart.tile_trust.assign(static_cast<std::size_t>(tiles), Trust::whole);
  const auto prepared = [&](std::int64_t tile) {
    return apart.memory.data() + static_cast<std::size_t>(tile) * (whole + parts * each);
  };
  const auto list = [&](std::int64_t tile) -> const BlockList& {
    return all_ ? *all_ : apart.lists[static_cast<std::size_t>(tile)];
  };
  const auto prepare = [&](Lane& lane, std::int64_t tile) -> Status {
    enter(lane, band, tile / band.length, tile % band.length);
    Status status;
    list_of(lane, apart.lists[static_cast<std::size_t>(tile)], status);
    if (status.ok()) status = call(tiled_.prepare, lane.calls(index_).prepare);
    if (status.ok()) memory_.save(lane, prepared(tile));
    return status;
  };
  const auto walk_part = [&](Lane& lane, std::int64_t item) -> Status {
    const auto part = static_cast<int>(item % parts_);
    for (std::int64_t n = 0; n < band.length; ++n) {
      const std::int64_t tile = item / parts_ * band.length + n;
      take_part(list(tile), part, parts_, lane.part);
      if (lane.part.blocks.empty()) continue;
      enter(lane, band, item / parts_, n);
      memory_.load(lane, prepared(tile));
      if (Status status = step(lane, lane.part); !status.ok()) return status;
      memory_.save_states(lane, prepared(tile) + whole + static_cast<std::size_t>(part) * each);
    }
    return {};
  };
  const auto join_tile = [&](Lane& lane, std::int64_t tile) -> Status {
    enter(lane, band, tile / band.length, tile % band.length);
    if (tiled_.revisit.function) memory_.load(lane, prepared(tile));
    join(lane, list(tile), prepared(tile), prepared(tile) + whole);
    if (Status status = finish(lane, list(tile)); !status.ok()) return status;
    if (tiled_.accumulators.empty()) return settle_tile(lane);
    apart.tile_trust[static_cast<std::size_t>(tile)] = trust_in_tile(lane);
    return {};
  };
  Status status = for_each_item(workspace_, pool, tiles, true, prepare);
  if (status.ok()) status = for_each_item(workspace_, pool, band.chains * parts_, true, walk_part);
  if (status.ok()) status = for_each_item(workspace_, pool, tiles, true, join_tile);
  return status;
}

}  // namespace fovea::runtime
