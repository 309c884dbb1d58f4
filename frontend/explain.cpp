#include "frontend/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string_view>

#include "codegen/lower_program.h"
#include "frontend/named_planes.h"
#include "ir/carry.h"
#include "ir/extent.h"
#include "ir/query.h"
#include "ir/region.h"
#include "ir/require.h"
#include "passes/extents.h"
#include "runtime/block_list.h"
#include "runtime/parts.h"
#include "runtime/sizes.h"
#include "runtime/view.h"

namespace fovea::frontend {
namespace {

using namespace ir;

using Extents = std::vector<std::int64_t>;
using Lengths = std::vector<double>;  // extents, of ragged axes the mean

double product(const auto& extents, const std::vector<AxisId>& axes) {
  double result = 1;
  for (const AxisId axis : axes) result *= static_cast<double>(extents[axis]);
  return result;
}

// Refuses what no integer of a report holds.
std::int64_t integer(std::optional<std::int64_t> count, const ir::Kernel& kernel,
                     std::string_view what) {
  require(count.has_value(), Code::input_too_large,
          "kernel '{}' has too many {} for these extents: expected at most {}", kernel.name, what,
          std::numeric_limits<std::int64_t>::max());
  return *count;
}

std::optional<std::int64_t> times(std::optional<std::int64_t> a, std::int64_t b) {
  return a ? combine(ExtentTerm::Kind::Mul, *a, b) : a;
}

std::int64_t count(const Extents& extents, const std::vector<AxisId>& axes,
                   const ir::Kernel& kernel, std::string_view what) {
  const auto is_empty = [&](AxisId axis) { return extents[axis] == 0; };
  std::optional<std::int64_t> all = std::ranges::any_of(axes, is_empty) ? 0 : 1;
  for (const AxisId axis : axes) all = times(all, extents[axis]);
  return integer(all, kernel, what);
}

double bytes_of(const Node& node, const Lengths& extents) {
  return runtime::row(node.type.dtype).bits / 8.0 * product(extents, node.type.axes);
}

// What one element of the plane costs: contractions to it and from it, and element-wise work on it.
class PlaneCost {
 public:
  PlaneCost(const Graph& graph, const Region& region, const Extents& extents)
      : graph_(graph), region_(region), extents_(extents) {}

  double flops(const ir::Kernel& kernel) {
    for (const PlaneReduction& reduction : region_.reductions) {
      const Node& node = graph_.node(reduction.node);
      if (std::get<Reduce>(node.op).fn != ReduceFn::Sum) continue;
      const double features = others(node.type);
      if (features > 1) total_ += 2 * features;
      visit(node.inputs[0]);
    }
    // What is stored on the plane and needs whole rows is computed in a second walk.
    for (const NodeId result : kernel.results) {
      if (!is_on_plane(graph_, kernel, result)) continue;
      if (!plane_reductions_of(graph_, result, region_.row, region_.column, region_.leaves).empty())
        seen_.clear();
      visit(result);
    }
    return total_;
  }

 private:
  double others(const Type& type) const {
    double result = 1;
    for (const AxisId axis : type.axes)
      if (axis != region_.row && axis != region_.column &&
          std::ranges::find(region_.batch, axis) == region_.batch.end())
        result *= static_cast<double>(extents_[axis]);
    return result;
  }

  void visit(NodeId id) {
    if (region_.leaves[id] || !seen_.insert(id).second) return;
    const Node& node = graph_.node(id);
    const Reduce* reduce = reduce_of(node);
    if (reduce && node.type.has(region_.row) && node.type.has(region_.column))
      total_ += 2 * static_cast<double>(extents_[reduce->axis]) * others(node.type);
    for (const NodeId input : node.inputs) visit(input);
  }

