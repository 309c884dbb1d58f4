// codegen/signature.h — what a function takes: the buffers and numbers that its body mentions, in the
// order of first mention, for Halide and for the runtime at once. For .cpp files that include Halide.h.
#pragma once

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "codegen/emit.h"
#include "codegen/layout.h"
#include "ir/graph.h"
#include "runtime/program.h"

namespace fovea::codegen {

class Signature {
 public:
  Signature(const ir::Graph& graph, const Placement& places) : graph_(graph), places_(places) {}

  Halide::Expr extent(ir::AxisId axis);  // a number if it is fixed
  Halide::Expr number(runtime::Argument::Kind kind, int index, const std::string& name);
  // A buffer by its index, given by Halide's order of dimensions (fastest first). Known strides and
  // extents of whole buffers are promised to the compiler; -1: not known.
  Halide::ImageParam buffer(int index, Halide::Type type, const std::vector<std::int64_t>& extents,
                            runtime::Argument::Kind kind = runtime::Argument::Kind::buffer);
  // The value of a leaf at a point; `clamped` axes are limited to their extent.
  Halide::Expr load(ir::NodeId leaf, const ScopePtr& scope, const std::vector<ir::AxisId>& clamped);

  // A coordinate or index that lies in there, though Halide does not see it: kernels that check
  // themselves (codegen/asserts.h) check it where it is used.
  static Halide::Expr within(const Halide::Expr& x, const Halide::Expr& low,
                             const Halide::Expr& high);

  // An axis of which coordinates are seldom limited: loops along it split where they begin to be.
  ir::AxisId steady = ir::kNone;

  // Results come last.
  void add_result(int buffer) { results_.push_back(buffer); }

  std::vector<Halide::Argument> halide() const { return halide_; }
  std::vector<runtime::Argument> runtime() const;
  std::int64_t fixed_extent(ir::AxisId axis) const;                   // -1 if not fixed
  std::vector<std::int64_t> fixed_extents(const Place& place) const;  // fastest first

 private:
  const ir::Graph& graph_;
  const Placement& places_;
  std::vector<Halide::Argument> halide_;
  std::vector<runtime::Argument> runtime_;
  std::vector<int> results_;
  std::map<std::pair<runtime::Argument::Kind, int>, Halide::Param<int>> numbers_;
  std::map<int, Halide::ImageParam> buffers_;
};

// Promises constant strides and extents where they are known; `first_cropped` dimensions keep their
// bounds open.
template <class Image>
void promise(Image image, const std::vector<std::int64_t>& extents, bool whole) {
  std::int64_t stride = 1;
  for (std::size_t n = 0; n < extents.size(); n++) {
    auto dim = image.dim(static_cast<int>(n));
    if (whole) dim.set_min(0);
    if (whole && extents[n] >= 0) dim.set_extent(static_cast<int>(extents[n]));
    if (stride > 0) dim.set_stride(static_cast<int>(stride));
    stride = stride > 0 && extents[n] >= 0 ? stride * extents[n] : -1;
    if (stride > std::numeric_limits<int>::max()) stride = -1;  // wider than Halide's
  }
}

}  // namespace fovea::codegen
