#include <Halide.h>

#include "codegen/program.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <set>

#include "codegen/bitcode.h"
#include "codegen/jit.h"
#include "codegen/lower.h"
#include "codegen/object.h"
#include "codegen/predicate.h"
#include "ir/build.h"
#include "ir/error.h"
#include "ir/rewrite.h"

namespace fovea::codegen {
namespace {

using namespace ir;
using runtime::Buffer;

runtime::Type stored(Dtype dtype) {
  switch (dtype) {
    case Dtype::F32: return runtime::Type::f32;
    case Dtype::BF16: return runtime::Type::bf16;
    case Dtype::F16: return runtime::Type::f16;
    case Dtype::I32: return runtime::Type::i32;
    case Dtype::U8: return runtime::Type::u8;
    case Dtype::I8: return runtime::Type::i8;
    case Dtype::I4: return runtime::Type::i4;
    case Dtype::Bool: return runtime::Type::boolean;
  }
  return runtime::Type::f32;
}

// Between kernels values lie as they are computed.
Dtype between(Dtype dtype) {
  if (dtype == Dtype::Bool) return dtype;
  return is_float(dtype) ? Dtype::F32 : Dtype::I32;
}

runtime::Size size_of(const Extent& extent) {
  using From = ExtentTerm::Kind;
  using To = runtime::SizeTerm::Kind;
  const std::map<From, To> kinds = {{From::Number, To::number}, {From::Axis, To::symbol}, {From::Add, To::add},
                                    {From::Sub, To::sub},       {From::Mul, To::mul},     {From::Div, To::div}};
  runtime::Size size;
  for (const ExtentTerm& term : extent)
    size.push_back({kinds.at(term.kind), term.kind == From::Axis ? term.axis : term.number});
  return size;
}

class Compiler : public CompiledProgram {
 public:
  Compiler(const Graph& graph, const Target& target) : graph_(graph), target_(target) {
    const auto start = std::chrono::steady_clock::now();
    declare();
    lower();
    const std::string machine = object(bitcode_, target_);
    code_ = load(machine);
    link();
    program_.exact = [](void* context, int step) { return static_cast<Compiler*>(context)->exact(step); };
    program_.context = this;
    milliseconds_ = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }

  const runtime::Program& program() const override { return program_; }
  double milliseconds() const override { return milliseconds_; }
  bool cached() const override { return false; }

  std::string assembly(std::string_view step) const override {
    std::vector<Bitcode> wanted;
    for (const Bitcode& part : bitcode_)
      if (step.empty() || part.name == symbol(std::string(step)) || part.name.starts_with(symbol(std::string(step)) + "_"))
        wanted.push_back(part);
    return wanted.empty() ? std::string() : codegen::assembly(wanted, target_);
  }

 private:
  static std::string symbol(std::string name) {
    for (char& c : name)
      if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    return "fovea_" + name;
  }

  int add(Buffer buffer) {
    program_.buffers.push_back(std::move(buffer));
    return static_cast<int>(program_.buffers.size()) - 1;
  }

  // --- symbols, and where inputs, outputs and stored values lie

  void declare() {
    for (const Axis& axis : graph_.axes)
      program_.symbols.push_back({axis.name, size_of(axis.extent), -1});
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++)
      if (const Input* input = std::get_if<Input>(&graph_.node(id).op))
        place(id, input->name, Buffer::Role::input, graph_.node(id).type.axes, graph_.node(id).type.dtype);
    std::set<NodeId> folded;  // over rows: padded, so never an output itself
    for (const ir::Kernel& kernel : graph_.kernels)
      if (kernel.row != kNone)
        for (const NodeId id : kernel.results)
          if (const Reduce* reduce = std::get_if<Reduce>(&graph_.node(id).op); reduce && reduce->axis == kernel.row)
            folded.insert(id);
    for (const Output& output : graph_.outputs) {
      const NodeId id = output.node;
      if (output.name.starts_with(kCheckPrefix)) continue;
      if (places_.contains(id) || folded.contains(id)) {
        copies_.push_back(&output);
        continue;
      }
      place(id, output.name, Buffer::Role::output, output.layout, graph_.node(id).type.dtype);
    }
    for (const ir::Kernel& kernel : graph_.kernels)
      for (const NodeId id : kernel.results)
        if (!places_.contains(id)) declare_stored(kernel, id);
    for (std::size_t a = 0; a < graph_.axes.size(); a++)
      if (const NodeId degree = graph_.axes[a].degree; degree != kNone) {
        invariant(places_.contains(degree), "the degree of a ragged axis is stored nowhere");
        program_.symbols[a].largest_of = places_.at(degree).buffer;
        program_.symbols[a].size.clear();
      }
    assign_slots();
  }

