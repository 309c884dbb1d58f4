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

// The functions of the kernel called so, or of all kernels if `kernel` is empty, one after the other.
// Of a graph after all passes, for any row of the target table, also one that this CPU does not run.
// No kernel of this name is an error (invalid_config).
std::string listing(const ir::Graph& graph, std::string_view kernel, Listing what,
                    const ir::Target& target);

}  // namespace fovea::codegen
