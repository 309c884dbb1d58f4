// passes/pipeline.cpp — the whole compiler, top to bottom.
#include "passes/pipeline.h"

#include "ir/checks.h"
#include "ir/rewrite.h"
#include "passes/accept_kernels.h"
#include "passes/block_mask.h"
#include "passes/carry.h"
#include "passes/compensate_scans.h"
#include "passes/defer_normalization.h"
#include "passes/defer_scaling.h"
#include "passes/fuse.h"
#include "passes/order_sums.h"
#include "passes/plan_buffers.h"
#include "passes/reassociate.h"
#include "passes/simplify.h"
#include "passes/spread_scans.h"
#include "passes/tile.h"

namespace fovea::passes {
namespace {

ir::Graph check_reads(const ir::Graph& graph, const ir::Target&) { return ir::check_reads(graph); }

ir::Graph drop_kernels(const ir::Graph& graph, const ir::Target&) {
  return graph.kernels.empty() ? graph : ir::with_kernels(graph, {});
}

constexpr Pass kPipeline[] = {
    {"check_reads", check_reads, "find the least and largest of coordinates that data decide",
     check_reads},
    {"accept_kernels", accept_given_kernels, "take kernels that a graph comes with, or refuse them",
     accept_given_kernels},
    {"simplify", simplify, "fold, share and drop"},
    {"spread_scans", spread_scans, "contract prefix sums on a plane, which `carry` walks once"},
    {"reassociate", reassociate, "order contractions by cost"},
    {"defer_normalization", defer_normalization, "divide per row"},  // before fuse: frees the sum
    {"simplify", simplify, "fold what the two above have opened"},
    {"order_sums", order_sums, "fold planes before what lies beside them"},
    {"compensate_scans", compensate_scans, "keep what prefix sums round away, for differences"},
    {"fuse", fuse, "partition into kernels that store nothing on a pair plane", partition_unfused},
    {"block_mask", block_mask, "find the masks that decide which blocks are visited"},
    {"carry", carry, "sum blocks once that all later rows see"},
    {"tile", tile, "choose tiles, blocks and chunks for the target", tile},
    {"plan_buffers", plan_buffers, "let what is stored between kernels share memory", plan_buffers},
};

constexpr Replacement kShortAxes[] = {{reassociate, reassociate_short}};
constexpr Replacement kUnfused[] = {{accept_given_kernels, drop_kernels},
                                    {fuse, partition_unfused}};

constexpr Pass kDeferScaling = {"defer_scaling", defer_scaling, "store scales, not products"};
constexpr Pass kPlanAgain = {"plan_buffers", plan_buffers, "the same for what is stored now"};
constexpr Pass kHalfTiles[] = {{"tile_half", tile_half, "half as many rows to a tile"}};
constexpr Pass kFew[] = {{"tile_few_rows", tile_few_rows, "columns across the lanes, four rows"},
                         kDeferScaling,
                         kPlanAgain};
constexpr Pass kDecode[] = {
    {"tile_one_row", tile_one_row, "columns across the lanes, one row"}, kDeferScaling, kPlanAgain};

bool is_one(std::int64_t rows) { return rows <= 1; }
bool are_few(std::int64_t rows) { return rows <= kFewRows; }

constexpr Specialization kSpecializations[] = {
    {"short_axes", Choice::order, "contractions in the order for short axes", kShortAxes, {}},
    {"unfused", Choice::fusion, "each contraction and normalisation a kernel", kUnfused, {}},
    {"decode", Choice::rows, "columns in the lanes and no loop over rows", {}, kDecode, is_one},
    {"few_rows", Choice::rows, "columns in the lanes", {}, kFew, are_few},
    {"half_tiles", Choice::rows, "whole tiles would stay emptier", {}, kHalfTiles, prefers_half},
};

// Those of a choice, and none of them first.
std::vector<const Specialization*> ways(Choice choice) {
  std::vector<const Specialization*> all{nullptr};
  for (const Specialization& each : kSpecializations)
    if (each.choice == choice) all.push_back(&each);
  return all;
}

}  // namespace

std::span<const Pass> pipeline() { return kPipeline; }

std::span<const Specialization> specializations() { return kSpecializations; }

std::string Form::path() const {
  std::string path;
  for (const Specialization* each : {order, fusion, rows})
    if (each != nullptr) path += (path.empty() ? "" : "/") + std::string(each->name);
  return path;
}

std::vector<Form> forms() {
  std::vector<Form> all;
  for (const Specialization* order : ways(Choice::order))
    for (const Specialization* fusion : ways(Choice::fusion))
      for (const Specialization* rows : ways(Choice::rows)) all.push_back({order, fusion, rows});
  return all;
}

std::vector<Pass> pipeline_of(const Form& form) {
  std::vector<Pass> passes(pipeline().begin(), pipeline().end());
  for (const Specialization* each : {form.order, form.fusion}) {
    if (each == nullptr) continue;
    for (Pass& pass : passes)
      for (const Replacement& replacement : each->instead)
        if (pass.run == replacement.pass) pass.run = replacement.by;
  }
  return passes;
}

std::span<const Pass> passes_after(const Form& form) {
  return form.rows == nullptr ? std::span<const Pass>() : form.rows->then;
}

}  // namespace fovea::passes
