// runtime/steps.h — runs one step of a program in a workspace.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>

#include "runtime/status.h"
#include "runtime/threads.h"
#include "runtime/workspace.h"

namespace fovea::runtime {

Status run_plain(Workspace& workspace, int step, ThreadPool& pool);
Status run_tiled(Workspace& workspace, int step, ThreadPool& pool);
Status run_check(const Workspace& workspace, const Check& check);

// The exact form of a step, or null if there is none.
const Call* exact_form(const Program& program, int step);

// Which of a tile's results: those with an element for each row, or those folded over all rows.
enum class Results : std::uint8_t { all, of_each_row, of_all_rows };

// True if the lane's crops of these results hold anything that is not finite. -inf is right in a
// result that is made of a maximum of nothing, which the bits of `of_nothing` tell.
bool has_nonfinite(Lane& lane, const Lane::Calls& calls, const Program& program, const Step& step,
                   Results which = Results::all, int of_nothing = 0);

// Computes the crops of a step again by its exact form, if there is one. If what is finite is to be
// trusted it stays: other kernels compare with the same value, rounded as it was here.
Status compute_again(Lane& lane, const Program& program, int index, Trust trust);

// Calls body(lane, item) for every item, on as many threads as the workspace has lanes if that is
// worth waking them. Threads take the next item when they are done with one; no result depends on
// which does which. The first failure stops the others.
template <class Body>
Status for_each_item(Workspace& workspace, ThreadPool& pool, std::int64_t items, bool worth_waking,
                     const Body& body) {
  if (items <= 0) return {};
  if (workspace.threads() == 1 || items == 1 || !worth_waking) {
    Lane& lane = workspace.lane(0);
    lane.refresh();
    for (std::int64_t item = 0; item < items; ++item) {
      if (Status status = body(lane, item); !status.ok()) return status;
    }
    return {};
  }
  struct Shared {
    Workspace& workspace;
    const Body& body;
    std::int64_t items;
    alignas(128) std::atomic<std::int64_t> next{0};
    std::atomic<bool> failed{false};
  } shared{workspace, body, items};
  const auto work = [](void* context, int index) {
    Shared& all = *static_cast<Shared*>(context);
    Lane& lane = all.workspace.lane(index);
    try {
      lane.refresh();
      while (lane.status.ok() && !all.failed) {
        const std::int64_t item = all.next.fetch_add(1, std::memory_order_relaxed);
        if (item >= all.items) return;
        lane.status = all.body(lane, item);
      }
    } catch (const std::exception&) {
      lane.status = {Code::input_too_large, "no memory for the work of a thread"};
    }
    if (!lane.status.ok()) all.failed = true;
  };
  const int lanes = static_cast<int>(items < workspace.threads() ? items : workspace.threads());
  for (int index = 0; index < lanes; ++index) workspace.lane(index).status = {};
  pool.run(lanes, work, &shared);
  for (int index = 0; index < lanes; ++index) {
    if (!workspace.lane(index).status.ok()) return workspace.lane(index).status;
  }
  return {};
}

}  // namespace fovea::runtime
