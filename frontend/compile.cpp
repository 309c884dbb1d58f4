#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <new>
#include <thread>
#include <utility>

#include "codegen/layout.h"
#include "codegen/recent.h"
#include "codegen/targets.h"
#include "fovea/fovea.h"
#include "frontend/alternatives.h"
#include "frontend/explain.h"
#include "frontend/far_tensors.h"
#include "ir/extent.h"
#include "ir/query.h"
#include "ir/require.h"
#include "passes/extents.h"
#include "passes/run.h"

namespace fovea {
namespace {

ir::Target choose_target(const std::string& name) {
  if (name.empty()) return codegen::host_target();
  const auto found = ir::find_target(name);
  if (!found) {
    std::string known;
    for (const ir::Target& target : ir::targets()) known += fmt::format(" {}", target.name);
    fail(Code::invalid_config, "there is no target '{}': expected one of{}", name, known);
  }
  const auto runnable = codegen::runnable_targets();
  require(std::ranges::find(runnable, *found) != runnable.end(), Code::unsupported,
          "target '{}' does not run on this CPU; its best is '{}'", name,
          runnable.empty() ? "none" : runnable.front().name);
  return *found;
}

// Whether running the passes leaves nothing but a graph behind, and the whole of it.
bool is_silent(const passes::RunOptions& options) {
  return options.dump.empty() && options.dump_dir.empty() && !options.time && !options.limit;
}

bool is_same(const Options& a, const Options& b) {
  return a.threads == b.threads && a.sizes == b.sizes && a.fuse == b.fuse &&
         a.check_finite == b.check_finite;
}

// Of tensors that a caller has to bind.
void check_ranks(const ir::Graph& graph) {
  for (const ir::Node& node : graph.nodes)
    if (const auto* input = ir::input_of(node))
      Shape::check_rank(input->name, node.type.axes.size());
  for (const ir::Output& output : graph.outputs)
    Shape::check_rank(output.name, graph.node(output.node).type.axes.size());
}

void check_options(const ir::Graph& graph, const Options& options) {
  require(options.threads >= 0 && options.threads <= runtime::kMostThreads, Code::invalid_config,
          "threads is {}: expected 0 (all of the machine) or more, up to {}", options.threads,
          runtime::kMostThreads);
  for (const auto& [name, value] : options.sizes) {
    std::string known;
    for (const ir::Axis& axis : graph.axes) known += " " + axis.name;
    require(ir::find_axis(graph, name) != ir::kNone, Code::invalid_config,
            "a size is given for '{}', which is no axis of the graph: expected some of{}", name,
            known);
    require(value >= 0, Code::invalid_config,
            "the size of axis '{}' is given as {}: expected one that is not negative", name, value);
  }
}

Code code_of(runtime::Code code) {
  switch (code) {
    case runtime::Code::syntax_error: return Code::syntax_error;
    case runtime::Code::dimension_mismatch: return Code::dimension_mismatch;
    case runtime::Code::empty_input: return Code::empty_input;
    case runtime::Code::invalid_input: return Code::invalid_input;
    case runtime::Code::input_too_large:
    case runtime::Code::needs_wide_indices: return Code::input_too_large;
    case runtime::Code::invalid_config: return Code::invalid_config;
    case runtime::Code::out_of_bounds: return Code::out_of_bounds;
    case runtime::Code::numerical_instability: return Code::numerical_instability;
    case runtime::Code::unsupported: return Code::unsupported;
    case runtime::Code::ok:
    case runtime::Code::internal: break;
  }
  return Code::internal;
}

runtime::Binding binding_of(const NamedView& named) {
  const View& view = named.view;
  require(view.dtype <= Dtype::Bool, Code::dimension_mismatch,
          "the view of '{}' has dtype {}; expected one of fovea::Dtype", named.name,
          static_cast<int>(view.dtype));
  require(view.strides.rank() == view.shape.rank(), Code::dimension_mismatch,
          "the view of '{}' has {} strides; expected one for each of its {} axes", named.name,
          view.strides.rank(), view.shape.rank());
  const std::span<const std::int64_t> shape(view.shape.begin(), view.shape.end());
  const std::span<const std::int64_t> strides(view.strides.begin(), view.strides.end());
  return {named.name, {view.data, view.dtype, shape, strides}};
}

// Memory for outputs that nobody looks at.
class Discarded {
 public:
  Discarded(const Graph& graph, const std::vector<std::int64_t>& extents) try {
    for (const ir::Output& output : graph.outputs) {
      std::vector<std::int64_t> shape;
      for (const ir::AxisId axis : output.layout)
        shape.push_back(extents[static_cast<std::size_t>(axis)]);
      const Dtype dtype = graph.node(output.node).type.dtype;
      const Shape extents_of_output{std::span<const std::int64_t>(shape)};
      memory_.emplace_back(static_cast<std::size_t>(byte_size(dtype, extents_of_output)));
      views_.push_back({output.name, view(memory_.back().data(), dtype, extents_of_output)});
    }
  } catch (const std::bad_alloc&) {
    fail(Code::input_too_large,
         "there is no memory for the outputs of a run: expected smaller ones");
  }
  std::span<const NamedView> views() const { return views_; }

