// frontend/alternatives.h — the forms of a graph that runs choose from by their extents.
//
//   contractions in the order for long axes, or in that for short ones
//   kernels on planes, or each contraction and normalisation a kernel of its own (unfused)
//
// Unfused is for planes so small that storing them costs less than walking them in tiles, or so
// oddly shaped that tiles stay empty; passes/cost.h tells. Forms differ in the last bits of their
// results, so that no choice depends on the extents of a batch, or on the number of threads. The
// code of a form is made when a run first takes it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "frontend/variants.h"
#include "passes/run.h"

namespace fovea::frontend {

class Alternatives {
 public:
  // `fuse`: kernels on planes always or never; otherwise whichever takes less time.
  Alternatives(const Graph& graph, const ir::Target& target, std::optional<bool> fuse,
               const passes::RunOptions& run);
  ~Alternatives();

  // Code that is yet to be made is made after `check` has returned.
  template <class Check>
  const Variant& fitting(const Given& given, Indices indices, Check check) const {
    return chosen(given).fitting(given, indices, check);
  }

  // Why contractions are in that order, and why kernels are fused or not; each is empty where there
  // is but one form. What is special about the code for so many rows; empty: nothing.
  std::string why_rows(const Given& given) const;
  std::string why_order(const Given& given) const;
  std::string why_fused(const Given& given) const;

 private:
  // One order of contractions.
  struct Order {
    passes::Form form;
    std::unique_ptr<const Variants> main;  // fused, unless that was asked not to be
    mutable std::once_flag once;
    mutable std::unique_ptr<const Variants> unfused;
  };
  struct Decision;

  std::unique_ptr<const Variants> make(const Order& order, bool fuse) const;
  const Variants& chosen(const Given& given) const;
  const Variants& decide(const Given& given) const;
  bool is_short(const Given& given) const;
  bool may_unfuse(const Order& order, const Given& given) const;
  const Variants& unfused(const Order& order) const;
  static bool is_faster_unfused(const Variants::Estimate& fused, const Variants::Estimate& unfused);

  const Graph graph_;
  const ir::Target target_;
  const passes::RunOptions run_;
  const std::shared_ptr<runtime::ThreadPool> pool_;
  bool has_tiles_ = false, chooses_fusion_ = false;
  std::vector<std::unique_ptr<Order>> orders_;  // for long axes, for short ones
  // Decisions that were made, the last one first; only so many are kept.
  mutable std::atomic<const Decision*> decisions_ = nullptr;
  mutable std::atomic<int> decision_count_ = 0;
};

}  // namespace fovea::frontend
