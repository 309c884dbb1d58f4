#include "ir/interpret_machine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "ir/checks.h"
#include "ir/element.h"
#include "ir/query.h"
#include "ir/require.h"

namespace fovea::ir {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// What folding nothing gives.
double start_of(ReduceFn fn, Dtype dtype) {
  if (fn == ReduceFn::Sum) return 0;
  const bool max = fn == ReduceFn::Max || fn == ReduceFn::ArgMax;
  if (fn == ReduceFn::ArgMax || dtype == Dtype::F32) return max ? -kInfinity : kInfinity;
  if (dtype == Dtype::Bool) return max ? 0 : 1;
  return max ? std::numeric_limits<std::int32_t>::min() : std::numeric_limits<std::int32_t>::max();
}

template <class F>
void fold_run(double* out, std::int64_t stride, const double* x, std::size_t count, F f) {
  if (stride == 0) {
    double total = *out;
    for (std::size_t n = 0; n < count; ++n) total = f(total, x[n]);
    *out = total;
  } else {
    for (std::size_t n = 0; n < count; ++n, out += stride) *out = f(*out, x[n]);
  }
}

void fold_run(ReduceFn fn, bool integer, double* out, std::int64_t stride, const double* x,
              std::size_t count) {
  if (fn == ReduceFn::Max) {
    fold_run(out, stride, x, count, [](double m, double e) { return e > m || e != e ? e : m; });
  } else if (fn == ReduceFn::Min) {
    fold_run(out, stride, x, count, [](double m, double e) { return e < m || e != e ? e : m; });
  } else if (integer) {
    fold_run(out, stride, x, count, [](double sum, double e) { return wrap(sum + e); });
  } else {
    fold_run(out, stride, x, count, [](double sum, double e) { return sum + e; });
  }
}

}  // namespace

Machine::Machine(const Graph& graph, const Plan& plan, const std::vector<std::int64_t>& extents,
                 const Arrays& inputs, const std::vector<bool>& checked,
                 std::optional<Rounding> rounding)
    : graph_(graph),
      plan_(plan),
      inputs_(inputs),
      checked_(checked),
      rounding_(rounding),
      extents_(extents),
      base_(extents.size(), 0),
      local_(extents),
      slots_(plan.values.size()),
      block_(plan.values.size()),
      scratch_(plan.values.size()) {}

void Machine::run(const std::vector<std::int64_t>& base) {
  base_ = base;
  for (const AxisId axis : plan_.walked) {
    const auto n = static_cast<std::size_t>(axis);
    local_[n] = std::min(plan_.chunks[n], extents_[n] - base_[n]);
  }
  for (int v = 0; v < static_cast<int>(plan_.values.size()); ++v) {
    if (!value(v).stored) continue;
    std::vector<std::int64_t> key;
    for (const AxisId axis : value(v).keys) key.push_back(base_[static_cast<std::size_t>(axis)]);
    if (slot(v).generation != 0 && slot(v).key == key) continue;
    slot(v).key = std::move(key);
    ++slot(v).generation;
    evaluate(v);
    if (std::ranges::count(plan_.degrees, v) != 0) measure_ragged(v);
  }
}

std::int64_t Machine::points(const std::vector<AxisId>& domain) const {
  std::int64_t count = 1;
  for (const AxisId axis : domain)
    if (local(axis) == 0) return 0;
  for (const AxisId axis : domain) {
    require(count <= std::numeric_limits<std::int64_t>::max() / local(axis), Code::input_too_large,
            "a value has more than 2^63 elements");
    count *= local(axis);
  }
  return count;
}

std::vector<std::int64_t> Machine::dense_strides(const std::vector<AxisId>& axes) const {
  std::vector<std::int64_t> strides(extents_.size(), 0);
  std::int64_t stride = 1;
  for (std::size_t n = axes.size(); n-- > 0;) {
    strides[static_cast<std::size_t>(axes[n])] = stride;
    stride = next_stride(stride, local(axes[n]));
  }
  return strides;
}

void Machine::allocate(int v, double fill) {
  Slot& to = slot(v);
  const std::int64_t count = points(value(v).axes);
  require(count < std::int64_t{1} << 40, Code::input_too_large,
          "interpreting needs a value of {} elements in memory", count);
  to.own.assign(static_cast<std::size_t>(count), fill);
  to.view = {to.own.data(), dense_strides(value(v).axes)};
}

