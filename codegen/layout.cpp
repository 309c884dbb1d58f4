#include "codegen/layout.h"

#include <algorithm>
#include <set>
#include <utility>

#include "ir/checks.h"
#include "ir/contraction.h"
#include "ir/query.h"
#include "ir/region.h"
#include "ir/require.h"

namespace fovea::codegen {
namespace {

using namespace ir;
using runtime::Buffer;

Dtype between(Dtype dtype) {
  if (dtype == Dtype::Bool) return dtype;
  return is_float(dtype) ? Dtype::F32 : Dtype::I32;
}

runtime::SizeTerm::Kind kind_of(ExtentTerm::Kind kind) {
  using To = runtime::SizeTerm::Kind;
  switch (kind) {
    case ExtentTerm::Kind::Number: return To::number;
    case ExtentTerm::Kind::Axis: return To::symbol;
    case ExtentTerm::Kind::Add: return To::add;
    case ExtentTerm::Kind::Sub: return To::sub;
    case ExtentTerm::Kind::Mul: return To::mul;
    case ExtentTerm::Kind::Div: return To::div;
  }
  return To::number;
}

runtime::Size size_of(const Extent& extent) {
  runtime::Size size;
  for (const ExtentTerm& term : extent)
    size.push_back(
        {kind_of(term.kind), term.kind == ExtentTerm::Kind::Axis ? term.axis : term.number});
  return size;
}

// What the kernel adds to in registers is the fastest: rows or columns of the plane, then the last
// feature.
std::vector<AxisId> features_last(const Graph& graph, const Kernel& kernel, NodeId result,
                                  AxisId along) {
  const std::vector<AxisId> batch = region_of(graph, kernel).batch;
  std::vector<AxisId> layout, features;
  for (const AxisId axis : graph.node(result).type.axes) {
    if (axis == along) continue;
    const bool in_batch = std::ranges::find(batch, axis) != batch.end();
    (in_batch ? layout : features).push_back(axis);
  }
  layout.insert(layout.end(), features.begin(), features.end());
  layout.insert(features.empty() ? layout.end() : layout.end() - 1, along);
  return layout;
}

// Whether what a value is made of lies side by side along an axis wherever it varies along it.
bool is_side_by_side(const Graph& graph, NodeId id, AxisId axis, const Placement& places) {
  const Node& node = graph.node(id);
  if (!node.type.has(axis)) return true;
  if (const auto place = places.find(id); place != places.end())
    return place->second.layout.back() == axis;
  if (!is_map(node)) return false;
  return std::ranges::all_of(
      node.inputs, [&](NodeId input) { return is_side_by_side(graph, input, axis, places); });
}

// Fewer do not fill a vector.
constexpr std::int64_t kNarrow = 16;

// The axes of what a kernel off every plane stores. A sum of products has its accumulators along
// the fastest: an axis along which an operand lies side by side, where the last one is not.
std::vector<AxisId> order_for_sum(const Graph& graph, NodeId id, const Placement& places) {
  std::vector<AxisId> layout = graph.node(id).type.axes;
  const Leaves none(graph.nodes.size());
  if (!is_matrix_product(graph, id, none)) return layout;
  const NodeId term = graph.node(id).inputs[0];
  const auto fits = [&](AxisId axis) {
    const Extent& extent = graph.axis(axis).extent;
    const bool narrow = extent.size() == 1 && extent[0].kind == ExtentTerm::Kind::Number &&
                        extent[0].number < kNarrow;
    return !narrow && is_side_by_side(graph, term, axis, places);
  };
  const auto best = std::find_if(layout.rbegin(), layout.rend(), fits);
  if (best != layout.rend()) std::rotate(best.base() - 1, best.base(), layout.end());
  return layout;
}

class Declaration {
 public:
  explicit Declaration(const Graph& graph) : graph_(graph) {}

  Layout operator()() {
    for (const Axis& axis : graph_.axes)
      all_.symbols.push_back({axis.name, size_of(axis.extent), -1});
    inputs();
    outputs();
    for (const Kernel& kernel : graph_.kernels)
      for (std::size_t n = 0; n < kernel.results.size(); n++)
        if (kernel.slots[n] != kNone) stored(kernel, kernel.results[n], kernel.slots[n]);
    degrees();
    return std::move(all_);
  }

