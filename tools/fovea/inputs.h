// tools/fovea/inputs.h — the inputs of a graph from the command line: files, sizes and random
// numbers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/fovea/source.h"
#include "tools/io/tensor.h"

namespace CLI {
class App;
}

namespace fovea::tools {

struct InputArguments {
  std::vector<std::string> files;  // "q=q.npy", "all.npz"
  std::vector<std::string> sizes;  // "j=4096"
  std::optional<unsigned> seed;    // of what is not given
};

// --in, --size and --random on a subcommand.
void add_inputs(CLI::App& command, InputArguments& arguments);

// The inputs of a graph that the files hold, each as the dtype that the graph declares.
Tensors read_inputs(const Graph& graph, const std::vector<std::string>& files);

struct Inputs {
  Tensors tensors;                    // one for every input of the graph
  Sizes sizes;                        // as given
  std::vector<std::int64_t> extents;  // of every axis of the graph
};

// All inputs: from files, and random where a seed is given. Code::empty_input for one that is
// missing.
Inputs bind_inputs(const Loaded& loaded, const InputArguments& arguments);

// The extents of this run, for Options::sizes: of the axes that the text leaves open.
Sizes expected_sizes(const Graph& graph, const Inputs& inputs);

// Room for every output.
Tensors make_outputs(const Graph& graph, const std::vector<std::int64_t>& extents);

// As run() wants them. The tensors must outlive the views.
std::vector<NamedView> views(const Tensors& tensors);
std::vector<NamedView> views(Tensors& tensors);

}  // namespace fovea::tools
