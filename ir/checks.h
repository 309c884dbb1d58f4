// ir/checks.h — gathered coordinates are checked when a program runs, never trusted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace fovea::ir {

// A graph with, for every read at a coordinate that depends on an input, outputs that are not the
// caller's: the smallest and the largest of these coordinates. To be called before the passes. An
// output of the caller's whose name begins with two underscores is an error (invalid_config), but
// for pairs of such bounds, as a printed graph has them, which are made anew.
//
//   a = k[j = n]     →     and out __low_0_1j_a = min(i, n), out __high_0_1j_a = max(i, n)
Graph check_reads(const Graph& graph);

// Whether an output is one of those.
bool is_check(const Output& output);

// What is to be checked: all of `low` at least 0, all of `high` below the extent of the axis.
struct ReadCheck {
  NodeId low, high;
  AxisId axis;
  std::string what;  // for people: "j coordinate along 'j' in 'a' (from input 'n')"
};
std::vector<ReadCheck> read_checks(const Graph& graph);

// Whose numbers an integer value is made of, for messages: " (from input 'start')" or of several
// " (from inputs 'a' 'b')". Of what is read, not of where, unless nothing else is of an input.
// Empty for an input itself.
std::string from_inputs(const Graph& graph, NodeId value);

// By node: whether it is a Read all of whose coordinates without an alternative are checked ones.
std::vector<bool> checked_reads(const Graph& graph);

}  // namespace fovea::ir
