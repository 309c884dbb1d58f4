#include "runtime/parts.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

namespace fovea::runtime {

namespace {

constexpr int kMostParts = 16;   // of all tiles of a batch element
constexpr int kEnoughTiles = 8;  // that threads need no parts
constexpr int kMostOrdered = 4;  // parts where the tiles run in order: each keeps its own states
constexpr double kPartWork = 150e3;           // below which a part is not worth a thread's while
constexpr std::size_t kMostMemory = 4 << 20;  // of a thread, for tiles whose parts are apart
constexpr std::size_t kAlignment = 64;        // of what is copied

std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

constexpr int kVector = 16;  // elements, of which compilers make a few instructions

template <class T, class Combine>
void combine_all(T* __restrict own, const T* __restrict other, std::int64_t count,
                 Combine combine) {
  std::int64_t left = count;
  for (; left >= kVector; left -= kVector, own += kVector, other += kVector)
    for (int n = 0; n < kVector; ++n) own[n] = combine(own[n], other[n]);
  for (int n = 0; n < left; ++n) own[n] = combine(own[n], other[n]);
}

// A loop for each kind: with the choice inside, compilers make none of them a vector's.
template <class T>
void fold_all(Tiled::State::Fold kind, std::byte* into, const std::byte* from, std::int64_t count) {
  T* const own = reinterpret_cast<T*>(into);
  const T* const other = reinterpret_cast<const T*>(from);
  const auto is_nan = [](T x) {
    if constexpr (std::is_floating_point_v<T>) return std::isnan(x);
    return false;
  };
  switch (kind) {
    case Tiled::State::Fold::sum:
      return combine_all(own, other, count, [](T a, T b) { return static_cast<T>(a + b); });
    case Tiled::State::Fold::max:
      return combine_all(own, other, count, [&](T a, T b) { return b > a || is_nan(b) ? b : a; });
    case Tiled::State::Fold::min:
      return combine_all(own, other, count, [&](T a, T b) { return b < a || is_nan(b) ? b : a; });
  }
}

// Weights below 2^-100 are none, as in compiled steps.
float weight(float x) { return x < -100.0F ? 0.0F : std::exp2(x); }

}  // namespace

double tile_work(const Tiled& tiled, std::int64_t rows, std::int64_t columns) {
  const double tall = static_cast<double>(std::min<std::int64_t>(rows, tiled.row_tile));
  return tall * static_cast<double>(columns) * tiled.members * tiled.pair_work;
}

int parts_of(const Tiled& tiled, std::int64_t rows, std::int64_t columns) {
  const bool ordered = !tiled.accumulators.empty();
  if (rows < 1 || columns < 1 || tiled.recall.function || (!ordered && tiled.states.empty()))
    return 1;
  const std::int64_t tiles = (rows + tiled.row_tile - 1) / tiled.row_tile;
  const std::int64_t blocks = (columns + tiled.column_block - 1) / tiled.column_block;
  if (!ordered && tiles >= kEnoughTiles) return 1;
  const std::int64_t most = ordered ? kMostOrdered : kMostParts / tiles;
  // Tiles in order are one walk.
  const double work =
      tile_work(tiled, rows, columns) * (ordered ? static_cast<double>(tiles) : 1.0);
  const auto worth = static_cast<std::int64_t>(std::min(work / kPartWork, 1e6));
  return static_cast<int>(std::bit_floor(
      static_cast<std::uint64_t>(std::max<std::int64_t>(std::min({most, blocks, worth}), 1))));
}

bool goes_apart(int parts, std::int64_t chains, int threads) {
  return parts > 1 && threads > 1 && chains < 2 * std::int64_t{threads};
}

std::int64_t tiles_at_once(int parts, std::size_t prepared, std::size_t states, int threads,
                           std::int64_t wanted) {
  const std::size_t each = prepared + static_cast<std::size_t>(parts) * states;
  const std::size_t room = kMostMemory * static_cast<std::size_t>(threads);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(room / std::max<std::size_t>(each, 1)),
                                  1, std::max<std::int64_t>(wanted, 1));
}

void take_part(const BlockList& list, int part, int parts, BlockList& into) {
  into.blocks.clear();
  into.clear = 0;
  for (std::size_t n = 0; n < list.blocks.size(); ++n) {
    if (list.blocks[n] % parts != part) continue;
    into.blocks.push_back(list.blocks[n]);
    if (static_cast<int>(n) < list.clear) ++into.clear;
  }
}

TileMemory::TileMemory(const Workspace& workspace, const Tiled& tiled)
    : workspace_(workspace), tiled_(tiled) {
  for (const Tiled::State& state : tiled.states)
    state_bytes_ += aligned(workspace.buffer(state.buffer).bytes);
  bytes_ = state_bytes_;
  for (const int buffer : tiled.packed) bytes_ += aligned(workspace.buffer(buffer).bytes);
}

