// frontend/variants.h — code for one form of a graph: for many rows, for fewer and for few, and all
// of these for tensors that need wide indices; each made when a run first needs it.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codegen/program.h"
#include "fovea/fovea.h"
#include "passes/cost.h"
#include "passes/extents.h"
#include "passes/tile.h"
#include "runtime/executor.h"

namespace fovea::frontend {

// What the passes left of `source`, with what code generation cannot do without (a bisection may
// stop before those passes), and with all inputs.
ir::Graph lowerable(const ir::Graph& source, ir::Graph graph, const ir::Target& target);

// What a run tells of extents.
struct Given {
  std::span<const NamedView> inputs;
  const Sizes& sizes;
};

// Where a run tells the extent of an axis.
class ExtentSource {
 public:
  ExtentSource(const Graph& graph, ir::AxisId axis);
  bool is_fixed() const { return fixed_ >= 0; }
  // Nothing where neither the text, an input nor the caller tells.
  std::optional<std::int64_t> extent(const Given& given) const;

 private:
  std::string name_, input_;
  std::ptrdiff_t dimension_ = 0;
  std::int64_t fixed_ = -1;
};

// A graph with its tiles, and its code.
struct Variant {
  Variant(Graph tiled, const ir::Target& target, std::shared_ptr<runtime::ThreadPool> pool);

  Graph graph;
  std::shared_ptr<const codegen::CompiledProgram> code;
  runtime::Executor executor;
};

enum class Indices : bool { narrow, wide };

class Variants {
 public:
  // `has_tiles`: the user gave tiles, which hold for any number of rows.
  Variants(Graph graph, const ir::Target& target, std::shared_ptr<runtime::ThreadPool> pool,
           bool has_tiles);

  // What a run with such extents computes, in elements, and stores between kernels, in bytes.
  struct Cost {
    double operations, stored;
  };
  Cost cost(const Given& given) const;

  // Whether some kernel is on a plane, or walks an axis for each point.
  bool fuses() const;
  // The names of axes along which elements of a batch lie (passes/cost.h).
  const std::vector<std::string>& batch() const { return batch_; }
  // Bytes of the smallest plane of one element of a batch, which would be stored unfused.
  double plane_bytes(const Given& given) const;

  // Nanoseconds of one element of a batch, and bytes that lie between kernels meanwhile.
  struct Estimate {
    double time, stored;
  };
  Estimate estimate(const Given& given) const { return estimate(given, batch_); }
  // `batch`: that of another form of the graph.
  Estimate estimate(const Given& given, const std::vector<std::string>& batch) const;

  // The extents that decisions depend on: what a run tells of axes that are no batch; -1 for those
  // of which it tells nothing.
  std::vector<std::int64_t> extents(const Given& given) const;
  bool has_extents(const Given& given, std::span<const std::int64_t> extents) const;

  // Code that is yet to be made is made after `check` has returned.
  template <class Check>
  const Variant& fitting(const Given& given, Indices indices, Check check) const {
    const Fit fit = fit_of(given);
    const std::size_t n = fit + (indices == Indices::wide ? kFits : 0);
    std::call_once(once_[n], [&] {
      check();
      ir::Target target = target_;
      target.wide_indices = indices == Indices::wide;
      variants_[n] = std::make_unique<const Variant>(tiled_for(fit), target, pool_);
    });
    return *variants_[n];
  }

 private:
  enum Fit { kMany, kHalf, kFew, kOne, kFits };

  Fit fit_of(const Given& given) const;
  Graph tiled_for(Fit fit) const;
  std::vector<double> all_extents(const Given& given) const;

  Graph graph_;
  ir::Target target_;
  std::shared_ptr<runtime::ThreadPool> pool_;
  passes::Count operations_, stored_;
  std::vector<ExtentSource> open_;  // what both depend on
  std::vector<ExtentSource> rows_;  // of planes: those that a run tells, if it tells any
  std::vector<std::string> batch_;
  std::vector<ExtentSource> sources_;   // by axis
  std::vector<ExtentSource> deciding_;  // of axes that a run tells, but for the batch
  mutable std::array<std::once_flag, kFits> cost_once_;
  mutable std::array<std::optional<const passes::Cost>, kFits> costs_;
  mutable std::array<std::once_flag, 2 * kFits> once_;  // those of narrow indices first
  mutable std::array<std::unique_ptr<const Variant>, 2 * kFits> variants_;
};

}  // namespace fovea::frontend