  int place(NodeId id, const std::string& name, Buffer::Role role, std::vector<AxisId> layout, Dtype dtype) {
    Buffer buffer{name, role, stored(dtype), {}, -1};
    for (const AxisId axis : layout) buffer.shape.push_back(extent_size(graph_, axis));
    const int index = add(std::move(buffer));
    places_[id] = {index, dtype, std::move(layout)};
    return index;
  }

  void declare_stored(const ir::Kernel& kernel, NodeId id) {
    const Node& node = graph_.node(id);
    std::vector<AxisId> layout = node.type.axes;
    const Reduce* reduce = std::get_if<Reduce>(&node.op);
    const bool over_rows = kernel.row != kNone && reduce && reduce->axis == kernel.row;
    if (over_rows) {
      // Columns and then the last feature are the fastest: what the kernel adds to in registers.
      const Region region = region_of(graph_, kernel);
      std::vector<AxisId> batch, features;
      for (const AxisId axis : layout)
        if (axis != kernel.column)
          (std::ranges::find(region.batch, axis) != region.batch.end() ? batch : features).push_back(axis);
      const AxisId last = features.empty() ? kNone : features.back();
      if (last != kNone) features.pop_back();
      layout = batch;
      layout.insert(layout.end(), features.begin(), features.end());
      layout.push_back(kernel.column);
      if (last != kNone) layout.push_back(last);
    }
    const int index = place(id, node.name.empty() ? "%" + std::to_string(id) : node.name, Buffer::Role::stored,
                            layout, between(node.type.dtype));
    if (over_rows)
      for (std::size_t n = 0; n < layout.size(); n++)
        if (layout[n] == kernel.column) program_.buffers[index].shape[n] = padded_columns(kernel);
  }

  // A slot is free again after the last kernel that reads its buffer.
  void assign_slots() {
    std::map<int, int> last_use;  // buffer → kernel
    std::map<int, int> made;
    for (std::size_t k = 0; k < graph_.kernels.size(); k++) {
      for (const NodeId id : graph_.kernels[k].results) made[places_.at(id).buffer] = static_cast<int>(k);
      for (const int buffer : needs(graph_.kernels[k])) last_use[buffer] = static_cast<int>(k);
    }
    const int end = static_cast<int>(graph_.kernels.size());
    for (const Output* copy : copies_) last_use[places_.at(copy->node).buffer] = end;
    for (const Axis& axis : graph_.axes)
      if (axis.degree != kNone) last_use[places_.at(axis.degree).buffer] = end;
    for (const Output& output : graph_.outputs)
      if (output.name.starts_with(kCheckPrefix)) last_use[places_.at(output.node).buffer] = end;
    std::vector<int> busy_until;
    for (std::size_t k = 0; k < graph_.kernels.size(); k++)
      for (const NodeId id : graph_.kernels[k].results) {
        Buffer& buffer = program_.buffers[places_.at(id).buffer];
        if (buffer.role != Buffer::Role::stored) continue;
        const auto free = std::ranges::find_if(busy_until, [&](int until) { return until < static_cast<int>(k); });
        buffer.slot = static_cast<int>(free - busy_until.begin());
        if (free == busy_until.end()) busy_until.push_back(0);
        busy_until[buffer.slot] = std::max(last_use[places_.at(id).buffer], static_cast<int>(k));
      }
    program_.slots = static_cast<int>(busy_until.size());
  }

