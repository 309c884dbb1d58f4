#include "codegen/lower_program.h"

#include <Halide.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <set>
#include <span>
#include <type_traits>
#include <utility>

#include "codegen/lower.h"
#include "codegen/predicate.h"
#include "ir/checks.h"
#include "ir/query.h"
#include "ir/require.h"
#include "ir/worklist.h"

namespace fovea::codegen {
namespace {

using namespace ir;
using runtime::Buffer;
using runtime::Check;
using runtime::Plain;
using runtime::Step;
using runtime::Tiled;

std::optional<int> position(const std::vector<AxisId>& axes, AxisId axis) {
  const auto at = std::ranges::find(axes, axis);
  return at == axes.end() ? std::nullopt : std::optional(static_cast<int>(at - axes.begin()));
}

// Members are walked together, from one list of blocks, and only rows fold what they have.
void check_shared(const Graph& graph, const Kernel& kernel, const Region& region) {
  const auto varies = [&](NodeId mask) {
    return mask != kNone && graph.node(mask).type.has(kernel.shared);
  };
  const bool walks = kernel.lanes == Lanes::Columns && position(region.batch, kernel.shared) &&
                     std::ranges::all_of(region.reductions, &PlaneReduction::over_columns) &&
                     std::ranges::none_of(
                         kernel.results, [&](NodeId id) { return is_on_plane(graph, kernel, id); });
  require(
      walks && !varies(kernel.visible) && !varies(kernel.solid), Code::invalid_config,
      "kernel '{}' says share={}: expected lanes=columns, nothing folded over rows or stored on "
      "its plane, and an axis "
      "that everything on its plane has and no mask",
      kernel.name, graph.axis(kernel.shared).name);
}

class Lowering {
 public:
  Lowering(const Graph& graph, const Target& target, bool with_statements = false)
      : graph_(graph),
        target_(target),
        with_statements_(with_statements),
        layout_(lay_out(graph)),
        checked_(checked_reads(graph)) {}

  LoweredProgram operator()() {
    result_.program.symbols = layout_.symbols;
    result_.program.buffers = layout_.buffers;
    result_.program.slots = layout_.slots;
    std::vector<ReadCheck> checks = read_checks(graph_);
    std::set<NodeId> there;
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++)
      if (is_input(graph_.node(id))) there.insert(id);
    check(checks, there);
    for (const Kernel& kernel : graph_.kernels) {
      timed(kernel.name, [&] { return kernel.row == kNone ? plain(kernel) : tiled(kernel); });
      there.insert(kernel.results.begin(), kernel.results.end());
      check(checks, there);
    }
    for (const Copy& copy : layout_.copies) timed(copy.name, [&] { return this->copy(copy); });
    return std::move(result_);
  }

  LoweredCall exact(const Kernel& kernel) const {
    const std::string name = "fovea_exact_" + symbol_prefix(0, kernel.name);
    return build_for(kernel.name, [&]() -> LoweredCall {
      const Function function = lower_plain(source(kernel, name), results_of(kernel), true);
      return {function.arguments, compiled(function, name)};
    });
  }

 private:
  void add(Step step, LoweredProgram::Effort effort) {
    result_.program.steps.push_back(std::move(step));
    result_.efforts.push_back(effort);
  }

  // Adds the step that is made; waiting for other threads that lower does not count.
  template <class Make>
  void timed(std::string_view kernel, const Make& make) {
    const HalideLock lock;
    const auto start = std::chrono::steady_clock::now();
    const std::size_t before = result_.functions.size();
    Step step = build_for(kernel, make);
    LoweredProgram::Effort effort;
    for (const Bitcode& function : std::span(result_.functions).subspan(before))
      effort.bytes += function.bytes.size();
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start;
    effort.milliseconds = spent.count();
    add(std::move(step), effort);
  }

  // What the next step's functions are called.
  std::string symbol(std::string_view step, std::string_view part) const {
    return symbol_prefix(result_.program.steps.size(), step) + std::string(part);
  }

  Source source(const Kernel& kernel, const std::string& name) const {
    Source result{graph_, layout_.places, Leaves(graph_.nodes.size()), checked_, target_, name};
    for (const auto& [id, place] : layout_.places)
      result.leaves[static_cast<std::size_t>(id)] = true;
    for (const NodeId id : kernel.results) result.leaves[static_cast<std::size_t>(id)] = false;
    return result;
  }

  std::vector<Result> results_of(const Kernel& kernel) const {
    std::vector<Result> results;
    for (const NodeId id : kernel.results) results.push_back({id, layout_.places.at(id)});
    return results;
  }