 private:
  std::vector<std::vector<std::byte>> memory_;
  std::vector<NamedView> views_;
};

int thread_count(int asked) {
  return asked > 0 ? asked : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

// What is measured of every step of a run.
struct Kernel::Watch {
  std::vector<double> times;
  std::vector<runtime::Visits> visits;
  frontend::Indices indices = frontend::Indices::narrow;
};

struct Kernel::State {
  using Clock = std::chrono::steady_clock;

  State(const Graph& given_graph, const Options& given, const ir::Target& row,
        const passes::RunOptions& run)
      : source(given_graph), options(given), target(row) {
    const auto started = Clock::now();
    alternatives.emplace(source, target, given.fuse, run);
    milliseconds = std::chrono::duration<double, std::milli>(Clock::now() - started).count();
    for (const ir::Node& node : source.nodes)
      if (const auto* input = ir::input_of(node)) names.push_back(input->name);
    first = &variant({}, given.sizes, indices(false), [] {});
  }

  const frontend::Variant& variant(std::span<const NamedView> inputs, const Sizes& sizes,
                                   frontend::Indices indices, auto&& check) const {
    return alternatives->fitting({inputs, sizes}, indices, check);
  }

  // Or memory that must not be written would be, as inputs may be read-only.
  void check_sides(std::span<const NamedView> inputs, std::span<const NamedView> outputs) const {
    for (const NamedView& each : inputs)
      require(
          std::ranges::find(source.outputs, each.name, &ir::Output::name) == source.outputs.end(),
          Code::invalid_config, "output '{}' is given as an input: expected it as an output",
          each.name);
    for (const NamedView& each : outputs) {
      require(std::ranges::find(names, each.name) == names.end(), Code::invalid_config,
              "input '{}' is given as an output: expected it as an input", each.name);
      require(!each.view.read_only, Code::invalid_input,
              "output '{}' is bound to read-only memory: expected memory that may be written",
              each.name);
    }
  }

  frontend::Indices indices(bool is_far) const {
    return is_far || target.wide_indices ? frontend::Indices::wide : frontend::Indices::narrow;
  }

  bool are_all_given(std::span<const NamedView> inputs) const {
    return std::ranges::all_of(names, [&](const std::string& name) {
      const auto given = std::ranges::find(inputs, name, &NamedView::name);
      return given != inputs.end() &&
             (given->view.data || byte_size(given->view.dtype, given->view.shape) == 0);
    });
  }

  Graph source;
  Options options;
  ir::Target target;
  std::optional<const frontend::Alternatives> alternatives;
  std::vector<std::string> names;  // of the inputs
  const frontend::Variant* first = nullptr;
  double milliseconds = 0;  // of the passes
};

void Kernel::run(std::initializer_list<NamedView> inputs, std::initializer_list<NamedView> outputs,
                 const Sizes& sizes) const {
  run(std::span(inputs.begin(), inputs.size()), std::span(outputs.begin(), outputs.size()), sizes);
}

void Kernel::run(std::span<const NamedView> inputs, std::span<const NamedView> outputs,
                 const Sizes& sizes) const {
  run_into(inputs, outputs, sizes, nullptr);
}

namespace {

// What steps took, for the kernels that they are of; 0 for steps that are not there.
std::vector<double> by_kernel(const frontend::Variant& variant, std::span<const double> steps) {
  std::vector<double> kernels(variant.graph.kernels.size());
  for (std::size_t n = 0; n < kernels.size(); n++)
    for (std::size_t step = 0; step < steps.size(); step++)
      if (variant.code->program().steps[step].name == variant.graph.kernels[n].name)
        kernels[n] += steps[step];
  return kernels;
}

}  // namespace

std::vector<double> Kernel::profile(std::span<const NamedView> inputs,
                                    std::span<const NamedView> outputs, const Sizes& sizes) const {
  Watch watch;
  run_into(inputs, outputs, sizes, &watch);
  const frontend::Variant& variant = state_->variant(inputs, sizes, watch.indices, [] {});
  return by_kernel(variant, watch.times);
}

void Kernel::run_into(std::span<const NamedView> inputs, std::span<const NamedView> outputs,
                      const Sizes& sizes, Watch* watch) const {
  constexpr std::size_t kFew = 24;  // tensors that need no allocation
  std::array<runtime::Binding, kFew> few;
  std::vector<runtime::Binding> many;
  const std::size_t count = inputs.size() + outputs.size();
  if (count > kFew) many.resize(count);
  const std::span<runtime::Binding> bindings =
      count > kFew ? std::span(many) : std::span(few).first(count);
  state_->check_sides(inputs, outputs);
  if (state_->options.check_finite) std::ranges::for_each(inputs, require_finite);
  std::ranges::transform(inputs, bindings.begin(), binding_of);
  std::ranges::transform(outputs, bindings.subspan(inputs.size()).begin(), binding_of);
  std::vector<runtime::NamedSize> named;
  named.reserve(sizes.size());
  for (const auto& [name, value] : sizes) named.push_back({name, value});
  const auto pass = [](const runtime::Status& status) {
    if (!status.ok()) throw Error(code_of(status.code), status.message);
  };
  const auto needs_wide = [](const runtime::Status& status) {
    return status.code == runtime::Code::needs_wide_indices;
  };
  const auto check = [&] {
    const runtime::Status status = state_->first->executor.check(bindings, named);
    if (!needs_wide(status)) pass(status);
  };
  const auto run = [&](frontend::Indices indices) {
    const frontend::Variant& variant = state_->variant(inputs, sizes, indices, check);
    runtime::RunOptions how{.threads = thread_count(state_->options.threads)};
    if (watch) {
      watch->indices = indices;
      watch->times.assign(variant.executor.program().steps.size(), 0);
      watch->visits.assign(watch->times.size(), {});
      how.step_times = watch->times;
      how.visits = watch->visits;
    }
    return variant.executor.run(bindings, named, how);
  };
  const auto is_far = [](const NamedView& each) { return frontend::is_far(each.view.shape); };
  const bool far = std::ranges::any_of(inputs, is_far) || std::ranges::any_of(outputs, is_far);
  const runtime::Status status = run(state_->indices(far));
  // How many elements lie between kernels is known only as they run.
  pass(needs_wide(status) ? run(frontend::Indices::wide) : status);
}

const Graph& Kernel::graph() const { return state_->first->graph; }

Report Kernel::explain(const Sizes& sizes, std::span<const NamedView> inputs) const {
  const Graph& first = state_->first->graph;
  const std::string far = frontend::name_far(first, frontend::extents_of(first, sizes, inputs));
  const frontend::Variant& variant =
      state_->variant(inputs, sizes, state_->indices(!far.empty()), [] {});
  Watch watch;
  if (state_->are_all_given(inputs) && frontend::visits_by_data(variant.code->program())) {
    const Discarded outputs(state_->source, frontend::extents_of(state_->source, sizes, inputs));
    run_into(inputs, outputs.views(), sizes, &watch);
  }
  Report report = frontend::explain(variant.graph, variant.code->program(), sizes, inputs,
                                    thread_count(state_->options.threads), watch.visits);
  report.order = state_->alternatives->why_order({inputs, sizes});
  report.rows = state_->alternatives->why_rows({inputs, sizes});
  report.fusion = state_->alternatives->why_fused({inputs, sizes});
  report.indices = far.empty() && state_->target.wide_indices ? "indices of 64 bits" : far;
  report.target = state_->target.name;
  report.threads = thread_count(state_->options.threads);
  report.compile_ms = state_->milliseconds + variant.code->milliseconds();
  report.cached = variant.code->cached();
  const std::vector<double> own = by_kernel(variant, variant.code->step_milliseconds());
  for (std::size_t n = 0; n < own.size(); n++) report.kernels[n].compile_ms = own[n];
  return report;
}

std::string Kernel::code(std::string_view kernel) const {
  const frontend::Variant& first = *state_->first;
  const std::vector<ir::Kernel>& kernels = first.graph.kernels;
  if (!kernel.empty() && std::ranges::find(kernels, kernel, &ir::Kernel::name) == kernels.end()) {
    std::string known;
    for (const ir::Kernel& each : kernels) known += " " + each.name;
    fail(Code::invalid_config, "there is no kernel '{}': expected one of{}", kernel, known);
  }
  return first.code->assembly(kernel);
}

Kernel compile(const Graph& graph, const Options& options) {
  check_options(graph, options);
  require(!graph.outputs.empty(), Code::empty_input,
          "the graph has no outputs: expected at least one");
  static codegen::Recent<const Kernel::State> recent;
  check_ranks(graph);
  ir::Target target = choose_target(options.target);
  target.wide_indices = codegen::wants_wide_indices() || frontend::is_far_by_text(graph);
  const passes::RunOptions run = passes::options_from_environment();
  if (is_silent(run)) {
    const auto known = recent.find([&](const Kernel::State& state) {
      return state.target == target && is_same(state.options, options) && state.source == graph;
    });
    if (known) return Kernel(known);
  }
  const auto made = std::make_shared<const Kernel::State>(graph, options, target, run);
  if (is_silent(run)) recent.add(made);
  return Kernel(made);
}

Kernel compile(const std::vector<NamedOutput>& outputs, const Options& options) {
  return compile(ir::make_graph(outputs), options);
}

}  // namespace fovea