 private:
  Place place(const std::string& name, Buffer::Role role, std::vector<AxisId> layout, Dtype dtype) {
    Buffer buffer{name, role, dtype, {}, -1};
    for (const AxisId axis : layout) buffer.shape.push_back(extent_size(axis));
    all_.buffers.push_back(std::move(buffer));
    return {static_cast<int>(all_.buffers.size()) - 1, dtype, std::move(layout)};
  }

  void inputs() {
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++) {
      const Node& node = graph_.node(id);
      if (const Input* input = input_of(node))
        all_.places[id] = place(input->name, Buffer::Role::input, node.type.axes, node.type.dtype);
    }
  }

  void outputs() {
    std::set<NodeId> made_here;
    for (const Kernel& kernel : graph_.kernels) {
      invariant(kernel.slots.size() == kernel.results.size(), "the pass plan_buffers has not run");
      for (std::size_t n = 0; n < kernel.results.size(); n++)
        if (kernel.slots[n] == kNone) made_here.insert(kernel.results[n]);
    }
    for (const Output& output : graph_.outputs) {
      if (is_check(output)) continue;
      Place where = place(output.name, Buffer::Role::output, output.layout,
                          graph_.node(output.node).type.dtype);
      if (made_here.erase(output.node) == 1)
        all_.places[output.node] = std::move(where);
      else
        all_.copies.push_back({output.name, output.node, std::move(where)});
    }
    invariant(made_here.empty(), "a result has neither a slot nor an output");
  }

  void stored(const Kernel& kernel, NodeId id, int slot) {
    const Node& node = graph_.node(id);
    const bool padded = folds_rows(graph_, kernel, id);
    Place& where = all_.places[id] =
        place(node.name.empty() ? "%" + std::to_string(id) : node.name, Buffer::Role::stored,
              order(kernel, id), between(node.type.dtype));
    buffer(where).slot = slot;
    all_.slots = std::max(all_.slots, slot + 1);
    if (!padded) return;
    where.padded = kernel.column;
    where.multiple = kernel.column_block;
    for (std::size_t n = 0; n < where.layout.size(); n++)
      if (where.layout[n] == kernel.column) buffer(where).shape[n] = padded_columns(kernel);
  }

  std::vector<AxisId> order(const Kernel& kernel, NodeId id) const {
    const std::vector<AxisId>& axes = graph_.node(id).type.axes;
    if (folds_rows(graph_, kernel, id)) return features_last(graph_, kernel, id, kernel.column);
    if (kernel.row != kNone && !graph_.node(id).type.has(kernel.column))
      return features_last(graph_, kernel, id, kernel.row);
    const bool plain = kernel.row == kNone && kernel.column == kNone;
    return plain ? order_for_sum(graph_, id, all_.places) : axes;
  }

  void degrees() {
    for (std::size_t a = 0; a < graph_.axes.size(); a++) {
      const NodeId degree = graph_.axes[a].degree;
      if (degree == kNone) continue;
      invariant(all_.places.contains(degree), "the degree of a ragged axis is stored nowhere");
      all_.symbols[a].largest_of = all_.places.at(degree).buffer;
      all_.symbols[a].from = from_inputs(graph_, degree);
      all_.symbols[a].size.clear();
    }
  }

  Buffer& buffer(const Place& place) {
    return all_.buffers[static_cast<std::size_t>(place.buffer)];
  }

  const Graph& graph_;
  Layout all_;
};

}  // namespace

Layout lay_out(const Graph& graph) { return Declaration(graph)(); }

runtime::Size extent_size(AxisId axis) { return {{runtime::SizeTerm::Kind::symbol, axis}}; }

runtime::Size padded_columns(const Kernel& kernel) {
  using K = runtime::SizeTerm::Kind;
  return {{K::symbol, kernel.column},
          {K::number, kernel.column_block},
          {K::ceil_div, 0},
          {K::number, kernel.column_block},
          {K::mul, 0}};
}

}  // namespace fovea::codegen
