#include "ir/target.h"

namespace fovea::ir {
namespace {

constexpr Target kTargets[] = {
    {"avx512_bf16", Arch::X86, 16, 32, true, true, true},
    {"avx512", Arch::X86, 16, 32, true, false, false},
    {"avx2", Arch::X86, 8, 16, true, false, false},
    {"sse41", Arch::X86, 4, 16, false, false, false},
    {"neon_dot", Arch::Arm, 4, 32, true, false, true},
    {"neon", Arch::Arm, 4, 32, true, false, false},
    {"wasm_simd128", Arch::Wasm, 4, 16, false, false, false},
};

}  // namespace

std::span<const Target> targets() { return kTargets; }

std::optional<Target> find_target(std::string_view name) {
  for (const Target& target : kTargets)
    if (target.name == name) return target;
  return std::nullopt;
}

}  // namespace fovea::ir
