// fovea dot: a graph as a drawing.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>

#include "ir/require.h"
#include "tools/draw/render.h"
#include "tools/fovea/command.h"
#include "tools/fovea/source.h"

namespace fovea::tools {
namespace {

struct Arguments {
  Source source;
  std::string after, target;
  std::string out;
};

// Here -o also names the picture: that is what has no '='.
void take_out(Arguments& arguments) {
  auto& options = arguments.source.options;
  const auto is_file = [](const std::string& text) { return text.find('=') == std::string::npos; };
  for (const std::string& text : options) {
    if (!is_file(text)) continue;
    require(arguments.out.empty(), Code::invalid_config, "-o names two pictures, '{}' and '{}'",
            arguments.out, text);
    arguments.out = text;
  }
  std::erase_if(options, is_file);
}

}  // namespace

void add_dot(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("dot", "Draw a graph, or print it in Graphviz's language");
  add_source(*command, arguments->source);
  command->get_option("--option")
      ->description(
          "the picture to write (.svg .png .pdf .dot .gv); with '=', an option=value of a "
          "mechanism");
  command->add_option("--after", arguments->after,
                      "as this pass leaves it: fuse, or of another form decode/defer_scaling");
  command->add_option("--target", arguments->target, "row of the target table to compile for");
  command->footer(
      "Examples:\n"
      "  fovea dot @causal -o causal.svg\n"
      "  fovea dot attention.fov --after fuse -o fused.png\n"
      "  fovea dot attention.fov | dot -Tx11");
  command->callback([arguments] {
    take_out(*arguments);
    require(arguments->out.empty() || is_picture(arguments->out), Code::invalid_config,
            "-o {}: expected a picture ending in .svg, .png, .pdf, .dot or .gv, or option=value",
            arguments->out);
    const Graph graph = load(arguments->source).graph;
    const std::string text = dot(after_pass(graph, arguments->after, arguments->target));
    if (arguments->out.empty()) return fmt::print("{}", text);
    render(text, arguments->out);
  });
}

}  // namespace fovea::tools
