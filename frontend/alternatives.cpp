#include "frontend/alternatives.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fovea::frontend {
namespace {

// Of what another form stores that the first one does not; of unfused planes, for one element of a
// batch, so that many of them stay small as well.
constexpr double kMostStored = 8e6, kMostUnfused = 1 << 20;
// Of the operations of the order for long axes: what is stored instead has to save more than it
// costs to be stored and read.
constexpr double kWorthStoring = 0.9;
// What is in doubt is fused: estimates are no measurements, and fused nothing large is stored.
constexpr double kDoubt = 1.1;
constexpr int kMostDecisions = 64;

const passes::Specialization* specialization(passes::Choice choice) {
  return &*std::ranges::find(passes::specializations(), choice, &passes::Specialization::choice);
}

// Whether contractions have another order where axes that a run tells are short. Given kernels are
// of one.
bool has_short_order(const ir::Graph& graph, const ir::Target& target) {
  if (!graph.kernels.empty()) return false;
  const std::string of_short = passes::Form{specialization(passes::Choice::order)}.path();
  return passes::run_pipeline(graph, target, {.stop_after = of_short + "/reassociate"}) !=
         passes::run_pipeline(graph, target, {.stop_after = "reassociate"});
}

}  // namespace

// What a run with these extents takes.
struct Alternatives::Decision {
  std::vector<std::int64_t> extents;
  const Variants* variants;
  const Decision* next;
};

Alternatives::Alternatives(const Graph& graph, const ir::Target& target, std::optional<bool> fuse,
                           const passes::RunOptions& run)
    : graph_(graph),
      target_(target),
      run_(run),
      pool_(std::make_shared<runtime::ThreadPool>()),
      has_tiles_(
          std::ranges::any_of(graph.kernels, [](const ir::Kernel& k) { return k.row_tile != 0; })),
      chooses_fusion_(!fuse && graph.kernels.empty() && !run.limit) {
  const auto add = [&](const passes::Specialization* order) {
    orders_.push_back(std::make_unique<Order>());
    orders_.back()->form.order = order;
    orders_.back()->main = make(*orders_.back(), fuse.value_or(true));
  };
  add(nullptr);
  // A bisection is of one order.
  if (!run.limit && has_short_order(graph_, target)) add(specialization(passes::Choice::order));
}

Alternatives::~Alternatives() {
  for (const Decision* each = decisions_; each != nullptr;) delete std::exchange(each, each->next);
}

std::unique_ptr<const Variants> Alternatives::make(const Order& order, bool fuse) const {
  passes::Form form = order.form;
  if (!fuse) form.fusion = specialization(passes::Choice::fusion);
  ir::Graph graph = passes::run_form(form, graph_, target_, run_);
  if (!fuse && chooses_fusion_)
    for (ir::Kernel& kernel : graph.kernels) kernel.reason = "unfused: faster for these extents";
  return std::make_unique<const Variants>(std::move(graph), form, target_, pool_, has_tiles_, run_);
}

// The order for short axes where it computes less; it may store what the other one need not, but
// nothing that grows without bound. An extent that is not told is a long one.
bool Alternatives::is_short(const Given& given) const {
  if (orders_.size() == 1) return false;
  const auto here = orders_[1]->main->cost(given);
  const double most = kWorthStoring * orders_[0]->main->cost(given).operations;
  return here.operations < most && here.stored <= kMostStored;
}

// Whether fusing is in question at all.
bool Alternatives::may_unfuse(const Order& order, const Given& given) const {
  return chooses_fusion_ && order.main->fuses() && order.main->plane_bytes(given) <= kMostUnfused;
}

const Variants& Alternatives::unfused(const Order& order) const {
  std::call_once(order.once, [&] { order.unfused = make(order, false); });
  return *order.unfused;
}

bool Alternatives::is_faster_unfused(const Variants::Estimate& fused,
                                     const Variants::Estimate& unfused) {
  return unfused.stored <= kMostUnfused && unfused.time * kDoubt < fused.time;
}

const Variants& Alternatives::decide(const Given& given) const {
  const Order& order = *orders_[is_short(given) ? 1 : 0];
  if (!may_unfuse(order, given)) return *order.main;
  const Variants::Estimate estimate = order.main->estimate(given);
  const Variants& other = unfused(order);
  return is_faster_unfused(estimate, other.estimate(given, order.main->batch())) ? other
                                                                                 : *order.main;
}

// Runs with the extents of an earlier one find what that decided.
const Variants& Alternatives::chosen(const Given& given) const {
  const Variants& first = *orders_[0]->main;
  if (orders_.size() == 1 && !(chooses_fusion_ && first.fuses())) return first;
  const auto is_same = [&](const Decision& decision) {
    return first.has_extents(given, decision.extents);
  };
  for (const Decision* each = decisions_.load(std::memory_order_acquire); each != nullptr;
       each = each->next)
    if (is_same(*each)) return *each->variants;
  const Variants& variants = decide(given);
  if (decision_count_.fetch_add(1) >= kMostDecisions) {
    decision_count_ = kMostDecisions;
    return variants;
  }
  auto* made = new Decision{first.extents(given), &variants, decisions_.load()};
  while (!decisions_.compare_exchange_weak(made->next, made, std::memory_order_acq_rel)) {
  }
  return variants;
}

std::string Alternatives::why_order(const Given& given) const {
  if (orders_.size() == 1) return {};
  const auto longer = orders_[0]->main->cost(given), shorter = orders_[1]->main->cost(given);
  const std::string in_long = fmt::format("{:.4g} operations", longer.operations);
  const std::string in_short =
      fmt::format("{:.4g} operations and {:.4g} bytes stored", shorter.operations, shorter.stored);
  return is_short(given) ? fmt::format(
                               "contracted in the order for short axes, {}; in the order for long "
                               "ones it would be {}",
                               in_short, in_long)
                         : fmt::format(
                               "contracted in the order for long axes, {}; in the order for short "
                               "ones it would be {}",
                               in_long, in_short);
}

std::string Alternatives::why_rows(const Given& given) const {
  return chosen(given).why_rows(given);
}

std::string Alternatives::why_fused(const Given& given) const {
  const Order& order = *orders_[is_short(given) ? 1 : 0];
  if (!may_unfuse(order, given)) return {};
  const Variants::Estimate fused = order.main->estimate(given),
                           other = unfused(order).estimate(given, order.main->batch());
  const bool is_unfused = is_faster_unfused(fused, other);
  return fmt::format("{}: some {:.2g} us for an element of the batch; {} it would be {:.2g} us",
                     is_unfused ? "unfused" : "fused", (is_unfused ? other : fused).time * 1e-3,
                     is_unfused ? "fused" : "unfused", (is_unfused ? fused : other).time * 1e-3);
}

}  // namespace fovea::frontend
