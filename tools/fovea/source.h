// tools/fovea/source.h — GRAPH on the command line: a file, standard input or a mechanism.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fovea/fovea.h"
#include "ops/mechanism.h"

namespace CLI {
class App;
}

namespace fovea::tools {

struct Source {
  std::string text;                  // "attention.fov", "-", "@causal"
  std::vector<std::string> options;  // "heads=8"
};

// GRAPH, and -o option=value, on a subcommand.
void add_source(CLI::App& command, Source& source);

// --fused and --unfused on a subcommand.
void add_fusion(CLI::App& command, Options& options);

struct Loaded {
  Graph graph;
  const ops::Mechanism* mechanism = nullptr;  // of "@mechanism"
  std::optional<ops::Problem> problem;        // its options
  // What the mechanism decided by its options; empty if nothing.
  std::string decision() const {
    return mechanism == nullptr || mechanism->decision == nullptr ? ""
                                                                  : mechanism->decision(*problem);
  }
  double tolerance() const { return mechanism == nullptr ? 1e-5 : mechanism->tolerance; }
};
Loaded load(const Source& source);

// "name=value" of the option `what` in two; Code::invalid_config unless it is that.
std::pair<std::string, std::string> split_pair(const std::string& text, std::string_view what);

// {"j=4096"} of --size, as numbers.
Sizes parse_sizes(const std::vector<std::string>& texts);

// The graph after the passes up to and with `pass` for a target row, "fuse" or in another form
// "decode/defer_scaling"; empty pass: the graph itself. Kernels that the graph comes with are taken
// or refused as compile() does.
Graph after_pass(const Graph& graph, const std::string& pass, const std::string& target);

// The row called so, or empty for this machine's best (or FOVEA_TARGET's).
ir::Target choose_target(const std::string& name);

}  // namespace fovea::tools
