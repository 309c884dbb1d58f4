// ir/text.h — the text form of a graph, in both directions. The grammar is in ir/README.md.
#pragma once

#include <string>
#include <string_view>

#include "ir/graph.h"

namespace fovea::ir {

// Reads the text form. Errors are Code::syntax_error or what the builder says, and begin with
// "line:column: " and tell what was found and what was expected; the offending line follows with a caret.
Graph parse(std::string_view text);

// Writes the text form. parse(print(g)) == g, and print(parse(t)) is a fixed point.
std::string print(const Graph& graph);

// One node as an expression over names, for messages.
std::string print(const Graph& graph, NodeId node);

// The graph in Graphviz's language: clusters for kernels, edges labelled with axes and dtype, nodes
// coloured by whether they lie on the pair plane of their kernel.
std::string dot(const Graph& graph);

}  // namespace fovea::ir