void TileMemory::save_states(const Lane& lane, std::byte* to) const {
  for (const Tiled::State& state : tiled_.states) {
    const std::size_t bytes = workspace_.buffer(state.buffer).bytes;
    std::memcpy(to, lane.data(state.buffer), bytes);
    to += aligned(bytes);
  }
}

void TileMemory::load_states(const Lane& lane, const std::byte* from) const {
  for (const Tiled::State& state : tiled_.states) {
    const std::size_t bytes = workspace_.buffer(state.buffer).bytes;
    std::memcpy(lane.data(state.buffer), from, bytes);
    from += aligned(bytes);
  }
}

void TileMemory::save(const Lane& lane, std::byte* to) const {
  save_states(lane, to);
  to += state_bytes_;
  for (const int buffer : tiled_.packed) {
    const std::size_t bytes = workspace_.buffer(buffer).bytes;
    std::memcpy(to, lane.data(buffer), bytes);
    to += aligned(bytes);
  }
}

void TileMemory::load(const Lane& lane, const std::byte* from) const {
  load_states(lane, from);
  from += state_bytes_;
  for (const int buffer : tiled_.packed) {
    const std::size_t bytes = workspace_.buffer(buffer).bytes;
    std::memcpy(lane.data(buffer), from, bytes);
    from += aligned(bytes);
  }
}

// What follows a maximum first, by the maxima of both as they were.
void TileMemory::merge(std::byte* into, const std::byte* part) const {
  for (const bool following : {true, false}) {
    std::size_t at = 0;
    for (const Tiled::State& state : tiled_.states) {
      if (following && state.follows >= 0) follow(state, at, into, part);
      if (!following && state.follows < 0) fold(state, into + at, part + at);
      at += aligned(workspace_.buffer(state.buffer).bytes);
    }
  }
}

void TileMemory::fold(const Tiled::State& state, std::byte* own, const std::byte* other) const {
  const std::int64_t count = workspace_.buffer(state.buffer).elements;
  switch (workspace_.program().buffers[static_cast<std::size_t>(state.buffer)].type) {
    case Dtype::F32: return fold_all<float>(state.fold, own, other, count);
    case Dtype::I32: return fold_all<std::int32_t>(state.fold, own, other, count);
    default: return fold_all<std::uint8_t>(state.fold, own, other, count);
  }
}

void TileMemory::follow(const Tiled::State& state, std::size_t at, std::byte* into,
                        const std::byte* part) const {
  std::size_t maximum = 0;  // where it lies
  for (int n = 0; n < state.follows; ++n)
    maximum += aligned(workspace_.buffer(tiled_.states[static_cast<std::size_t>(n)].buffer).bytes);
  const auto* own_maximum = reinterpret_cast<const float*>(into + maximum);
  const auto* part_maximum = reinterpret_cast<const float*>(part + maximum);
  auto* own = reinterpret_cast<float*>(into + at);
  const auto* other = reinterpret_cast<const float*>(part + at);
  // Runs of elements that have the same maximum: over the dimensions that it lacks at the end.
  const std::vector<std::int64_t>& shape = workspace_.buffer(state.buffer).shape;
  std::size_t dims = shape.size();
  std::int64_t length = 1, runs = 1;
  while (dims > 0 &&
         std::ranges::find(state.along, static_cast<int>(dims) - 1) == state.along.end())
    length *= shape[--dims];
  for (std::size_t d = 0; d < dims; ++d) runs *= shape[d];
  for (std::int64_t run = 0; run < runs; ++run, own += length, other += length) {
    const std::int64_t m = index_in_maximum(state, run, dims);
    const float a = own_maximum[m], b = part_maximum[m], both = b > a ? b : a;
    const float keep = weight((a - both) * state.scale), take = weight((b - both) * state.scale);
    combine_all(own, other, length, [=](float x, float y) { return x * keep + y * take; });
  }
}

// Of a run's coordinates along the first `dims` dimensions, those that the maximum has.
std::int64_t TileMemory::index_in_maximum(const Tiled::State& state, std::int64_t run,
                                          std::size_t dims) const {
  const std::vector<std::int64_t>& shape = workspace_.buffer(state.buffer).shape;
  std::int64_t at = 0;
  for (std::size_t d = dims; d-- > 0; run /= shape[d]) {
    std::int64_t stride = 1;
    for (std::size_t m = state.along.size(); m-- > 0;) {
      const auto along = static_cast<std::size_t>(state.along[m]);
      if (along == d) at += run % shape[d] * stride;
      stride *= shape[along];
    }
  }
  return at;
}

}  // namespace fovea::runtime
