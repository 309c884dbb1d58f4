// frontend/variants.h — code for a graph in one order of contractions, fused or not: for every
// specialization by rows, each for tensors that need wide indices as well; made when a run first
// needs it.
#pragma once

#include <array>
#include <deque>
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
#include "passes/run.h"
#include "runtime/executor.h"

namespace fovea::frontend {

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
  const std::string& name() const { return name_; }  // of the axis
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
  // `graph`: as run_form made it of the caller's. `has_tiles`: the user gave tiles, which hold for
  // any number of rows. `run`: for the passes of specializations.
  Variants(Graph graph, const passes::Form& form, const ir::Target& target,
           std::shared_ptr<runtime::ThreadPool> pool, bool has_tiles, passes::RunOptions run);

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
    const std::size_t fit = fit_of(given);
    const auto n = static_cast<std::size_t>(indices);
    Fitted& fitted = fits_[fit];
    std::call_once(fitted.once[n], [&] {
      check();
      ir::Target target = target_;
      target.wide_indices = indices == Indices::wide;
      fitted.variants[n] = std::make_unique<const Variant>(tiled_for(fit), target, pool_);
    });
    return *fitted.variants[n];
  }

  // The specialization that so many rows take, and what for; empty: none.
  std::string why_rows(const Given& given) const;

 private:
  // What is known of one specialization by rows.
  struct Fitted {
    std::once_flag tiled, weighed;
    Graph graph;
    std::optional<const passes::Cost> cost;
    std::array<std::once_flag, 2> once;  // by Indices
    std::array<std::unique_ptr<const Variant>, 2> variants;
  };

  // Its place in passes::specializations(), or their number: none.
  std::size_t fit_of(const Given& given) const;
  const Graph& tiled_for(std::size_t fit) const;
  std::vector<double> all_extents(const Given& given) const;

  Graph graph_;
  passes::Form form_;
  ir::Target target_;
  std::shared_ptr<runtime::ThreadPool> pool_;
  passes::RunOptions run_;
  passes::Count operations_, stored_;
  std::vector<ExtentSource> open_;  // what both depend on
  std::vector<ExtentSource> rows_;  // of planes: those that a run tells, if it tells any
  std::vector<std::string> batch_;
  std::vector<ExtentSource> sources_;   // by axis
  std::vector<ExtentSource> deciding_;  // of axes that a run tells, but for the batch
  mutable std::deque<Fitted> fits_;     // by fit_of
};

}  // namespace fovea::frontend
