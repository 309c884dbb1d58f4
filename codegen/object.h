// codegen/object.h — bitcode to machine code.
#pragma once

#include <span>
#include <string>

#include "codegen/bitcode.h"
#include "ir/target.h"

namespace fovea::codegen {

// One relocatable object that holds all the kernels, each visible as `name_argv` and nothing else.
std::string object(std::span<const Bitcode> kernels, const ir::Target& target);

// What it is made of, as text: LLVM's IR with all that the target asks for.
std::string intermediate(std::span<const Bitcode> kernels, const ir::Target& target);

// What `object` would hold, as assembly text.
std::string assembly(std::span<const Bitcode> kernels, const ir::Target& target);

}  // namespace fovea::codegen
