// frontend/far_tensors.h — tensors of more elements than indices of 32 bits reach. Runs with one
// take code of wide indices (runtime/program.h), which is made when a run first needs it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fovea/fovea.h"

namespace fovea::frontend {

bool is_far(const Shape& shape);

// Whether the text fixes such extents of an input or output that is not empty. Extents of more than
// memory holds are an error (input_too_large).
bool is_far_by_text(const ir::Graph& graph);

// The first one of the graph's inputs, its outputs and what its kernels store for such extents,
// with its elements, as explain says it: "indices of 64 bits: 'k' has 4294967296 elements". Empty
// where there is none.
std::string name_far(const ir::Graph& graph, std::span<const std::int64_t> extents);

}  // namespace fovea::frontend
