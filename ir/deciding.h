// ir/deciding.h — which values decide something: what is compared, maximised or chosen by.
//
//   p = exp(s - max(j, s))          s decides: of the largest the difference must be 0
//   c = h >= min(n, h[x = n])       h decides
//
// Such a value has one rounding, wherever it is computed: no part of it is left to a multiply-add
// of what follows, and kernels that need it compute it alike, or one stores it for the others.
#pragma once

#include <vector>

#include "ir/graph.h"

namespace fovea::ir {

// Whether a function of two numbers tells, or chooses, by which is larger.
bool is_ordering(Fn fn);

// By node, floats. What is compared with a constant alone is not among them: nothing else has to
// agree.
std::vector<bool> deciding(const Graph& graph);

// By node, what a kernel computes itself, for its results and its masks: not inputs, nor what
// others store.
std::vector<bool> computed_by(const Graph& graph, const Kernel& kernel);

// By node, the deciding values that this kernel computes, and others as well.
std::vector<bool> decided_alike(const Graph& graph, const Kernel& kernel);

}  // namespace fovea::ir