  // Buffers of other kernels' results that a kernel reads.
  std::set<int> needs(const ir::Kernel& kernel) const {
    std::set<int> result;
    std::vector<NodeId> stack(kernel.results);
    for (const NodeId mask : {kernel.visible, kernel.solid})
      if (mask != kNone) stack.push_back(mask);
    const std::set<NodeId> own(kernel.results.begin(), kernel.results.end());
    std::set<NodeId> seen;
    while (!stack.empty()) {
      const NodeId id = stack.back();
      stack.pop_back();
      if (!seen.insert(id).second) continue;
      if (places_.contains(id) && !own.contains(id)) {
        result.insert(places_.at(id).buffer);
        continue;
      }
      for (const NodeId input : graph_.node(id).inputs) stack.push_back(input);
      if (const Reduce* reduce = std::get_if<Reduce>(&graph_.node(id).op))
        if (graph_.axis(reduce->axis).degree != kNone) stack.push_back(graph_.axis(reduce->axis).degree);
    }
    return result;
  }

  // --- functions

  Source source(const ir::Kernel& kernel, const std::string& name) const {
    Source result{graph_, places_, Leaves(graph_.nodes.size()), checked_, target_, name};
    for (const auto& [id, place] : places_) result.leaves[id] = true;
    for (const NodeId id : kernel.results) result.leaves[id] = false;
    return result;
  }

  void lower() {
    find_checked();
    for (const ir::Kernel& kernel : graph_.kernels) {
      runtime::Step step;
      step.name = kernel.name;
      if (kernel.row == kNone)
        plain(kernel, step);
      else
        tiled(kernel, step);
      program_.steps.push_back(std::move(step));
      kernel_of_.push_back(&kernel);
      add_checks(kernel);
    }
    for (const Output* output : copies_) copy(*output);
  }

  std::vector<runtime::Argument> emit(const Function& function, const std::string& name) {
    auto lock = halide_lock();
    const Halide::Pipeline pipeline(function.outputs);
    bitcode_.push_back(codegen::bitcode(pipeline, function.halide, symbol(name), target_));
    return function.arguments;
  }

  void plain(const ir::Kernel& kernel, runtime::Step& step) {
    step.kind = runtime::Step::Kind::plain;
    auto lock = halide_lock();
    const Source from = source(kernel, symbol(kernel.name));
    std::vector<Result> results;
    for (const NodeId id : kernel.results) results.push_back({id, places_.at(id)});
    step.plain.call.arguments = emit(lower_plain(from, results, false), step.name);
    for (const NodeId id : kernel.results) step.plain.results.push_back(places_.at(id).buffer);
    step.plain.divisible = kernel.results.size() == 1 && divisible(kernel.results[0]);
  }

  // Whether a piece along the slowest dimension can be computed alone.
  bool divisible(NodeId id) const {
    const std::vector<AxisId>& layout = places_.at(id).layout;
    if (layout.empty()) return false;
    const Node& node = graph_.node(id);
    if (const Scan* scan = std::get_if<Scan>(&node.op)) return scan->axis != layout[0];
    if (const TopK* topk = std::get_if<TopK>(&node.op)) return topk->into != layout[0];
    return true;
  }

  void tiled(const ir::Kernel& kernel, runtime::Step& step) {
    step.kind = runtime::Step::Kind::tiled;
    auto lock = halide_lock();
    const Region region = region_of(graph_, kernel);
    const Source from = source(kernel, symbol(kernel.name));
    const TiledFunctions functions =
        lower_tiled(from, kernel, region, [this](Buffer buffer) { return add(std::move(buffer)); });
    runtime::Tiled& loop = step.tiled;
    loop.batch.assign(region.batch.begin(), region.batch.end());
    loop.rows = kernel.row;
    loop.columns = kernel.column;
    loop.row_tile = kernel.row_tile;
    loop.column_block = kernel.column_block;
    loop.chunk = kernel.chunk;
    loop.prepare.arguments = emit(functions.prepare, step.name + "_prepare");
    loop.step.arguments = emit(functions.step, step.name);
    if (!functions.finish.outputs.empty())
      loop.finish.arguments = emit(functions.finish, step.name + "_finish");
    loop.accumulators = functions.accumulators;
    loop.doubt = functions.doubt;
    for (const NodeId id : kernel.results) {
      runtime::Tiled::Result result{places_.at(id).buffer, {}};
      for (const AxisId axis : places_.at(id).layout) {
        const auto batch = std::ranges::find(region.batch, axis);
        result.along.push_back(axis == kernel.row             ? runtime::Tiled::kRows
                               : batch != region.batch.end() ? static_cast<int>(batch - region.batch.begin())
                                                              : runtime::Tiled::kWhole);
      }
      loop.results.push_back(std::move(result));
    }
    mask(kernel, region, from, step);
  }