  Bitcode compiled(const Function& function, const std::string& name) const {
    const Halide::Pipeline pipeline(function.outputs);
    return bitcode(pipeline, function.halide, name, target_, with_statements_);
  }

  std::vector<runtime::Argument> emit(const Function& function, const std::string& name) {
    result_.functions.push_back(compiled(function, name));
    return function.arguments;
  }

  Step plain(const Kernel& kernel) {
    const std::string name = symbol(kernel.name, "");
    Step step;
    step.name = kernel.name;
    Plain plain;
    const Source from = source(kernel, name);
    const Function function = kernel.column == kNone ? lower_plain(from, results_of(kernel), false)
                                                     : walk(kernel, from, plain.cuttable);
    const int separable = separable_dimensions(kernel.results[0]);
    if (kernel.column == kNone) plain.cuttable = std::min(function.cuttable, separable);
    plain.call.arguments = emit(function, name);
    for (const NodeId id : kernel.results) plain.results.push_back(layout_.places.at(id).buffer);
    plain.divisible = kernel.results.size() == 1 && separable > 0;
    plain.excludes =
        kernel.results.size() == 1 && kernel.column == kNone && excludes(kernel.results[0], from);
    step.work = std::move(plain);
    return step;
  }

  // Whether -inf of a result is what its masks hide: where it is not, its kernel stores NaN.
  bool excludes(NodeId id, const Source& from) const {
    return layout_.places.at(id).dtype != Dtype::I4 && !hidden_by(graph_, id, from.leaves).empty();
  }

  Function walk(const Kernel& kernel, const Source& from, int& outer) const {
    Signature signature(graph_, layout_.places);
    const Result result = results_of(kernel).front();
    Function function{from.name, {}, {}, {}};
    function.outputs.push_back(
        lower_walk(from, region_of(graph_, kernel), signature, result, outer));
    function.halide = signature.halide();
    function.arguments = signature.runtime();
    return function;
  }

  // Along how many of its slowest dimensions pieces of a result can be computed alone.
  int separable_dimensions(NodeId id) const {
    const std::vector<AxisId>& layout = layout_.places.at(id).layout;
    const AxisId ordered = ordered_axis(graph_.node(id));
    return static_cast<int>(std::ranges::find(layout, ordered) - layout.begin());
  }

  Step tiled(const Kernel& kernel) {
    const Region region = region_of(graph_, kernel);
    if (kernel.shared != kNone) check_shared(graph_, kernel, region);
    const Source from = source(kernel, symbol(kernel.name, ""));
    const TiledFunctions functions = lower_tiled(from, kernel, region, [this](Buffer buffer) {
      result_.program.buffers.push_back(std::move(buffer));
      return static_cast<int>(result_.program.buffers.size()) - 1;
    });
    Step step;
    step.name = kernel.name;
    Tiled& loop = step.work.emplace<Tiled>();
    loop.batch.assign(region.batch.begin(), region.batch.end());
    loop.rows = kernel.row;
    loop.columns = kernel.column;
    loop.row_tile = kernel.row_tile;
    loop.column_block = kernel.column_block;
    loop.chunk = kernel.chunk;
    if (kernel.shared != kNone) {
      loop.shared = position(region.batch, kernel.shared).value();
      loop.members = kernel.members;
    }
    if (!functions.prepare.outputs.empty())
      loop.prepare.arguments = emit(functions.prepare, symbol(kernel.name, "_prepare"));
    loop.step.arguments = emit(functions.step, symbol(kernel.name, ""));
    if (functions.revisit)
      loop.revisit.arguments = emit(*functions.revisit, symbol(kernel.name, "_revisit"));
    if (!functions.finish.outputs.empty())
      loop.finish.arguments = emit(functions.finish, symbol(kernel.name, "_finish"));
    if (functions.carried) {
      loop.absorb.arguments = emit(functions.carried->absorb, symbol(kernel.name, "_absorb"));
      loop.recall.arguments = emit(functions.carried->recall, symbol(kernel.name, "_recall"));
      loop.carried = functions.carried->buffers;
    }
    loop.accumulators = functions.accumulators;
    loop.doubt = functions.doubt;
    loop.states = functions.states;
    loop.packed = functions.packed;
    loop.pair_work = static_cast<float>(functions.pair_work);
    for (const NodeId id : kernel.results) {
      Tiled::Result result = along(kernel, region, id);
      result.excludes = is_on_plane(graph_, kernel, id) && excludes(id, from);
      for (std::size_t n = 0; n < functions.maxima.size(); n++)
        if (needs(graph_, id, [&](NodeId at) { return at == functions.maxima[n]; }))
          result.maxima |= doubt_bit(n);
      loop.results.push_back(std::move(result));
    }
    loop.mask = mask(kernel, region, from);
    return step;
  }

