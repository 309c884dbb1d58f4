#include "codegen/targets.h"

#include <llvm/ADT/SmallVector.h>
#include <llvm/ADT/StringMap.h>
#include <llvm/ADT/StringRef.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/Triple.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "ir/require.h"

namespace fovea::codegen {
namespace {

constexpr std::string_view kX86 = "x86_64-unknown-linux-gnu";
constexpr std::string_view kArm = "aarch64-unknown-linux-gnu";

// The CPU gives the scheduling model and the features are spelled out, as they are also what a
// machine is asked for. The name that a machine gives itself is never used: virtual machines pair
// names with features that the name does not promise.
constexpr MachineRow kRows[] = {
    {"avx512_bf16",
     "x86-64-linux-sse41-avx-f16c-fma-avx2-avx512-avx512_skylake-avx512_cannonlake-"
     "avx512_sapphirerapids",
     kX86, "x86-64-v4",
     "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+f16c,+fma,+avx2,+bmi,+bmi2,+lzcnt,+movbe,"
     "+avx512f,+avx512cd,+avx512bw,+avx512dq,+avx512vl,+avx512vnni,+avx512bf16",
     512},
    {"avx512", "x86-64-linux-sse41-avx-f16c-fma-avx2-avx512-avx512_skylake", kX86, "x86-64-v4",
     "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+f16c,+fma,+avx2,+bmi,+bmi2,+lzcnt,+movbe,"
     "+avx512f,+avx512cd,+avx512bw,+avx512dq,+avx512vl",
     512},
    {"avx2", "x86-64-linux-sse41-avx-f16c-fma-avx2", kX86, "x86-64-v3",
     "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+f16c,+fma,+avx2,+bmi,+bmi2,+lzcnt,+movbe", 256},
    {"sse41", "x86-64-linux-sse41", kX86, "x86-64", "+sse3,+ssse3,+sse4.1", 128},
    {"neon_dot", "arm-64-linux-arm_dot_prod", kArm, "generic", "+neon,+dotprod", 0},
    {"neon", "arm-64-linux", kArm, "generic", "+neon", 0},
    {"wasm_simd128", "wasm-32-wasmrt-wasm_simd128-wasm_signext-wasm_sat_float_to_int",
     "wasm32-unknown-unknown", "generic", "+simd128,+sign-ext,+nontrapping-fptoint,+bulk-memory",
     0},
};

bool is_runnable(const MachineRow& row, const llvm::StringMap<bool>& features) {
  const llvm::Triple here(llvm::sys::getProcessTriple());
  if (llvm::Triple(llvm::StringRef(row.triple)).getArch() != here.getArch()) return false;
  llvm::SmallVector<llvm::StringRef> needed;
  llvm::StringRef(row.features).split(needed, ',');
  return std::all_of(needed.begin(), needed.end(),
                     [&](llvm::StringRef name) { return features.lookup(name.drop_front()); });
}

std::string list(const std::vector<ir::Target>& targets) {
  std::string names;
  for (const ir::Target& target : targets)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", target.name);
  return names;
}

}  // namespace

const MachineRow& machine_row(const ir::Target& target) {
  const auto* row = std::find_if(std::begin(kRows), std::end(kRows),
                                 [&](const MachineRow& r) { return r.name == target.name; });
  invariant(row != std::end(kRows), "a target without a row in codegen/targets.cpp");
  return *row;
}

std::vector<ir::Target> runnable_targets() {
  // Asked once: in a virtual machine every question to the CPU costs microseconds.
  static const std::vector<ir::Target> runnable = [] {
    const llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
    std::vector<ir::Target> result;
    for (const ir::Target& target : ir::targets())
      if (is_runnable(machine_row(target), features)) result.push_back(target);
    return result;
  }();
  return runnable;
}

ir::Target host_target() {
  const std::vector<ir::Target> runnable = runnable_targets();
  require(!runnable.empty(), Code::unsupported,
          "this CPU runs none of the targets: x86-64 needs SSE4.1 at least");
  const char* forced = std::getenv("FOVEA_TARGET");
  if (forced == nullptr || *forced == '\0') return runnable.front();
  for (const ir::Target& target : runnable)
    if (target.name == forced) return target;
  fail(Code::invalid_config, "FOVEA_TARGET is \"{}\", which {}; expected one of: {}", forced,
       ir::find_target(forced) ? "this CPU cannot run" : "is no target", list(runnable));
}

bool wants_wide_indices() {
  const char* value = std::getenv("FOVEA_WIDE_INDICES");
  const std::string_view asked = value == nullptr ? "" : value;
  require(asked.empty() || asked == "0" || asked == "1", Code::invalid_config,
          "FOVEA_WIDE_INDICES is \"{}\"; expected 0 or 1", asked);
  return asked == "1";
}

std::string compiler_version(const ir::Target& target) {
  const MachineRow& row = machine_row(target);
  return fmt::format("{} {} {} {} {} LLVM {} Halide 14.0.0 fovea " FOVEA_VERSION, row.name,
                     row.halide, row.triple, row.cpu, row.features, LLVM_VERSION_STRING);
}

}  // namespace fovea::codegen