Source Machine::source(int v, const std::vector<AxisId>& domain) const {
  return {view(v).data, make_loops(domain, local_, view(v).stride)};
}

Source Machine::index_source(AxisId axis, const std::vector<AxisId>& domain) {
  const auto count = static_cast<std::size_t>(local(axis));
  if (counting_.size() < count) {
    counting_.resize(count);
    std::iota(counting_.begin(), counting_.end(), 0.0);
  }
  std::vector<std::int64_t> strides(extents_.size(), 0);
  strides[static_cast<std::size_t>(axis)] = 1;
  return {counting_.data(), make_loops(domain, local_, strides)};
}

Machine::Live Machine::live(const std::vector<AxisId>& domain) {
  Live live;
  // All of the indices' memory first: a source points into it.
  for (const AxisId axis : domain) (void)index_source(axis, domain);
  for (const AxisId axis : domain) {
    const int degree = plan_.degrees[static_cast<std::size_t>(axis)];
    if (degree < 0 || !std::ranges::includes(domain, value(degree).axes)) continue;
    live.limits.push_back({index_source(axis, domain), source(degree, domain)});
  }
  return live;
}

const std::vector<char>& Machine::Live::load(std::int64_t start, std::size_t count) {
  if (loaded == start) return at;
  loaded = start;
  at.assign(count, 1);
  for (Limit& limit : limits) {
    const double* index = limit.index.load(start, count);
    const double* degree = limit.degree.load(start, count);
    for (std::size_t n = 0; n < count; ++n) at[n] = at[n] != 0 && index[n] < degree[n];
  }
  return at;
}

template <class F>
void Machine::for_blocks(const Value& value, F use) {
  std::vector<Source> sources;
  for (const int operand : value.operands) sources.push_back(source(operand, value.domain));
  const std::int64_t total = points(value.domain);
  for (std::int64_t start = 0; start < total; start += static_cast<std::int64_t>(kBlock)) {
    const std::size_t count =
        static_cast<std::size_t>(std::min(total - start, static_cast<std::int64_t>(kBlock)));
    for (std::size_t n = 0; n < sources.size(); ++n) {
      block_[static_cast<std::size_t>(value.operands[n])] = sources[n].load(start, count);
    }
    for (const int inside : value.on_the_way) {
      std::vector<double>& scratch = scratch_[static_cast<std::size_t>(inside)];
      if (scratch.size() < count) scratch.resize(count);
      compute(inside, count, scratch.data());
      block_[static_cast<std::size_t>(inside)] = scratch.data();
    }
    use(start, count);
  }
}

void Machine::compute(int v, std::size_t count, double* to) {
  const Node& node = graph_.node(value(v).node);
  std::array<const double*, 3> in{};
  for (std::size_t n = 0; n < value(v).inputs.size(); ++n) {
    in[n] = block_[static_cast<std::size_t>(value(v).inputs[n])];
  }
  const Fn fn = std::get<Map>(node.op).fn;
  apply({fn, node.type.dtype, value(v).term}, in, to, count);
  if (!rounding_ || node.type.dtype != Dtype::F32) return;
  // Divided by what varies, as by the sum of a softmax, machines may multiply by an inverse.
  const bool inverts = fn == Fn::Div && !is_constant(graph_.node(node.inputs[1]));
  rounding_->round(fn, value(v).node, {to, count}, inverts);
}

std::function<double(double, double)> Machine::rounded_sum(NodeId node) const {
  if (!rounding_) return [](double a, double b) { return a + b; };
  return [rounding = *rounding_, node](double a, double b) {
    return rounding.round(node, a + b, false);
  };
}

void Machine::evaluate(int v) {
  match(
      graph_.node(value(v).node).op, [&](const Input&) { evaluate_input(v); },
      [&](const Constant& op) { allocate(v, op.value); },
      [&](const Index& op) { evaluate_index(v, op.axis); }, [&](const Map&) { evaluate_map(v); },
      [&](const Reduce& op) {
        op.fn == ReduceFn::ArgMax ? evaluate_argmax(v, op) : evaluate_reduce(v, op);
      },
      [&](const Scan& op) { evaluate_scan(v, op); }, [&](const Read& op) { evaluate_read(v, op); },
      [&](const TopK& op) { evaluate_topk(v, op); });
}

