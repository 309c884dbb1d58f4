// codegen/bitcode.h — from a scheduled Halide pipeline to LLVM bitcode.
//
// Halide is not included here: callers are .cpp files that include Halide.h themselves.
#pragma once

#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ir/require.h"
#include "ir/target.h"

namespace Halide {
class Pipeline;
struct Argument;
}  // namespace Halide

namespace fovea::codegen {

// One compiled pipeline; `name_argv(void**)` is its entry.
struct Bitcode {
  std::string name;
  std::string bytes;
  std::string statement = {};  // the loop nest as text, if that was asked for
};

// What Halide says against a pipeline. It warns where code that it made cannot be right, so a
// warning is as good as an error.
struct HalideComplaint : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Halide's Funcs are built and lowered by one thread at a time, and what Halide says meanwhile is
// thrown as a HalideComplaint. Hold this while building; a caller that lets go before calling
// `bitcode` lets other threads build during Halide's LLVM part.
class [[nodiscard]] HalideLock {
 public:
  HalideLock();
  ~HalideLock();
  HalideLock(const HalideLock&) = delete;
  HalideLock& operator=(const HalideLock&) = delete;

 private:
  std::unique_lock<std::recursive_mutex> lock_;
};

// What `make` builds for a kernel. What Halide says against it is an error of ours that names the
// kernel.
template <class Make>
std::invoke_result_t<const Make&> build_for(std::string_view kernel, const Make& make) {
  const HalideLock lock;
  try {
    return make();
  } catch (const HalideComplaint& complaint) {
    fail(Code::internal, "kernel '{}' cannot be compiled: {}", kernel, complaint.what());
  }
}

// Lowers and optimises. The entry's arguments are `arguments` in order (scalars by address, buffers
// as halide_buffer_t*), then the outputs; it returns 0, or what failed of codegen/asserts.h.
//
// Arithmetic is IEEE's: NaN, infinity and the sign of zero are kept and nothing is reassociated but
// sums across lanes; multiply-adds are contracted. `max` and `min` give their second operand where
// one is NaN, and Halide may swap them: where NaN must survive write select(y > x, y, x), which
// gives x. Halide's exp, log and pow are wrong outside of the finite numbers.
//
// The pipeline's Funcs are changed (codegen/strict_floats.h): lower them once.
Bitcode bitcode(const Halide::Pipeline& pipeline, const std::vector<Halide::Argument>& arguments,
                const std::string& name, const ir::Target& target, bool with_statement = false);

}  // namespace fovea::codegen
