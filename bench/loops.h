// bench/loops.h — what the probes time. Assembly: kernels are emitted with every optimisation there
// is, so their limit must not depend on what this program is compiled with, be it without
// optimisation or with sanitizers.
#pragma once

#include <cstddef>
#include <span>

namespace fovea::bench::loops {

// Multiplies and adds in registers only, with vectors of so many floats: 16 and 8 fused, 4 as the
// CPU's base can. Long enough that the call costs nothing, short enough to look at the clock.
void multiply_add(int lanes);
double multiply_add_flops(int lanes);  // of one call; a multiply-add counts 2

// Loads all bytes, whole turns of them, with the widest loads of this CPU.
constexpr std::size_t kTurn = 512;
void read(std::span<const std::byte> bytes);

}  // namespace fovea::bench::loops