  const Graph& graph_;
  const Region& region_;
  const Extents& extents_;
  std::set<NodeId> seen_;
  double total_ = 0;
};

// What a kernel off the plane costs: 2 for every term of a sum.
double plain_flops(const Graph& graph, const ir::Kernel& kernel, const Lengths& extents,
                   const std::set<NodeId>& stored) {
  double total = 0;
  std::vector<NodeId> stack(kernel.results);
  std::set<NodeId> seen;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (!seen.insert(id).second) continue;
    const Node& node = graph.node(id);
    const bool own = std::ranges::find(kernel.results, id) != kernel.results.end();
    if (stored.contains(id) && !own) continue;
    if (const Reduce* reduce = reduce_of(node))
      total += 2 * product(extents, node.type.axes) * static_cast<double>(extents[reduce->axis]);
    for (const NodeId input : node.inputs) stack.push_back(input);
  }
  return total;
}

// The mean length of an axis that runs along a part of another, each part from where the last one
// ended (edge = row_start[i] + n); 0 if that is not how it is read.
double mean_length(const Graph& graph, AxisId ragged, const Extents& extents) {
  const auto runs = [&](NodeId coordinate) {
    const Node& node = graph.node(coordinate);
    return is_map(node, Fn::Add) && std::ranges::any_of(node.inputs, [&](NodeId input) {
             const Index* index = index_of(graph.node(input));
             return index && index->axis == ragged;
           });
  };
  const Node& degree = graph.node(graph.axis(ragged).degree);
  for (const Node& node : graph.nodes) {
    const Read* read = read_of(node);
    for (std::size_t n = 0; read && n < read->at.size(); n++)
      if (runs(node.inputs[n + 1]))
        return static_cast<double>(extents[read->at[n].axis]) /
               std::max(product(extents, degree.type.axes), 1.0);
  }
  return 0;
}

Lengths lengths_of(const Graph& graph, const Extents& extents) {
  Lengths lengths(extents.begin(), extents.end());
  for (AxisId axis = 0; axis < static_cast<AxisId>(graph.axes.size()); axis++)
    if (graph.axis(axis).degree != kNone) lengths[axis] = mean_length(graph, axis, extents);
  return lengths;
}

// Whether rows of memory are read wherever another tensor says, for every element of a ragged axis.
bool gathers(const Graph& graph, const Node& node) {
  if (!is_read(node)) return false;
  return std::ranges::any_of(node.type.axes,
                             [&](AxisId axis) { return graph.axis(axis).degree != kNone; });
}

// Inputs and results of other kernels that a kernel reads, and its own results.
double traffic(const Graph& graph, const ir::Kernel& kernel, const Lengths& extents,
               const std::set<NodeId>& stored) {
  double total = 0;
  std::vector<NodeId> stack(kernel.results);
  std::set<NodeId> seen;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (!seen.insert(id).second) continue;
    const bool own = std::ranges::find(kernel.results, id) != kernel.results.end();
    if (own || stored.contains(id) || is_input(graph.node(id)))
      total += bytes_of(graph.node(id), extents);
    if (stored.contains(id) && !own) continue;
    const bool gathered = gathers(graph, graph.node(id));
    if (gathered) total += bytes_of(graph.node(id), extents);
    const std::vector<NodeId>& inputs = graph.node(id).inputs;
    stack.insert(stack.end(), inputs.begin() + (gathered ? 1 : 0), inputs.end());
  }
  return total;
}

// Whether intervals over indices do not tell what a step visits.
bool is_by_data(const runtime::Mask& mask) {
  const auto loads = [](const runtime::Predicate& predicate) {
    return std::ranges::any_of(predicate, [](const runtime::PredicateOp& op) {
      return op.kind == runtime::PredicateOp::Kind::load ||
             op.kind == runtime::PredicateOp::Kind::unknown;
    });
  };
  return mask.evaluate.function || loads(mask.visible) || loads(mask.solid);
}

