// codegen/listing.h — what code generation makes of kernels, as text for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::codegen {

enum class Listing : std::uint8_t {
  halide,    // the loop nests that Halide has made of the schedule
  llvm,      // LLVM's IR as LLVM 19 is given it for the target
  assembly,  // what it makes of that
};

// Returns the functions of the kernel called so, or of all kernels if `kernel` is empty. The graph has
// gone through all passes. The target may be any row of the table, also one that this CPU does not
// run. It is an error (invalid_config) if no kernel has this name.
std::string listing(const ir::Graph& graph, std::string_view kernel, Listing what,
                    const ir::Target& target);

}  // namespace fovea::codegen
