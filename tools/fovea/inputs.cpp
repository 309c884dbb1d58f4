#include "tools/fovea/inputs.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>

#include "ir/extent.h"
#include "ir/query.h"
#include "ir/require.h"
#include "tools/fovea/shapes.h"
#include "tools/io/files.h"
#include "tools/io/random.h"

namespace fovea::tools {
namespace {

// Calls action(node, name) for each input of the graph.
template <class Action>
void for_each_input(const Graph& graph, Action&& action) {
  for (const ir::Node& node : graph.nodes)
    if (const auto* input = ir::input_of(node)) action(node, input->name);
}

std::string input_names(const Graph& graph) {
  std::string names;
  for_each_input(graph, [&](const ir::Node&, const std::string& name) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  });
  return names.empty() ? "none" : names;
}

const ir::Node* find_input(const Graph& graph, const std::string& wanted) {
  const ir::Node* found = nullptr;
  for_each_input(graph, [&](const ir::Node& node, const std::string& name) {
    if (name == wanted) found = &node;
  });
  return found;
}

const StoredTensor& pick(const StoredTensors& tensors, const std::string& name,
                         const std::string& path) {
  if (tensors.size() == 1 && tensors.begin()->first.empty()) return tensors.begin()->second;
  const auto found = tensors.find(name);
  require(found != tensors.end(), Code::empty_input, "'{}' holds no tensor '{}'", path, name);
  return found->second;
}

void add(Tensors& tensors, const Graph& graph, const ir::Node& input, const std::string& name,
         const StoredTensor& stored, const std::string& path) {
  const std::string what = fmt::format("input '{}' from '{}'", name, path);
  require(stored.shape.size() == input.type.axes.size(), Code::dimension_mismatch,
          "{} has {} axes; expected {}", what, stored.shape.size(), input.type.axes.size());
  // Before any of it is looked at.
  for (std::size_t n = 0; n < stored.shape.size(); ++n)
    require(stored.shape[n] <= ir::kLargestExtent, Code::input_too_large,
            "{} has extent {} along axis {}; expected at most {}", what, stored.shape[n],
            graph.axis(input.type.axes[n]).name, ir::kLargestExtent);
  std::int64_t rounded = 0;
  require(tensors.emplace(name, convert(stored, input.type.dtype, what, &rounded)).second,
          Code::invalid_config, "input '{}' is given twice, the second time from '{}'", name, path);
  if (rounded > 0)
    fmt::print(stderr, "fovea: note: {} is {}: {} of its elements are rounded to {}\n", what,
               tools::name(stored.type), rounded, ir::name(input.type.dtype));
}

void add_archive(Tensors& tensors, const Graph& graph, const std::string& path) {
  const StoredTensors archive = read_tensors(path);
  require(!archive.contains(""), Code::invalid_config,
          "--in {}: an .npy file has no names in it; expected --in name={}", path, path);
  bool any = false;
  for (const auto& [name, stored] : archive) {
    const ir::Node* input = find_input(graph, name);
    if (input == nullptr) continue;
    add(tensors, graph, *input, name, stored, path);
    any = true;
  }
  require(any, Code::invalid_config, "'{}' holds no input of the graph; expected some of {}", path,
          input_names(graph));
}

Sizes named(const Graph& graph, const std::vector<std::int64_t>& extents) {
  Sizes sizes;
  for (std::size_t axis = 0; axis < extents.size(); ++axis)
    sizes[graph.axes[axis].name] = extents[axis];
  return sizes;
}

void add_random(Inputs& inputs, const Loaded& loaded, unsigned seed) {
  ir::Arrays examples;
  if (loaded.mechanism != nullptr)
    examples = ops::example_inputs(*loaded.mechanism, *loaded.problem, loaded.graph,
                                   named(loaded.graph, inputs.extents), seed);
  for_each_input(loaded.graph, [&](const ir::Node& node, const std::string& name) {
    if (inputs.tensors.contains(name)) return;
    const auto found = examples.find(name);
    inputs.tensors[name] = found != examples.end()
                               ? from_array(found->second)
                               : random_input(loaded.graph, node, inputs.extents, seed);
  });
}

}  // namespace

void add_inputs(CLI::App& command, InputArguments& arguments) {
  command
      .add_option("--in", arguments.files,
                  "input=file.npy, or a .npz or .safetensors file whose names are those of inputs")
      ->allow_extra_args(false);
  command
      .add_option("--size", arguments.sizes,
                  "axis=extent of an axis that no input carries; for most @mechanisms i and j, for "
                  "those over graphs i")
      ->allow_extra_args(false);
  command.add_option("--random", arguments.seed,
                     "random numbers from this seed for inputs not given");
}

Tensors read_inputs(const Graph& graph, const std::vector<std::string>& files) {
  Tensors tensors;
  for (const std::string& text : files) {
    if (text.find('=') == std::string::npos) {
      add_archive(tensors, graph, text);
      continue;
    }
    const auto [name, path] = split_pair(text, "--in");
    const ir::Node* input = find_input(graph, name);
    require(input != nullptr, Code::invalid_config,
            "--in {}: the graph has no input '{}'; its inputs are {}", text, name,
            input_names(graph));
    add(tensors, graph, *input, name, pick(read_tensors(path), name, path), path);
  }
  return tensors;
}

Inputs bind_inputs(const Loaded& loaded, const InputArguments& arguments) {
  Inputs inputs;
  inputs.tensors = read_inputs(loaded.graph, arguments.files);
  inputs.sizes = parse_sizes(arguments.sizes);
  for_each_input(loaded.graph, [&](const ir::Node& node, const std::string& name) {
    Shape::check_rank(name, node.type.axes.size());
    require(arguments.seed || inputs.tensors.contains(name), Code::empty_input,
            "input '{}' is not given; expected --in {}=FILE, or --random SEED", name, name);
  });
  for (const ir::Output& output : loaded.graph.outputs)
    Shape::check_rank(output.name, output.layout.size());
  const Shapes shapes = complete_shapes(loaded, inputs.tensors, inputs.sizes);
  inputs.extents = ir::resolve_extents(loaded.graph, shapes, inputs.sizes);
  if (arguments.seed) add_random(inputs, loaded, *arguments.seed);
  return inputs;
}

Sizes expected_sizes(const Graph& graph, const Inputs& inputs) {
  Sizes sizes;
  for (std::size_t axis = 0; axis < graph.axes.size(); ++axis)
    if (graph.axes[axis].extent.empty() && graph.axes[axis].degree == ir::kNone)
      sizes[graph.axes[axis].name] = inputs.extents[axis];
  return sizes;
}

Tensors make_outputs(const Graph& graph, const std::vector<std::int64_t>& extents) {
  Tensors outputs;
  for (const ir::Output& output : graph.outputs) {
    std::vector<std::int64_t> shape;
    for (ir::AxisId axis : output.layout) shape.push_back(extents[static_cast<std::size_t>(axis)]);
    outputs[output.name] = make_tensor(graph.node(output.node).type.dtype, shape);
  }
  return outputs;
}

std::vector<NamedView> views(const Tensors& tensors) {
  std::vector<NamedView> list;
  for (const auto& [name, tensor] : tensors) list.push_back({name, view(tensor)});
  return list;
}

std::vector<NamedView> views(Tensors& tensors) {
  std::vector<NamedView> list;
  for (auto& [name, tensor] : tensors) list.push_back({name, view(tensor)});
  return list;
}

}  // namespace fovea::tools
