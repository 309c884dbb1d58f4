// fovea print: a graph as text, before or after a pass.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "tools/fovea/command.h"
#include "tools/fovea/source.h"

namespace fovea::tools {
namespace {

struct Arguments {
  Source source;
  std::string after, target;
};

}  // namespace

void add_print(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("print", "Print a graph as text");
  add_source(*command, arguments->source);
  command->add_option("--after", arguments->after,
                      "as this pass leaves it: fuse, or of another form decode/defer_scaling");
  command->add_option("--target", arguments->target, "row of the target table to compile for");
  command->footer(
      "Examples:\n"
      "  fovea print @sliding_window -o window=256\n"
      "  fovea print attention.fov --after fuse");
  command->callback([arguments] {
    const Graph graph = load(arguments->source).graph;
    fmt::print("{}", print(after_pass(graph, arguments->after, arguments->target)));
  });
}

}  // namespace fovea::tools
