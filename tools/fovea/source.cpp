#include "tools/fovea/source.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <charconv>
#include <map>

#include "codegen/targets.h"
#include "ir/require.h"
#include "passes/run.h"
#include "tools/io/files.h"

namespace fovea::tools {
namespace {

template <class Number>
Number parse_number(const std::string& text, std::string_view what, std::string_view expected) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size(), Code::invalid_config,
          "{}: '{}' is not {}", what, text, expected);
  return value;
}

Loaded load_mechanism(const Source& source) {
  const ops::Mechanism& mechanism = ops::find(source.text.substr(1));
  std::map<std::string, double> given;
  for (const std::string& option : source.options) {
    const auto [name, value] = split_pair(option, "-o");
    const double number = parse_number<double>(value, fmt::format("-o {}", option), "a number");
    require(given.emplace(name, number).second, Code::invalid_config, "-o {} is given twice", name);
  }
  ops::Problem problem(mechanism.options, given);
  Graph graph = mechanism.build(problem);
  return {std::move(graph), &mechanism, std::move(problem)};
}

}  // namespace

void add_source(CLI::App& command, Source& source) {
  command.add_option("GRAPH", source.text, "a .fov file, - (standard input) or @mechanism")
      ->required();
  command
      .add_option("-o,--option", source.options,
                  "option=value of a mechanism (`fovea list NAME` shows them)")
      ->allow_extra_args(false);
}

void add_fusion(CLI::App& command, Options& options) {
  command.add_flag_callback(
      "--fused", [&options] { options.fuse = true; },
      "kernels on planes, even where unfused is faster");
  command.add_flag_callback(
      "--unfused", [&options] { options.fuse = false; },
      "every contraction and normalisation a kernel of its own");
}

Loaded load(const Source& source) {
  if (source.text.starts_with('@')) return load_mechanism(source);
  require(source.options.empty(), Code::invalid_config,
          "-o {}: only an @mechanism has options; '{}' is a file",
          source.options.empty() ? "" : source.options[0], source.text);
  const Bytes bytes = read_file(source.text);
  return {parse(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())),
          nullptr, std::nullopt};
}

std::pair<std::string, std::string> split_pair(const std::string& text, std::string_view what) {
  const std::size_t at = text.find('=');
  require(at != std::string::npos && at > 0 && at + 1 < text.size(), Code::invalid_config,
          "{} was given '{}'; expected name=value", what, text);
  return {text.substr(0, at), text.substr(at + 1)};
}

Sizes parse_sizes(const std::vector<std::string>& texts) {
  Sizes sizes;
  for (const std::string& text : texts) {
    const auto [name, value] = split_pair(text, "--size");
    const auto extent =
        parse_number<std::int64_t>(value, fmt::format("--size {}", text), "a whole number");
    require(extent >= 0, Code::invalid_config, "--size {}: expected at least 0", text);
    require(sizes.emplace(name, extent).second, Code::invalid_config, "--size {} is given twice",
            name);
  }
  return sizes;
}

ir::Target choose_target(const std::string& name) {
  if (name.empty()) return codegen::host_target();
  if (const auto target = ir::find_target(name)) return *target;
  std::string rows;
  for (const ir::Target& target : ir::targets()) rows += fmt::format(" {}", target.name);
  fail(Code::invalid_config, "there is no target '{}'; expected one of{}", name, rows);
}

Graph after_pass(const Graph& graph, const std::string& pass, const std::string& target) {
  if (pass.empty()) return graph;
  passes::RunOptions options = passes::options_from_environment();
  options.stop_after = pass;
  return passes::run_pipeline(graph, choose_target(target), options);
}

}  // namespace fovea::tools