void Machine::evaluate_input(int v) {
  const Node& node = graph_.node(value(v).node);
  View& view = slot(v).view;
  view = {inputs_.at(std::get<Input>(node.op).name).data.data(),
          std::vector<std::int64_t>(extents_.size(), 0)};
  if (view.data == nullptr) return;  // no elements: no place in it either
  std::int64_t stride = 1;
  for (std::size_t n = node.type.axes.size(); n-- > 0;) {
    const auto axis = static_cast<std::size_t>(node.type.axes[n]);
    view.stride[axis] = stride;
    view.data += base_[axis] * stride;
    stride = next_stride(stride, extents_[axis]);
  }
}

void Machine::evaluate_index(int v, AxisId axis) {
  allocate(v, 0);
  const auto first = static_cast<double>(base_[static_cast<std::size_t>(axis)]);
  std::iota(slot(v).own.begin(), slot(v).own.end(), first);
}

void Machine::evaluate_map(int v) {
  allocate(v, 0);
  double* out = slot(v).own.data();
  for_blocks(value(v),
             [&](std::int64_t start, std::size_t count) { compute(v, count, out + start); });
}

void Machine::evaluate_reduce(int v, const Reduce& op) {
  const Dtype dtype = graph_.node(value(v).node).type.dtype;
  const double nothing = start_of(op.fn, dtype);
  allocate(v, nothing);
  double* out = slot(v).own.data();
  const std::vector<Loop> loops = make_loops(value(v).domain, local_, view(v).stride);
  const bool ragged = graph_.axis(op.axis).degree != kNone;
  Live alive = live(ragged ? value(v).domain : std::vector<AxisId>{});
  std::vector<double> kept;
  for_blocks(value(v), [&](std::int64_t start, std::size_t count) {
    const double* x = block_[static_cast<std::size_t>(value(v).inputs[0])];
    if (ragged) {
      const std::vector<char>& at = alive.load(start, count);
      kept.resize(count);
      for (std::size_t n = 0; n < count; ++n) kept[n] = at[n] != 0 ? x[n] : nothing;
      x = kept.data();
    }
    for_runs(loops, start, count,
             [&](std::int64_t offset, std::int64_t stride, std::size_t position, std::size_t run) {
               if (rounding_ && op.fn == ReduceFn::Sum && dtype == Dtype::F32) {
                 fold_run(out + offset, stride, x + position, run, rounded_sum(value(v).node));
               } else {
                 fold_run(op.fn, dtype == Dtype::I32, out + offset, stride, x + position, run);
               }
             });
  });
}

void Machine::evaluate_argmax(int v, const Reduce& op) {
  allocate(v, -1);
  double* out = slot(v).own.data();
  std::vector<double> best(slot(v).own.size(), -kInfinity);
  const std::vector<AxisId>& domain = value(v).domain;
  const std::vector<Loop> loops = make_loops(domain, local_, view(v).stride);
  Live alive = live(domain);
  Source index = index_source(op.axis, domain);
  for_blocks(value(v), [&](std::int64_t start, std::size_t count) {
    const double* x = block_[static_cast<std::size_t>(value(v).inputs[0])];
    const double* at = index.load(start, count);
    const std::vector<char>& is_live = alive.load(start, count);
    for_runs(loops, start, count,
             [&](std::int64_t offset, std::int64_t stride, std::size_t position, std::size_t run) {
               for (std::size_t n = position; n < position + run; ++n, offset += stride) {
                 double& most = best[static_cast<std::size_t>(offset)];
                 // Strictly: ties stay with the lower index, and NaN and -inf are never chosen.
                 if (is_live[n] == 0 || !(x[n] > most)) continue;
                 most = x[n];
                 out[offset] = at[n];
               }
             });
  });
}