class Explainer {
 public:
  Explainer(const Graph& graph, const runtime::Program& program, const Sizes& sizes,
            std::span<const NamedView> inputs, int threads, std::span<const runtime::Visits> visits)
      : graph_(graph),
        program_(program),
        inputs_(inputs),
        threads_(threads),
        visits_(visits),
        planes_(named_planes(graph)) {
    extents_ = extents_of(graph, sizes, inputs);
    lengths_ = lengths_of(graph, extents_);
    for (const ir::Kernel& kernel : graph.kernels)
      stored_.insert(kernel.results.begin(), kernel.results.end());
  }

  Report report() {
    Report result;
    for (const ir::Kernel& kernel : graph_.kernels) result.kernels.push_back(explain(kernel));
    result.threads = threads_;
    result.extra_bytes = extra_bytes();
    for (const NamedPlane& plane : planes_)
      result.planes.push_back(
          fmt::format("{} x {}", graph_.axis(plane.row).name, graph_.axis(plane.column).name));
    for (const ir::Kernel& kernel : graph_.kernels) add_kept(kernel, result);
    result.kept_bytes = slot_bytes();
    result.growth = growth_of_all();
    return result;
  }

 private:
  bool is_on_named_plane(const Type& type) const {
    return std::ranges::any_of(planes_, [&](const NamedPlane& plane) {
      return type.has(plane.row) && type.has(plane.column);
    });
  }

  // The axes of unfixed extent that a type has.
  std::vector<AxisId> open_axes(const Type& type) const {
    std::vector<AxisId> open;
    for (const AxisId axis : type.axes)
      if (!passes::fixed_extent(graph_, axis)) open.push_back(axis);
    std::ranges::sort(open);
    return open;
  }

  std::string names_of(const std::vector<AxisId>& axes) const {
    std::string names;
    for (const AxisId axis : axes) names += (names.empty() ? "" : "·") + graph_.axis(axis).name;
    return names.empty() ? "1" : names;
  }

  static bool is_kept(const ir::Kernel& kernel, std::size_t n) {
    return n < kernel.slots.size() && kernel.slots[n] != kNone;
  }

  void add_kept(const ir::Kernel& kernel, Report& report) const {
    for (std::size_t n = 0; n < kernel.results.size(); n++) {
      if (!is_kept(kernel, n)) continue;
      const Node& node = graph_.node(kernel.results[n]);
      KeptReport kept;
      kept.name = node.name.empty() ? "%" + std::to_string(kernel.results[n]) : node.name;
      kept.kernel = kernel.name;
      for (const AxisId axis : node.type.axes) kept.axes.push_back(graph_.axis(axis).name);
      const auto buffer = std::ranges::find(program_.buffers, kept.name, &runtime::Buffer::name);
      invariant(buffer != program_.buffers.end(), "what is kept has a buffer");
      kept.bytes = bytes_of(*buffer);
      kept.growth = "O(" + names_of(open_axes(node.type)) + ")";
      kept.on_plane = is_on_named_plane(node.type);
      report.kept.push_back(std::move(kept));
    }
  }

  // The products of open axes, without those that others contain.
  std::string growth_of_all() const {
    std::vector<std::vector<AxisId>> terms;
    for (const ir::Kernel& kernel : graph_.kernels)
      for (std::size_t n = 0; n < kernel.results.size(); n++)
        if (is_kept(kernel, n)) terms.push_back(open_axes(graph_.node(kernel.results[n]).type));
    if (terms.empty()) return {};
    std::ranges::sort(terms);
    terms.erase(std::unique(terms.begin(), terms.end()), terms.end());
    std::string all;
    for (const auto& term : terms) {
      const bool is_contained = std::ranges::any_of(terms, [&](const auto& other) {
        return other.size() > term.size() && std::ranges::includes(other, term);
      });
      if (!is_contained) all += (all.empty() ? "" : " + ") + names_of(term);
    }
    return "O(" + all + ")";
  }