  void mask(const ir::Kernel& kernel, const Region& region, const Source& from, runtime::Step& step) {
    if (kernel.visible == kNone && kernel.solid == kNone) return;
    Places where;
    where.row = kernel.row;
    where.column = kernel.column;
    where.batch = [&](AxisId axis) -> std::optional<int> {
      const auto at = std::ranges::find(region.batch, axis);
      if (at == region.batch.end()) return std::nullopt;
      return static_cast<int>(at - region.batch.begin());
    };
    where.symbol = [](AxisId axis) { return std::optional<int>(axis); };
    where.stored = [&](NodeId id) -> std::optional<Places::Stored> {
      if (!from.leaves[id]) return std::nullopt;
      return Places::Stored{places_.at(id).buffer, places_.at(id).layout};
    };
    const BlockPredicate visible = predicate(graph_, kernel.visible, where);
    const BlockPredicate solid = predicate(graph_, kernel.solid, where);
    runtime::Mask& mask = step.tiled.mask;
    mask.visible = visible.code;
    mask.solid = solid.code;
    if (visible.decided && solid.decided) return;
    mask.evaluate.arguments = emit(lower_mask(from, kernel, region), step.name + "_evaluate");
  }

  void copy(const Output& output) {
    runtime::Step step;
    step.name = output.name + "_copy";
    step.kind = runtime::Step::Kind::plain;
    Buffer buffer{output.name, Buffer::Role::output, stored(graph_.node(output.node).type.dtype), {}, -1};
    for (const AxisId axis : output.layout) buffer.shape.push_back(extent_size(graph_, axis));
    const Place place{add(std::move(buffer)), graph_.node(output.node).type.dtype, output.layout};
    auto lock = halide_lock();
    const Source from = source({}, symbol(step.name));
    step.plain.call.arguments = emit(lower_plain(from, {{output.node, place}}, false), step.name);
    step.plain.results.push_back(place.buffer);
    step.plain.divisible = !output.layout.empty();
    program_.steps.push_back(std::move(step));
    kernel_of_.push_back(nullptr);
  }

  // --- checks of gathered coordinates

  void find_checked() {
    checked_.assign(graph_.nodes.size(), false);
    const std::vector<bool> free = depends_on_input(graph_, true);
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); id++) {
      const Read* read = std::get_if<Read>(&graph_.node(id).op);
      if (!read) continue;
      // All of its coordinates without an alternative must be checked ones.
      bool all = true;
      std::size_t next = 1;
      for (const Read::Coordinate& at : read->at) {
        if (!at.otherwise && !free[graph_.node(id).inputs[next]]) all = false;
        next += at.otherwise ? 2 : 1;
      }
      checked_[id] = all;
    }
  }

  // "?low axis#n what" and "?high …": the check comes after the kernel that stores the second.
  void add_checks(const ir::Kernel& kernel) {
    for (const NodeId id : kernel.results) stored_.insert(id);
    for (std::size_t n = 0; n + 1 < graph_.outputs.size(); n++) {
      const Output& low = graph_.outputs[n];
      if (!low.name.starts_with("?low ")) continue;
      const Output& high = graph_.outputs[n + 1];
      if (!stored_.contains(low.node) || !stored_.contains(high.node) || !done_.insert(n).second) continue;
      runtime::Step step;
      step.kind = runtime::Step::Kind::check;
      step.name = "check" + std::to_string(n);
      const std::string rest = low.name.substr(5);
      const std::size_t space = rest.find(' ');
      step.check = {places_.at(low.node).buffer, places_.at(high.node).buffer,
                    find_axis(graph_, rest.substr(0, space)), rest.substr(space + 1)};
      program_.steps.push_back(std::move(step));
      kernel_of_.push_back(nullptr);
    }
  }

  // --- machine code

  void link() {
    const auto bind = [&](runtime::Call& call, const std::string& name) {
      if (call.arguments.empty()) return;
      call.function = code_->find(symbol(name));
      invariant(call.function != nullptr, "a compiled function is missing");
    };
    for (runtime::Step& step : program_.steps) {
      bind(step.plain.call, step.name);
      bind(step.tiled.prepare, step.name + "_prepare");
      bind(step.tiled.step, step.name);
      bind(step.tiled.finish, step.name + "_finish");
      bind(step.tiled.mask.evaluate, step.name + "_evaluate");
    }
  }

  const runtime::Call* exact(int index) {
    const std::lock_guard guard(exact_mutex_);
    if (const auto known = exact_.find(index); known != exact_.end()) return &known->second;
    const ir::Kernel* kernel = kernel_of_[static_cast<std::size_t>(index)];
    if (kernel == nullptr) return nullptr;
    auto lock = halide_lock();
    const std::string name = kernel->name + "_exact";
    std::vector<Result> results;
    for (const NodeId id : kernel->results) results.push_back({id, places_.at(id)});
    const Function function = lower_plain(source(*kernel, symbol(name)), results, true);
    const Bitcode part = codegen::bitcode(Halide::Pipeline(function.outputs), function.halide, symbol(name), target_);
    exact_code_.push_back(load(object({{part}}, target_)));
    runtime::Call call{exact_code_.back()->find(symbol(name)), function.arguments};
    return &exact_.emplace(index, std::move(call)).first->second;
  }

  Graph graph_;
  Target target_;
  runtime::Program program_;
  Placement places_;
  std::vector<const Output*> copies_;
  std::vector<bool> checked_;
  std::set<NodeId> stored_;
  std::set<std::size_t> done_;
  std::vector<const ir::Kernel*> kernel_of_;  // by step
  std::vector<Bitcode> bitcode_;
  std::shared_ptr<const LoadedObject> code_;
  double milliseconds_ = 0;
  std::mutex exact_mutex_;
  std::map<int, runtime::Call> exact_;
  std::vector<std::shared_ptr<const LoadedObject>> exact_code_;
};

}  // namespace

