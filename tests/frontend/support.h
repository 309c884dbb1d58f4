// tests/frontend/support.h — compiled graphs run on guarded memory, beside what they mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/fovea.h"
#include "ir/interpret.h"

namespace fovea::test {

// How tensors lie in memory.
enum class Layout : std::uint8_t {
  Dense,
  Strided,     // the first element right behind a cache line's start, gaps between rows
  Transposed,  // the last axis slowest, with gaps, and backwards; i4, whose last is dense: Strided
};

// The memory of one tensor with a pattern all around it; elements are poison (NaN, or all bits set)
// until written.
class Guarded {
 public:
  Guarded(Dtype dtype, std::vector<std::int64_t> shape, Layout layout = Layout::Dense);
  explicit Guarded(const ir::Array& array, Layout layout = Layout::Dense);

  View view();
  ir::Array read() const;
  // Whether nothing but elements was written since the tensor was made.
  bool surroundings_intact() const;
  // Whether nothing at all was.
  bool untouched() const { return bytes_ == original_; }

 private:
  std::ptrdiff_t byte_of(std::int64_t element) const;
  void for_each(auto&& visit) const;                      // (element number, distance in elements)
  std::byte* first() { return bytes_.data() + offset_; }  // the element [0, …, 0]

  Dtype dtype_;
  std::vector<std::int64_t> shape_, strides_;
  std::size_t width_;  // bytes of an element
  std::size_t offset_ = 0, size_ = 0;
  std::vector<std::byte> bytes_, original_;
};

// A copy of a dense tensor right at the end of memory, or right at its beginning: who reads beyond
// it is stopped by the system.
class Fenced {
 public:
  Fenced(const View& tensor, bool at_end);
  ~Fenced();
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;

  const View& view() const { return view_; }
  bool equals(const View& tensor) const;

 private:
  View view_;
  std::byte* memory_ = nullptr;
  std::size_t bytes_ = 0, size_ = 0;
};

// Runs the kernel; checks that inputs and everything around the outputs stay as they were. Dense
// inputs are fenced, at one end or the other by their extents. `graph` is the one that was
// compiled, whose outputs are wanted.
ir::Arrays run(const Kernel& kernel, const Graph& graph, const ir::Arrays& inputs,
               const Sizes& sizes = {}, Layout layout = Layout::Dense);

// The first element that is off by more than `tolerance` times the largest finite magnitude of its
// tensor. NaN equals NaN, infinities equal themselves and what f32 cannot hold; integers and bools
// are compared exactly.
std::optional<std::string> difference(const ir::Arrays& found, const ir::Arrays& expected,
                                      double tolerance = 1e-5);

// Inputs of the shapes that the sizes give: normal numbers, small integers below `integers`, bools
// mostly true.
ir::Arrays random_inputs(const Graph& graph, const Sizes& sizes, unsigned seed, int integers = 3);

// What sizes there are to give: every axis without an extent of its own, all with this one.
Sizes all_sizes(const Graph& graph, std::int64_t extent);

// "b = 2, i = 7", for messages.
std::string describe(const Sizes& sizes);

// Compiles, runs and interprets; what differs, if anything.
std::optional<std::string> compiled_differs(const Graph& graph, const ir::Arrays& inputs,
                                            const Sizes& sizes = {}, double tolerance = 1e-5,
                                            const Options& options = {});

// The error that the action throws, as "code: message"; empty if it throws none.
std::string error_of(auto&& action) {
  try {
    action();
  } catch (const Error& error) {
    return std::string(name(error.code())) + ": " + error.what();
  }
  return "";
}

// Kernels of a graph on a pair plane, and what they store on it.
struct Planes {
  int kernels = 0;
  std::int64_t stored = 0;
};
Planes planes_of(const Kernel& kernel, const Sizes& sizes);

}  // namespace fovea::test