  // A slot is as large as the largest buffer that is ever in it.
  double slot_bytes() const {
    std::vector<double> slots(static_cast<std::size_t>(program_.slots));
    for (const runtime::Buffer& buffer : program_.buffers) {
      if (buffer.role != runtime::Buffer::Role::stored) continue;
      double& slot = slots[static_cast<std::size_t>(buffer.slot)];
      slot = std::max(slot, bytes_of(buffer));
    }
    return std::accumulate(slots.begin(), slots.end(), 0.0);
  }

  // Scratch is each thread's own.
  double extra_bytes() const {
    double scratch = 0;
    for (const runtime::Buffer& buffer : program_.buffers)
      if (buffer.role == runtime::Buffer::Role::scratch) scratch += bytes_of(buffer);
    double parts = 0;
    for (const ir::Kernel& kernel : graph_.kernels)
      if (kernel.row != kNone) parts = std::max(parts, part_bytes(kernel));
    return slot_bytes() + threads_ * scratch + parts;
  }

  std::size_t step_of(const ir::Kernel& kernel) const {
    const auto step = std::ranges::find(program_.steps, kernel.name, &runtime::Step::name);
    invariant(step != program_.steps.end(), "a kernel has no step");
    return static_cast<std::size_t>(step - program_.steps.begin());
  }
  const runtime::Tiled& loop_of(const ir::Kernel& kernel) const {
    return *program_.steps[step_of(kernel)].tiled();
  }

  // What the states of parts of tiles take, kept for the kernel that needs most.
  double part_bytes(const ir::Kernel& kernel) const {
    const runtime::Tiled& loop = loop_of(kernel);
    const std::int64_t rows = extents_[kernel.row];
    const int parts = runtime::parts_of(loop, rows, extents_[kernel.column]);
    if (parts == 1) return 0;
    double states = 0, packed = 0;
    for (const runtime::Tiled::State& state : loop.states)
      states += bytes_of(program_.buffers[static_cast<std::size_t>(state.buffer)]);
    for (const int buffer : loop.packed)
      packed += bytes_of(program_.buffers[static_cast<std::size_t>(buffer)]);
    const std::int64_t chains = planes_of(kernel, region_of(graph_, kernel));
    if (!runtime::goes_apart(parts, chains, threads_)) return threads_ * (parts + 1) * states;
    const std::int64_t tiles = runtime::tiles_at_once(
        parts, static_cast<std::size_t>(states + packed), static_cast<std::size_t>(states),
        threads_, chains * ((rows + loop.row_tile - 1) / loop.row_tile));
    return static_cast<double>(tiles) * (packed + (parts + 1) * states);
  }

  double bytes_of(const runtime::Buffer& buffer) const {
    double total = static_cast<double>(runtime::element_bytes(buffer.type));
    for (const runtime::Size& size : buffer.shape)
      total *= static_cast<double>(runtime::evaluate(size, extents_).value_or(0));
    return total;
  }

  std::int64_t planes_of(const ir::Kernel& kernel, const Region& region) const {
    return count(extents_, region.batch, kernel, "planes");
  }

  void add_stored(const ir::Kernel& kernel, NodeId result, KernelReport& report) const {
    constexpr std::string_view kWhat = "elements on the plane to store";
    const std::int64_t more = count(extents_, graph_.node(result).type.axes, kernel, kWhat);
    report.plane_elements_stored =
        integer(combine(ExtentTerm::Kind::Add, report.plane_elements_stored, more), kernel, kWhat);
  }