Graph check_reads(const Graph& graph) {
  const std::vector<bool> free = depends_on_input(graph, true);
  bool any = false;
  for (const Node& node : graph.nodes) any |= std::holds_alternative<Read>(node.op);
  if (!any) return graph;
  Builder into(graph);
  std::vector<NodeId> made(graph.nodes.size(), kNone);
  std::vector<Output> outputs;
  std::set<std::pair<NodeId, AxisId>> seen;
  std::vector<Output> checks;
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); id++) {
    const Node& node = graph.node(id);
    std::vector<NodeId> inputs;
    for (const NodeId input : node.inputs) inputs.push_back(made[input]);
    if (const Input* input = std::get_if<Input>(&node.op))
      made[id] = into.input(input->name, node.type.dtype, node.type.axes);
    else
      made[id] = into.node(node.op, inputs, node.type.dtype);
    if (!node.name.empty()) into.set_name(made[id], node.name);
    for (std::size_t a = 0; a < graph.axes.size(); a++)
      if (graph.axes[a].degree == id) into.set_degree(static_cast<AxisId>(a), made[id]);
    const Read* read = std::get_if<Read>(&node.op);
    if (!read) continue;
    std::size_t next = 1;
    for (const Read::Coordinate& at : read->at) {
      const NodeId coordinate = node.inputs[next];
      next += at.otherwise ? 2 : 1;
      if (at.otherwise || !free[coordinate] || graph.axis(at.axis).degree != kNone ||
          !seen.insert({coordinate, at.axis}).second)
        continue;
      NodeId low = made[coordinate], high = made[coordinate];
      // Axes that only a ragged axis has been counted along come last.
      for (bool more = true; more;) {
        more = false;
        const std::vector<AxisId> axes = into[low].type.axes;
        for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
          low = into.reduce(ReduceFn::Min, *axis, low);
          high = into.reduce(ReduceFn::Max, *axis, high);
          more = true;
          break;
        }
      }
      const std::string what = graph.axis(at.axis).name + " coordinate along '" + graph.axis(at.axis).name + "'" +
                               (node.name.empty() ? "" : " in '" + node.name + "'");
      checks.push_back({"?low " + what, low, {}});
      checks.push_back({"?high " + what, high, {}});
    }
  }
  outputs = checks;
  for (const Output& output : graph.outputs) outputs.push_back({output.name, made[output.node], output.layout});
  return into.finish(std::move(outputs));
}

std::shared_ptr<const CompiledProgram> compile_program(const Graph& graph, const Target& target) {
  return std::make_shared<Compiler>(graph, target);
}

}  // namespace fovea::codegen
