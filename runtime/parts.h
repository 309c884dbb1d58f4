// runtime/parts.h — parts of a tile's columns that are walked apart.
//
// Where a batch element has few tiles, or all of them add to the same columns, threads share its
// column blocks: part p of P has the blocks b with b % P == p. The states that parts leave become
// one in the order of p. P depends on extents only, never on threads or on the batch: no bit of a
// result does.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/block_list.h"
#include "runtime/workspace.h"

namespace fovea::runtime {

// Into how many parts the tiles of a step are cut: 1, or a power of two.
int parts_of(const Tiled& tiled, std::int64_t rows, std::int64_t columns);

// Whether threads share tiles rather than take chains of tiles that run in order each.
bool goes_apart(int parts, std::int64_t chains, int threads);

// For how many tiles, up to `wanted` and at least one, there is room at once: each takes what
// prepare leaves and the states of all its parts.
std::int64_t tiles_at_once(int parts, std::size_t prepared, std::size_t states, int threads,
                           std::int64_t wanted);

// Cycles or so that one tile takes, with all members of a shared axis.
double tile_work(const Tiled& tiled, std::int64_t rows, std::int64_t columns);

// The blocks of one part, in the order of the list.
void take_part(const BlockList& list, int part, int parts, BlockList& into);

// What of a tile lies in scratch, copied to memory and back: its states, one after the other, then
// what else prepare wrote.
class TileMemory {
 public:
  TileMemory(const Workspace& workspace, const Tiled& tiled);
  std::size_t state_bytes() const { return state_bytes_; }
  std::size_t bytes() const { return bytes_; }
  void save_states(const Lane& lane, std::byte* to) const;
  void load_states(const Lane& lane, const std::byte* from) const;
  void save(const Lane& lane, std::byte* to) const;
  void load(const Lane& lane, const std::byte* from) const;
  // Adds states that one part left to those that another did, both as save_states writes them.
  void merge(std::byte* into, const std::byte* part) const;

 private:
  std::int64_t index_in_maximum(const Tiled::State& state, std::int64_t run,
                                std::size_t dims) const;
  // Of a state that lies so far into the memory of each.
  void follow(const Tiled::State& state, std::size_t at, std::byte* into,
              const std::byte* part) const;
  void fold(const Tiled::State& state, std::byte* own, const std::byte* other) const;

  const Workspace& workspace_;
  const Tiled& tiled_;
  std::size_t state_bytes_ = 0, bytes_ = 0;
};

}  // namespace fovea::runtime