  Tiled::Result along(const Kernel& kernel, const Region& region, NodeId id) const {
    Tiled::Result result{layout_.places.at(id).buffer, {}};
    for (const AxisId axis : layout_.places.at(id).layout)
      result.along.push_back(axis == kernel.row ? Tiled::kRows
                             : axis == kernel.column
                                 ? Tiled::kColumns
                                 : position(region.batch, axis).value_or(Tiled::kWhole));
    return result;
  }

  runtime::Mask mask(const Kernel& kernel, const Region& region, const Source& from) {
    if (kernel.visible == kNone && kernel.solid == kNone) return {};
    Places where;
    where.row = kernel.row;
    where.column = kernel.column;
    where.batch = [&](AxisId axis) { return position(region.batch, axis); };
    where.symbol = [](AxisId axis) { return std::optional<int>(axis); };
    where.stored = [&](NodeId id) -> std::optional<Places::Stored> {
      if (!from.leaves[static_cast<std::size_t>(id)]) return std::nullopt;
      return Places::Stored{layout_.places.at(id).buffer, layout_.places.at(id).layout};
    };
    const BlockPredicate visible = predicate(graph_, kernel.visible, where);
    const BlockPredicate solid = predicate(graph_, kernel.solid, where);
    runtime::Mask mask{visible.code, solid.code, {}};
    if (!visible.decided || !solid.decided)
      mask.evaluate.arguments =
          emit(lower_mask(from, kernel, region), symbol(kernel.name, "_evaluate"));
    return mask;
  }

  Step copy(const Copy& copy) {
    Step step;
    step.name = copy.name + "_copy";
    const std::string name = symbol(step.name, "");
    Plain plain;
    plain.call.arguments =
        emit(lower_plain(source({}, name), {{copy.node, copy.place}}, false), name);
    plain.results.push_back(copy.place.buffer);
    plain.divisible = !copy.place.layout.empty();
    step.work = std::move(plain);
    return step;
  }

  // Adds the checks whose bounds are there, and takes them from the list.
  void check(std::vector<ReadCheck>& checks, const std::set<NodeId>& there) {
    std::erase_if(checks, [&](const ReadCheck& each) {
      if (!there.contains(each.low) || !there.contains(each.high)) return false;
      Step step;
      step.name = "check" + std::to_string(result_.program.steps.size());
      step.work = Check{layout_.places.at(each.low).buffer, layout_.places.at(each.high).buffer,
                        each.axis, each.what};
      add(std::move(step), {});
      return true;
    });
  }

  const Graph& graph_;
  const Target& target_;
  const bool with_statements_;
  Layout layout_;
  std::vector<bool> checked_;
  LoweredProgram result_;
};

}  // namespace

LoweredProgram lower_program(const Graph& graph, const Target& target, bool with_statements) {
  return Lowering(graph, target, with_statements)();
}

LoweredCall lower_exact(const Graph& graph, std::size_t kernel, const Target& target) {
  return Lowering(graph, target).exact(graph.kernels[kernel]);
}

void for_each_call(runtime::Program& program,
                   const std::function<void(runtime::Call&, const std::string& symbol)>& visit) {
  for (std::size_t n = 0; n < program.steps.size(); n++) {
    Step& step = program.steps[n];
    const std::string prefix = symbol_prefix(n, step.name);
    const auto call = [&](runtime::Call& each, std::string_view part) {
      if (!each.arguments.empty()) visit(each, prefix + std::string(part));
    };
    if (auto* plain = std::get_if<Plain>(&step.work)) call(plain->call, "");
    auto* tiled = std::get_if<Tiled>(&step.work);
    if (!tiled) continue;
    call(tiled->prepare, "_prepare");
    call(tiled->step, "");
    call(tiled->revisit, "_revisit");
    call(tiled->finish, "_finish");
    call(tiled->mask.evaluate, "_evaluate");
    call(tiled->absorb, "_absorb");
    call(tiled->recall, "_recall");
  }
}

std::string symbol_prefix(std::size_t step, std::string_view name) {
  std::string result = "fovea_" + std::to_string(step) + "_" + std::string(name);
  for (char& c : result)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return result;
}

}  // namespace fovea::codegen