  KernelReport explain(const ir::Kernel& kernel) {
    KernelReport report;
    report.kernel = kernel.name;
    report.symbol = codegen::symbol_prefix(step_of(kernel), kernel.name);
    report.why = kernel.reason;
    report.bytes = traffic(graph_, kernel, lengths_, stored_);
    for (const NodeId id : kernel.results)
      if (is_on_named_plane(graph_.node(id).type)) add_stored(kernel, id, report);
    if (kernel.row == kNone) {
      report.flops = report.flops_all = plain_flops(graph_, kernel, lengths_, stored_);
      return report;
    }
    const Region region = region_of(graph_, kernel);
    report.row_axis = graph_.axis(kernel.row).name;
    report.column_axis = graph_.axis(kernel.column).name;
    report.rows = extents_[kernel.row];
    report.columns = extents_[kernel.column];
    report.batch = planes_of(kernel, region);
    report.row_tile = kernel.row_tile;
    report.column_block = kernel.column_block;
    report.chunk = kernel.chunk;
    report.lanes = kernel.lanes == Lanes::Rows ? "rows" : "columns";
    const double visited = count_tiles(kernel, region, report);
    const double each = PlaneCost(graph_, region, extents_).flops(kernel);
    report.flops = each * visited + carried_flops(kernel, region, report);
    report.flops_all = each * static_cast<double>(report.batch) * static_cast<double>(report.rows) *
                       static_cast<double>(report.columns);
    return report;
  }

  // Of a state: every column joins it once, and every row looks at it once.
  double carried_flops(const ir::Kernel& kernel, const Region& region,
                       const KernelReport& report) const {
    const auto sums = kernel.carries ? carried_sums(graph_, kernel, region) : std::nullopt;
    if (!sums) return 0;
    double each = 0;
    for (const CarriedSum& sum : *sums) {
      std::vector<AxisId> axes = graph_.node(sum.reduction).type.axes;
      std::erase_if(axes, [&](AxisId axis) {
        return axis == kernel.row || std::ranges::find(region.batch, axis) != region.batch.end();
      });
      if (sum.inner != kNone) axes.push_back(sum.inner);
      each += 2 * product(extents_, axes);
    }
    return each * static_cast<double>(report.batch) *
           static_cast<double>(report.rows + report.columns);
  }

  // Fills in the tiles; returns the elements of tiles that are walked over all batch coordinates:
  // what is carried is not.
  double count_tiles(const ir::Kernel& kernel, const Region& region, KernelReport& report) const {
    const bool is_counted = !visits_.empty() && is_by_data(loop_of(kernel).mask);
    const runtime::Visits visits =
        is_counted ? visits_[step_of(kernel)] : visits_of(kernel, region, report);
    report.tiles_full = visits.full;
    report.tiles_partial = visits.partial;
    report.tiles_empty = visits.empty;
    return visits.partial_pairs + (kernel.carries ? 0 : visits.full_pairs);
  }

  // As far as extents and given inputs tell.
  runtime::Visits visits_of(const ir::Kernel& kernel, const Region& region,
                            const KernelReport& report) const {
    const runtime::Mask& mask = loop_of(kernel).mask;
    if (mask.visible.empty() && mask.solid.empty()) return all_visits(kernel, report);
    std::vector<runtime::BufferRef> buffers(program_.buffers.size());
    std::vector<std::vector<std::int64_t>> shapes(program_.buffers.size());
    for (std::size_t n = 0; n < buffers.size(); n++)
      for (const NamedView& named : inputs_)
        if (program_.buffers[n].role == runtime::Buffer::Role::input &&
            program_.buffers[n].name == named.name) {
          shapes[n].assign(named.view.shape.begin(), named.view.shape.end());
          buffers[n] = {named.view.data, program_.buffers[n].type, shapes[n].data(),
                        static_cast<int>(shapes[n].size())};
        }
    runtime::Tiled counted = loop_of(kernel);
    counted.mask.evaluate = {};
    for (runtime::Predicate* predicate : {&counted.mask.visible, &counted.mask.solid})
      if (!known(*predicate, buffers)) *predicate = {{runtime::PredicateOp::Kind::unknown, 0}};
    const runtime::BlockLister lister(program_, counted, extents_, buffers);
    runtime::Visits visits;
    runtime::BlockList list;
    const auto nothing = [](std::uint8_t*, std::uint8_t*) {};
    const bool depends_on_batch =
        uses_batch(counted.mask.visible) || uses_batch(counted.mask.solid);
    const std::int64_t planes =
        depends_on_batch ? report.batch : std::min<std::int64_t>(report.batch, 1);
    std::vector<std::int64_t> at(region.batch.size());
    for (std::int64_t plane = 0; plane < planes; plane++) {
      std::int64_t rest = plane;
      for (std::size_t n = at.size(); n-- > 0;) {
        at[n] = rest % extents_[region.batch[n]];
        rest /= extents_[region.batch[n]];
      }
      for (std::int64_t row = 0; row < report.rows; row += kernel.row_tile) {
        lister.list(at, row, runtime::Evaluate(nothing), list);
        visits += lister.visits(row, list);
      }
    }
    if (planes == 0) return {};
    return copied(visits, report.batch / planes, kernel);
  }

