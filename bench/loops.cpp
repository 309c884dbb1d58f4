#include "bench/loops.h"

#include <algorithm>
#include <cstdint>

namespace fovea::bench::loops {
namespace {

constexpr std::int64_t kRounds = 4096;

#if defined(__x86_64__)

// Latency times throughput of a multiply-add is 8 to 10 on the machines there are.
constexpr int kSums = 12;

template <bool kZmm>
void multiply_add_fused(std::int64_t rounds) {
  asm volatile(
      ".irp zero, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13\n"
      "vxorps %%xmm\\zero, %%xmm\\zero, %%xmm\\zero\n"
      ".endr\n"
      ".p2align 6\n"
      "1:\n"
      ".irp sum, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
      ".if %c[zmm]\n"
      "vfmadd231ps %%zmm12, %%zmm13, %%zmm\\sum\n"
      ".else\n"
      "vfmadd231ps %%ymm12, %%ymm13, %%ymm\\sum\n"
      ".endif\n"
      ".endr\n"
      "dec %[rounds]\n"
      "jnz 1b\n"
      "vzeroupper\n"
      : [rounds] "+r"(rounds)
      : [zmm] "i"(kZmm)
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
        "xmm10", "xmm11", "xmm12", "xmm13");
}

// Four rounds a turn: where the loop happened to lie made one round a turn up to a sixth slower.
void multiply_add_128(std::int64_t rounds) {
  std::int64_t turns = rounds / 4;
  asm volatile(
      ".irp zero, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13\n"
      "xorps %%xmm\\zero, %%xmm\\zero\n"
      ".endr\n"
      ".p2align 6\n"
      "1:\n"
      ".rept 4\n"
      ".irp sum, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11\n"
      "movaps %%xmm12, %%xmm14\n"
      "mulps %%xmm13, %%xmm14\n"
      "addps %%xmm14, %%xmm\\sum\n"
      ".endr\n"
      ".endr\n"
      "dec %[turns]\n"
      "jnz 1b\n"
      : [turns] "+r"(turns)
      :
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14");
}

template <bool kZmm>
void read_wide(const std::byte* from, std::size_t turns) {
  asm volatile(
      ".p2align 6\n"
      "1:\n"
      ".irp at, 0, 1, 2, 3, 4, 5, 6, 7\n"
      ".if %c[zmm]\n"
      "vmovups 64*\\at(%[from]), %%zmm0\n"
      ".else\n"
      "vmovups 64*\\at(%[from]), %%ymm0\n"
      "vmovups 64*\\at+32(%[from]), %%ymm0\n"
      ".endif\n"
      ".endr\n"
      "add $512, %[from]\n"
      "dec %[turns]\n"
      "jnz 1b\n"
      "vzeroupper\n"
      : [from] "+r"(from), [turns] "+r"(turns)
      : [zmm] "i"(kZmm)
      : "cc", "memory", "xmm0");
}

void read_128(const std::byte* from, std::size_t turns) {
  asm volatile(
      ".p2align 6\n"
      "1:\n"
      ".irp at, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23, 24, 25, 26, 27, 28, 29, 30, 31\n"
      "movups 16*\\at(%[from]), %%xmm0\n"
      ".endr\n"
      "add $512, %[from]\n"
      "dec %[turns]\n"
      "jnz 1b\n"
      : [from] "+r"(from), [turns] "+r"(turns)
      :
      : "cc", "memory", "xmm0");
}

#elif defined(__aarch64__)

// Latency times throughput of a multiply-add is 16 on the machines there are.
constexpr int kSums = 24;

void multiply_add_128(std::int64_t rounds) {
  asm volatile(
      ".irp zero, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, "
      "22, 23, 24, 25\n"
      "movi v\\zero\\().4s, #0\n"
      ".endr\n"
      ".p2align 6\n"
      "1:\n"
      ".irp sum, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
      "23\n"
      "fmla v\\sum\\().4s, v24.4s, v25.4s\n"
      ".endr\n"
      "subs %[rounds], %[rounds], #1\n"
      "b.ne 1b\n"
      : [rounds] "+r"(rounds)
      :
      : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",
        "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25");
}

void read_128(const std::byte* from, std::size_t turns) {
  asm volatile(
      ".p2align 6\n"
      "1:\n"
      ".irp at, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n"
      "ldp q0, q1, [%[from], #32*\\at]\n"
      ".endr\n"
      "add %[from], %[from], #512\n"
      "subs %[turns], %[turns], #1\n"
      "b.ne 1b\n"
      : [from] "+r"(from), [turns] "+r"(turns)
      :
      : "cc", "memory", "v0", "v1");
}

#else
#error "no loops for this CPU; no row of the table of targets runs on it either"
#endif

}  // namespace

double multiply_add_flops(int lanes) { return 2.0 * std::max(lanes, 4) * kSums * kRounds; }

void multiply_add(int lanes) {
#if defined(__x86_64__)
  if (lanes == 16) return multiply_add_fused<true>(kRounds);
  if (lanes == 8) return multiply_add_fused<false>(kRounds);
#endif
  multiply_add_128(kRounds);
}

void read(std::span<const std::byte> bytes) {
  const std::size_t turns = bytes.size() / kTurn;
  if (turns == 0) return;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return read_wide<true>(bytes.data(), turns);
  if (__builtin_cpu_supports("avx2")) return read_wide<false>(bytes.data(), turns);
#endif
  read_128(bytes.data(), turns);
}

}  // namespace fovea::bench::loops
