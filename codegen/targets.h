// codegen/targets.h — what Halide and LLVM must be told about each row of ir::targets().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/target.h"

namespace fovea::codegen {

struct MachineRow {
  std::string_view name;      // as in ir::Target
  std::string_view halide;    // Halide's target string: it only chooses patterns
  std::string_view triple;    // LLVM's, and what decides which instructions are emitted
  std::string_view cpu;       // the scheduling model
  std::string_view features;  // "+avx2,+fma": nothing beyond the row is ever used
  int vector_bits;            // of the registers that LLVM may fill; 0 leaves it to LLVM
};

const MachineRow& machine_row(const ir::Target& target);

// The rows that this CPU and its operating system run, best first.
std::vector<ir::Target> runnable_targets();

// The best of them, or the one that FOVEA_TARGET names. Throws invalid_config where it names none
// of them, and unsupported where this CPU runs none.
ir::Target host_target();

// Whether all code is to have wide indices, with FOVEA_WIDE_INDICES=1: for tests, as results are
// the same.
bool wants_wide_indices();

// Everything about the compilers that an object depends on, in one line, for keys of the cache.
std::string compiler_version(const ir::Target& target);

}  // namespace fovea::codegen