void Machine::evaluate_scan(int v, const Scan& op) {
  allocate(v, 0);
  std::vector<double>& own = slot(v).own;
  for_blocks(value(v), [&](std::int64_t start, std::size_t count) {
    std::copy_n(block_[static_cast<std::size_t>(value(v).inputs[0])], count, own.begin() + start);
  });
  const bool integer = graph_.node(value(v).node).type.dtype == Dtype::I32;
  const auto step = static_cast<std::size_t>(view(v).stride[static_cast<std::size_t>(op.axis)]);
  const std::size_t round = step * static_cast<std::size_t>(local(op.axis));
  const auto add = rounded_sum(value(v).node);
  for (std::size_t n = 0; n < own.size(); ++n) {
    if (n % round < step) continue;  // the first along the axis
    own[n] = integer ? wrap(own[n - step] + own[n]) : add(own[n - step], own[n]);
  }
}

void Machine::evaluate_topk(int v, const TopK& op) {
  allocate(v, -1);
  double* out = slot(v).own.data();
  std::vector<AxisId> lanes = value(v).axes;
  std::erase(lanes, op.into);
  const View& x = view(value(v).inputs[0]);
  const int degree = plan_.degrees[static_cast<std::size_t>(op.axis)];
  const auto step = x.stride[static_cast<std::size_t>(op.axis)];
  const auto out_step = view(v).stride[static_cast<std::size_t>(op.into)];
  std::vector<std::int64_t> at(lanes.size(), 0), order;
  const auto offset = [&](const View& view) {
    std::int64_t sum = 0;
    for (std::size_t n = 0; n < lanes.size(); ++n) {
      sum += at[n] * view.stride[static_cast<std::size_t>(lanes[n])];
    }
    return sum;
  };
  for (std::int64_t lane = points(lanes); lane > 0; --lane) {
    const double* from = x.data + offset(x);
    double end = static_cast<double>(local(op.axis));
    if (degree >= 0) end = std::min(end, view(degree).data[offset(view(degree))]);
    order.clear();
    for (std::int64_t n = 0; static_cast<double>(n) < end; ++n) {
      if (from[n * step] > -kInfinity) order.push_back(n);
    }
    const auto better = [&](std::int64_t a, std::int64_t b) {
      const double first = from[a * step], second = from[b * step];
      return first > second || (first == second && a < b);
    };
    const auto chosen = std::min(static_cast<std::ptrdiff_t>(order.size()),
                                 static_cast<std::ptrdiff_t>(local(op.into)));
    std::partial_sort(order.begin(), order.begin() + chosen, order.end(), better);
    double* to = out + offset(view(v));
    for (std::ptrdiff_t n = 0; n < chosen; ++n) {
      to[n * out_step] = static_cast<double>(order[static_cast<std::size_t>(n)]);
    }
    for (std::size_t n = lanes.size(); n-- > 0;) {
      if (++at[n] < local(lanes[n])) break;
      at[n] = 0;
    }
  }
}

void Machine::measure_ragged(int degree) {
  std::vector<AxisId> domain = value(degree).axes;
  for (std::size_t n = 0; n < domain.size(); ++n) {
    const int of = plan_.degrees[static_cast<std::size_t>(domain[n])];
    if (of < 0) continue;
    for (const AxisId axis : value(of).axes) {
      if (std::ranges::find(domain, axis) == domain.end()) domain.push_back(axis);
    }
  }
  std::ranges::sort(domain);
  Live alive = live(domain);
  Source source = this->source(degree, domain);
  double least = 0, most = 0;
  const std::int64_t total = points(domain);
  for (std::int64_t start = 0; start < total; start += static_cast<std::int64_t>(kBlock)) {
    const std::size_t count =
        static_cast<std::size_t>(std::min(total - start, static_cast<std::int64_t>(kBlock)));
    const double* found = source.load(start, count);
    const std::vector<char>& at = alive.load(start, count);
    for (std::size_t n = 0; n < count; ++n) {
      if (at[n] == 0) continue;
      least = std::min(least, found[n]);
      most = std::max(most, found[n]);
    }
  }
  for (std::size_t axis = 0; axis < plan_.degrees.size(); ++axis) {
    if (plan_.degrees[axis] != degree) continue;
    require(least >= 0, Code::invalid_input,
            "tensor '{}'{} holds {}; expected extents of axis '{}', which are not negative",
            graph_.node(value(degree).node).name, from_inputs(graph_, value(degree).node), least,
            graph_.axes[axis].name);
    local_[axis] = static_cast<std::int64_t>(most);
  }
}

}  // namespace fovea::ir
