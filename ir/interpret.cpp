#include "ir/interpret.h"

#include <optional>

#include "ir/extent.h"
#include "ir/interpret_graph.h"
#include "ir/interpret_machine.h"
#include "ir/interpret_plan.h"
#include "ir/query.h"
#include "ir/require.h"
#include "ir/rewrite.h"
#include "ir/rounding.h"

namespace fovea::ir {
namespace {

void check_data(const std::string& name, Dtype dtype, const Array& array) {
  require(array.dtype == dtype, Code::invalid_input, "input {} is {}; expected {}", name,
          ir::name(array.dtype), ir::name(dtype));
  const std::int64_t count = element_count(array.shape);
  require(static_cast<std::int64_t>(array.data.size()) == count, Code::dimension_mismatch,
          "input {} has {} elements; expected {} as its shape says", name, array.data.size(),
          count);
  if (dtype == Dtype::F32) return;
  for (std::size_t n = 0; n < array.data.size(); ++n) {
    const double value = array.data[n];
    const bool held = round_to(dtype, value) == value || (is_float(dtype) && value != value);
    require(held, Code::invalid_input, "input {} holds {} at element {}, which {} does not hold",
            name, value, n, ir::name(dtype));
  }
}

// Where a slice of an output goes.
class Sink {
 public:
  Sink(const Graph& graph, const Output& output, int value,
       const std::vector<std::int64_t>& extents)
      : output_(output), value_(value), strides_(extents.size(), 0) {
    array_.dtype = graph.node(output.node).type.dtype;
    for (const AxisId axis : output.layout) {
      array_.shape.push_back(extents[static_cast<std::size_t>(axis)]);
    }
    array_.data.resize(static_cast<std::size_t>(element_count(array_.shape)));
    std::int64_t stride = 1;
    for (std::size_t n = output.layout.size(); n-- > 0;) {
      strides_[static_cast<std::size_t>(output.layout[n])] = stride;
      stride = next_stride(stride, array_.shape[n]);
    }
  }

  void store(const Machine& machine, const std::vector<std::int64_t>& base) {
    if (machine.generation(value_) == written_) return;
    written_ = machine.generation(value_);
    std::int64_t total = 1, first = 0;
    for (const AxisId axis : output_.layout) {
      total *= machine.local()[static_cast<std::size_t>(axis)];
      first += base[static_cast<std::size_t>(axis)] * strides_[static_cast<std::size_t>(axis)];
    }
    const View& view = machine.view(value_);
    Source source(view.data, make_loops(output_.layout, machine.local(), view.stride));
    const std::vector<Loop> loops = make_loops(output_.layout, machine.local(), strides_);
    for (std::int64_t start = 0; start < total; start += static_cast<std::int64_t>(kBlock)) {
      const std::size_t count =
          static_cast<std::size_t>(std::min(total - start, static_cast<std::int64_t>(kBlock)));
      const double* from = source.load(start, count);
      for_runs(
          loops, start, count,
          [&](std::int64_t offset, std::int64_t stride, std::size_t position, std::size_t run) {
            double* to = array_.data.data() + first + offset;
            for (std::size_t n = 0; n < run; ++n, to += stride) *to = from[position + n];
          });
    }
  }

  Array take() { return std::move(array_); }

 private:
  const Output& output_;
  int value_;
  int written_ = 0;
  std::vector<std::int64_t> strides_;
  Array array_;
};

// The next slice, last axis fastest; false after the last one.
bool advance(const Plan& plan, const std::vector<std::int64_t>& extents,
             std::vector<std::int64_t>& base) {
  for (std::size_t n = plan.walked.size(); n-- > 0;) {
    const auto axis = static_cast<std::size_t>(plan.walked[n]);
    base[axis] += plan.chunks[axis];
    if (base[axis] < extents[axis]) return true;
    base[axis] = 0;
  }
  return false;
}

}  // namespace

void check_inputs(const Graph& graph, const Arrays& inputs) {
  for (const Node& node : graph.nodes) {
    if (const auto* input = input_of(node)) {
      check_data(input->name, node.type.dtype, inputs.at(input->name));
    }
  }
}

std::vector<std::int64_t> extents_of(const Graph& graph, const Arrays& inputs, const Sizes& sizes) {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const auto& [name, array] : inputs) shapes.emplace(name, array.shape);
  return resolve_extents(graph, shapes, sizes);
}

Arrays evaluate(const Graph& graph, const std::vector<bool>& checked, const Arrays& inputs,
                const std::vector<std::int64_t>& extents,
                const std::function<void(double)>& progress, std::optional<Rounding> rounding) {
  const Plan plan = make_plan(graph, extents);
  Machine machine(graph, plan, extents, inputs, checked, rounding);
  std::vector<Sink> sinks;
  for (std::size_t n = 0; n < graph.outputs.size(); ++n) {
    sinks.emplace_back(graph, graph.outputs[n], plan.outputs[n], extents);
  }
  double slices = 1, done = 0;
  for (const AxisId axis : plan.walked) {
    const auto n = static_cast<std::size_t>(axis);
    slices *= static_cast<double>((extents[n] + plan.chunks[n] - 1) / plan.chunks[n]);
  }
  std::vector<std::int64_t> base(extents.size(), 0);
  do {
    machine.run(base);
    for (Sink& sink : sinks) sink.store(machine, base);
    if (progress) progress(++done / slices);
  } while (advance(plan, extents, base));
  Arrays outputs;
  for (std::size_t n = 0; n < sinks.size(); ++n) {
    outputs.emplace(graph.outputs[n].name, sinks[n].take());
  }
  return outputs;
}

Arrays interpret(const Graph& graph, const Arrays& inputs, const Sizes& sizes,
                 const std::function<void(double)>& progress) {
  const std::vector<std::int64_t> extents = extents_of(graph, inputs, sizes);
  check_inputs(graph, inputs);
  return evaluate(graph, depends_on_input(graph, true), inputs, extents, progress);
}

Arrays interpret_rounded(const Graph& graph, const Arrays& inputs, const Sizes& sizes,
                         std::uint32_t seed) {
  const std::vector<std::int64_t> extents = extents_of(graph, inputs, sizes);
  check_inputs(graph, inputs);
  return evaluate(graph, depends_on_input(graph, true), inputs, extents, {}, Rounding(seed));
}

}  // namespace fovea::ir
