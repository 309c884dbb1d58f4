// ir/target.h — the machines that kernels are made for, best first within an architecture.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace fovea::ir {

enum class Arch : unsigned char { X86, Arm, Wasm };

struct Target {
  std::string_view name;  // "avx2"
  Arch arch;
  int lanes;                  // f32 in a vector register
  int registers;              // vector registers
  bool fma;                   // multiply-add is one instruction
  bool bf16_dot;              // a dot-product instruction for bf16
  bool int8_dot;              // and one for 8-bit integers
  bool wide_indices = false;  // of 64 bits, for tensors of 2^31 elements and more
  bool operator==(const Target&) const = default;
};

// avx512_bf16 avx512 avx2 sse41 neon_dot neon wasm_simd128
std::span<const Target> targets();

// The row called so, or nothing.
std::optional<Target> find_target(std::string_view name);

}  // namespace fovea::ir
