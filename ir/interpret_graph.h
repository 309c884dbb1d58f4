// ir/interpret_graph.h — evaluates one graph whose extents are known; what `interpret` and the
// interpreter of kernels are made of.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "ir/graph.h"
#include "ir/interpret.h"
#include "ir/rounding.h"

namespace fovea::ir {

// An error where the data of an input does not fit its shape or its dtype.
void check_inputs(const Graph& graph, const Arrays& inputs);

// The extent of every axis, from the shapes of the inputs and the caller's sizes.
std::vector<std::int64_t> extents_of(const Graph& graph, const Arrays& inputs, const Sizes& sizes);

// The outputs. `checked`, by node: as a coordinate, outside is an error. Exact without a rounding.
Arrays evaluate(const Graph& graph, const std::vector<bool>& checked, const Arrays& inputs,
                const std::vector<std::int64_t>& extents,
                const std::function<void(double)>& progress = {},
                std::optional<Rounding> rounding = {});

}  // namespace fovea::ir