  // Where nothing is masked: there may be too many tiles to list.
  static runtime::Visits all_visits(const ir::Kernel& kernel, const KernelReport& report) {
    const auto pieces = [](std::int64_t extent, int piece) { return (extent + piece - 1) / piece; };
    runtime::Visits visits;
    visits.full =
        pieces(report.rows, kernel.row_tile) * pieces(report.columns, kernel.column_block);
    visits.full_pairs = static_cast<double>(report.rows) * static_cast<double>(report.columns);
    return copied(visits, report.batch, kernel);
  }

  static runtime::Visits copied(const runtime::Visits& visits, std::int64_t planes,
                                const ir::Kernel& kernel) {
    integer(times(visits.full + visits.partial + visits.empty, planes), kernel, "tiles");
    return visits * planes;
  }

  static bool known(const runtime::Predicate& predicate,
                    const std::vector<runtime::BufferRef>& buffers) {
    return std::ranges::all_of(predicate, [&](const runtime::PredicateOp& op) {
      return op.kind != runtime::PredicateOp::Kind::load ||
             buffers[static_cast<std::size_t>(op.value)].data;
    });
  }

  static bool uses_batch(const runtime::Predicate& predicate) {
    return std::ranges::any_of(predicate, [](const runtime::PredicateOp& op) {
      return op.kind == runtime::PredicateOp::Kind::batch;
    });
  }

  const Graph& graph_;
  const runtime::Program& program_;
  std::span<const NamedView> inputs_;
  int threads_;
  std::span<const runtime::Visits> visits_;
  std::vector<NamedPlane> planes_;
  Extents extents_;
  Lengths lengths_;
  std::set<NodeId> stored_;
};

}  // namespace

Extents extents_of(const Graph& graph, const Sizes& sizes, std::span<const NamedView> inputs) {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const NamedView& named : inputs) {
    const auto [at, is_first] = shapes.try_emplace(std::string(named.name));
    require(is_first, Code::invalid_config, "two views are given for input '{}': expected one",
            named.name);
    at->second.assign(named.view.shape.begin(), named.view.shape.end());
  }
  Graph given = graph;
  std::string names;
  std::set<std::string, std::less<>> known;
  for (Node& node : given.nodes) {
    const auto* input = input_of(node);
    if (!input) continue;
    names += " " + input->name;
    known.insert(input->name);
    if (!shapes.contains(input->name)) node.op = Constant{};
  }
  for (const auto& [name, shape] : shapes)
    require(known.contains(name), Code::invalid_config,
            "a view is given for '{}', which is no input of the graph: expected some of{}", name,
            names);
  return resolve_extents(given, shapes, sizes);
}

bool visits_by_data(const runtime::Program& program) {
  return std::ranges::any_of(program.steps, [](const runtime::Step& step) {
    return step.tiled() && is_by_data(step.tiled()->mask);
  });
}

Report explain(const ir::Graph& graph, const runtime::Program& program, const Sizes& sizes,
               std::span<const NamedView> inputs, int threads,
               std::span<const runtime::Visits> visits) {
  return Explainer(graph, program, sizes, inputs, threads, visits).report();
}

}  // namespace fovea::frontend
