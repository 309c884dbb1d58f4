// fovea run: computes a graph's outputs.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <memory>

#include "ir/require.h"
#include "tools/check/check.h"
#include "tools/fovea/command.h"
#include "tools/fovea/inputs.h"
#include "tools/io/files.h"
#include "tools/io/npy.h"

namespace fovea::tools {
namespace {

constexpr std::size_t kFirstValues = 6;

struct Arguments {
  Source source;
  InputArguments inputs;
  std::vector<std::string> out;
  Options options;
  bool check = false, interpret = false, for_sizes = false;
  std::optional<double> tolerance;
};

std::string output_names(const Graph& graph) {
  std::string names;
  for (const ir::Output& output : graph.outputs)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", output.name);
  return names;
}

// Where each output goes, by name. Told before anything is computed.
std::map<std::string, std::string> destinations(const Graph& graph,
                                                const std::vector<std::string>& out) {
  std::map<std::string, std::string> files;
  for (const std::string& text : out) {
    const auto [name, path] = split_pair(text, "--out");
    const bool known = std::ranges::count(graph.outputs, name, &ir::Output::name) > 0;
    require(known, Code::invalid_config,
            "--out {}: the graph has no output '{}'; its outputs are {}", text, name,
            output_names(graph));
    require(path.ends_with(".npy"), Code::invalid_config,
            "--out {}: expected a file ending in .npy", text);
    require(files.emplace(name, path).second, Code::invalid_config, "--out {} is given twice",
            name);
  }
  return files;
}

std::string summary(const std::string& name, const Tensor& tensor) {
  const std::vector<double> data = to_array(tensor).data;
  double least = INFINITY, most = -INFINITY, sum = 0;
  std::size_t nans = 0;
  for (double value : data) {
    if (std::isnan(value)) {
      ++nans;
      continue;
    }
    least = std::min(least, value);
    most = std::max(most, value);
    sum += value;
  }
  std::string line =
      fmt::format("{} {}[{}]", name, ir::name(tensor.dtype), fmt::join(tensor.shape, ", "));
  if (nans < data.size())
    line += fmt::format("  min {:.6g}  mean {:.6g}  max {:.6g}", least,
                        sum / static_cast<double>(data.size() - nans), most);
  if (nans > 0) line += fmt::format("  nan {}", nans);
  const std::size_t shown = std::min(data.size(), kFirstValues);
  line += "  first";
  for (std::size_t n = 0; n < shown; ++n) line += fmt::format(" {:.6g}", data[n]);
  return line + (shown < data.size() ? " …" : "");
}

void check(const Tensors& outputs, const ir::Arrays& expected, double tolerance) {
  std::string wrong;
  for (const auto& [name, tensor] : outputs) {
    const Deviation deviation = compare(tensor, expected.at(name));
    fmt::print(
        "check {}: largest error {:.3g} absolute, {:.3g} relative to the largest value "
        "(tolerance {:.3g})\n",
        name, deviation.absolute, deviation.relative, tolerance);
    if (!(deviation.relative <= tolerance)) wrong = name;
  }
  require(wrong.empty(), Code::numerical_instability,
          "output '{}' differs from the interpreter by more than {:.3g}", wrong, tolerance);
}

Tensors from_arrays(const ir::Arrays& arrays) {
  Tensors tensors;
  for (const auto& [name, array] : arrays) tensors[name] = from_array(array);
  return tensors;
}

void run(const Arguments& arguments) {
  const Loaded loaded = load(arguments.source);
  const auto files = destinations(loaded.graph, arguments.out);
  const Inputs inputs = bind_inputs(loaded, arguments.inputs);
  if (arguments.options.check_finite) std::ranges::for_each(views(inputs.tensors), require_finite);
  Tensors outputs;
  if (arguments.interpret) {
    outputs = from_arrays(interpret(loaded.graph, inputs.tensors, inputs.sizes));
  } else {
    outputs = make_outputs(loaded.graph, inputs.extents);
    Options options = arguments.options;
    if (arguments.for_sizes) options.sizes = expected_sizes(loaded.graph, inputs);
    compile(loaded.graph, options).run(views(inputs.tensors), views(outputs), inputs.sizes);
  }
  for (const auto& [name, tensor] : outputs) {
    const auto file = files.find(name);
    if (file == files.end())
      fmt::print("{}\n", summary(name, tensor));
    else
      write_file(file->second, write_npy(to_stored(tensor)));
  }
  if (arguments.check)
    check(outputs, interpret(loaded.graph, inputs.tensors, inputs.sizes),
          arguments.tolerance.value_or(loaded.tolerance()));
}

}  // namespace

void add_run(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("run", "Compute a graph's outputs");
  add_source(*command, arguments->source);
  add_inputs(*command, arguments->inputs);
  command
      ->add_option("--out", arguments->out,
                   "output=file.npy; outputs that go to no file are summed up in a line")
      ->allow_extra_args(false);
  command->add_option("--target", arguments->options.target,
                      "row of the target table to compile for");
  command->add_option("--threads", arguments->options.threads, "0: as many as the machine has");
  add_fusion(*command, arguments->options);
  command->add_flag("--check", arguments->check,
                    "compare with the interpreter; exit 1 if they differ");
  command->add_option("--tolerance", arguments->tolerance,
                      "of --check, relative to the largest value");
  command->add_flag("--interpret", arguments->interpret,
                    "interpret in double instead of compiling");
  command->add_flag("--for-sizes", arguments->for_sizes,
                    "compile for the extents of this run, as explain and bench do; without it, for "
                    "any, as a program does that says nothing");
  command->add_flag("--check-finite", arguments->options.check_finite,
                    "refuse inputs that hold NaN or an infinity");
  command->footer(
      "Examples:\n"
      "  fovea run attention.fov --in q=q.npy --in k=k.npy --in v=v.npy --out o=o.npy\n"
      "  fovea run attention.fov --in all.safetensors --threads 2\n"
      "  fovea run @causal --size h=8 --size i=128 --size j=128 --random 1 --check\n"
      "  fovea run @causal --size i=128 --size j=128 --random 1 --check --for-sizes");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace fovea::tools
