// runtime/workspace.h — everything that one run changes. Kept between runs: a run with the shapes
// of an earlier one only exchanges pointers, and allocates nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/block_list.h"
#include "runtime/layout.h"
#include "runtime/memory.h"
#include "runtime/status.h"
#include "runtime/view.h"

struct halide_buffer_t;
struct halide_dimension_t;

namespace fovea::runtime {

// More elements than any machine has room for; sums of their bytes over all buffers are no
// overflow.
constexpr std::int64_t kMostElements = std::int64_t{1} << 48;

// A buffer in this run.
struct Extents {
  std::vector<std::int64_t> shape;  // in elements, slowest first
  std::int64_t elements = 0;
  // Of an empty tensor, kernels may read what a condition beside it hides, in its first row: the
  // fastest dimensions up to the first whose extent is not in the text. There is room for it.
  std::size_t row_rank = 0;
  std::size_t bytes = 0;
  void* data = nullptr;       // of scratch: in the first lane
  std::size_t lane_step = 0;  // of scratch: from one lane to the next
};

// A tensor of the caller's, in the order in which they came.
struct Bound {
  int buffer = -1;
  std::vector<std::int64_t> shape, strides;  // as given; the key of this workspace
  std::vector<std::int64_t> stored_shape, stored_strides, dense_strides;  // i4 as bytes
  bool dense = true;
  std::int64_t elements = 0;
  std::int64_t low = 0, high = 0;  // bytes that it may touch, relative to its pointer
  void* data = nullptr;            // of this run
};

// How far results are right: not at all, where they are finite, or as they are.
enum class Trust : std::uint8_t { none, finite, whole };

class Workspace;

// What one thread needs to call functions: descriptors of all buffers and arrays of pointers to
// them. Made once; later only numbers in it change.
class alignas(128) Lane {
 public:
  Lane(const Program& program, const Workspace& workspace, int index);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // Arguments of one step; results of Plain steps are the crops.
  struct Calls {
    std::vector<void*> prepare, step, revisit, finish, evaluate, absorb, recall;
    int first_crop = 0;  // of the results
  };

  // Brings the descriptors up to date with the workspace.
  void refresh();
  halide_buffer_t& crop(const Calls& calls, int result);
  // The crop of a result becomes all of the buffer, then is narrowed along dimensions, slowest
  // first.
  void reset_crop(const Calls& calls, int result, int buffer);
  void narrow(const Calls& calls, int result, int dimension, std::int64_t first,
              std::int64_t count);
  void set_blocks(const std::int32_t* blocks, std::int32_t here);
  void set_decisions(std::uint8_t* any, std::uint8_t* all, std::int32_t blocks);
  // Calls with buffers and sizes only; the step's results are the crops.
  Status call_exact(const Call& call, int step);
  // The same, but what is finite in the crops stays.
  Status call_exact_but_for_finite(const Call& call, int step);
  const Calls& calls(int step) const { return calls_[static_cast<std::size_t>(step)]; }
  void* data(int buffer) const;

  Status status;         // of the work this lane did
  BlockList list, part;  // of the tile, and of a part of its columns
  Visits visits;         // since they were last taken, if they are counted
  Arena spare;           // states of parts, where one lane walks all of them
  // Of a step that carries a state: which blocks are in it, and those of a tile that are not yet,
  // or never will be.
  std::vector<std::uint8_t> absorbed;
  BlockList fresh, rest;
  std::vector<std::int64_t> coordinates;  // of the batch
  std::vector<std::int32_t> batch;        // the same for functions
  std::int32_t row = 0, here = 0, clear = 0;
  std::int32_t from = 0;  // the row that the state is relative to; below 0: it is empty

 private:
  struct Description {
    Dtype type;
    std::size_t rank;
  };
  void make_descriptors(std::span<const Description> wanted);
  void point_all(const Step& step, Calls& calls);
  void point(const Call& call, const std::vector<int>& cropped, int first_crop,
             std::vector<void*>& into);
  halide_buffer_t& descriptor(int index);
  void describe(int buffer);

  const Program& program_;
  const Workspace& workspace_;
  int index_ = 0,
      blocks_ = 0;  // the descriptors of blocks, any and all follow those of the program
  std::uint64_t shapes_version_ = 0, data_version_ = 0;
  std::vector<halide_buffer_t> descriptors_;
  std::vector<halide_dimension_t> dims_;
  std::vector<Calls> calls_;
  std::vector<void*> exact_;
};

class Workspace {
 public:
  Workspace(const Program& program, const Layout& layout, int threads);

  // Whether it was planned for exactly these names, types, shapes, strides and sizes.
  bool matches(std::span<const Binding> bindings, std::span<const NamedSize> sizes,
               int threads) const;
  // Checks names, types, shapes and sizes, resolves extents and finds memory.
  Status plan(std::span<const Binding> bindings, std::span<const NamedSize> sizes);
  // Takes the pointers of this run and checks them.
  Status bind(std::span<const Binding> bindings);
  // Resolves the ragged extents that begin `phase`, and what needs them.
  Status begin_phase(int phase);
  // Copies inputs that are not dense, those whose extents this phase settled.
  void gather(int phase) const;
  // Copies outputs that are not dense to where the caller wants them.
  void deliver() const;

  const Program& program() const { return program_; }
  const Layout& layout() const { return layout_; }
  int threads() const { return static_cast<int>(lanes_.size()); }
  Lane& lane(int index) { return *lanes_[static_cast<std::size_t>(index)]; }
  const Extents& buffer(int index) const { return buffers_[static_cast<std::size_t>(index)]; }
  std::int64_t symbol(int index) const { return symbols_[static_cast<std::size_t>(index)]; }
  std::span<const std::int64_t> symbols() const { return symbols_; }
  const std::int32_t& number(int symbol) const {
    return numbers_[static_cast<std::size_t>(symbol)];
  }
  std::span<const Bound> bound() const { return bound_; }
  std::uint64_t shapes_version() const { return shapes_version_; }
  std::uint64_t data_version() const { return data_version_; }
  // 0, 1, 2, … : the list of a tile that sees all blocks, with the mask or without.
  const BlockList& all_blocks(std::int64_t count, bool masked);
  // Of tiles whose parts several lanes walk.
  struct Apart {
    Arena memory;
    std::vector<BlockList> lists;
    std::vector<Trust> tile_trust, trust;  // by tile of a band, by item
  };
  Apart& apart() { return apart_; }
  // The buffers as block lists want them.
  std::span<const BufferRef> references();
  // Whether lanes count what they visit, and what all of them counted since this was last asked.
  void count_visits(bool counts) { counts_visits_ = counts; }
  bool counts_visits() const { return counts_visits_; }
  Visits take_visits();

 private:
  Status check_binding(const Binding& binding, Bound& bound) const;
  Status learn_sizes(std::span<const NamedSize> sizes);
  Status settle(int phase);  // symbols, shapes and memory of one phase
  Status settle_symbols(int phase);
  Status settle_shapes(int phase);
  Status allocate(int phase);

  const Program& program_;
  const Layout& layout_;
  bool planned_ = false, counts_visits_ = false;
  std::uint64_t shapes_version_ = 1, data_version_ = 1;
  std::vector<Bound> bound_;
  std::vector<std::pair<std::string, std::int64_t>> sizes_;  // the caller's
  std::vector<std::int64_t> symbols_;
  std::vector<std::int32_t> numbers_;  // the same for functions
  std::vector<Extents> buffers_;
  std::vector<Arena> arenas_;  // one per phase
  std::vector<bool> settled_;  // phases whose sizes are those of the last run
  std::vector<std::unique_ptr<Lane>> lanes_;
  BlockList all_blocks_;
  Apart apart_;
  std::vector<BufferRef> references_;
};

// Checks one tensor by itself (rank, type, extents, strides) and fills in what follows from them.
Status examine(const Buffer& buffer, const View& view, Bound& into);
// Checks the pointers of a run: missing, misaligned, outputs that share memory with something, or
// with strides that make it hard to tell.
Status check_memory(const Program& program, std::span<const Bound> bound);
// The largest element of an integer array, 0 if it has none; negative ones are errors.
Status largest_degree(const Program& program, const Symbol& symbol, const Extents& degrees,
                      std::int64_t& into);

}  // namespace fovea::runtime
