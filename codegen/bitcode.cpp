#include "codegen/bitcode.h"

#include <Halide.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <map>

#include "codegen/asserts.h"
#include "codegen/enclosed.h"
#include "codegen/stages.h"
#include "codegen/strict_floats.h"
#include "codegen/targets.h"
#include "codegen/whole_tiles.h"
#include "codegen/wide_strides.h"
#include "ir/require.h"

namespace fovea::codegen {
namespace {

// LLVM 14 would unroll and vectorise the loops that the schedule left alone: half as much code
// again, and none of it faster.
Halide::Target halide_target(const ir::Target& target) {
  return Halide::Target(std::string(machine_row(target).halide) +
                        (has_asserts() ? "" : "-no_asserts") +
                        "-no_bounds_query-no_runtime-disable_llvm_loop_opt" +
                        (target.wide_indices ? "-large_buffers" : ""));
}

// All that the pipeline calls, by name.
std::map<std::string, Halide::Internal::Function> functions_of(const Halide::Pipeline& pipeline) {
  std::vector<Halide::Internal::Function> outputs;
  for (const Halide::Func& output : pipeline.outputs()) outputs.push_back(output.function());
  return Halide::Internal::build_environment(outputs);
}

Halide::Module lower(const Halide::Pipeline& pipeline,
                     const std::vector<Halide::Argument>& arguments, const std::string& name,
                     const Halide::Target& target) {
  const HalideLock lock;
  for (auto& [func, function] : functions_of(pipeline)) {
    keep_tiles_whole(function);
    keep_nan(function);
  }
  Halide::Module module = Halide::Pipeline(pipeline).compile_to_module(
      arguments, name, target, Halide::LinkageType::ExternalPlusArgv);
  disclose(module);
  if (target.has_large_buffers()) widen_strides(module);
  fetch_ahead(module);
  make_strict(module);
  return module;
}

// Halide writes bitcode to files only, and its LLVM's streams are not ours: a file in memory.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("fovea", MFD_CLOEXEC)) {
    invariant(descriptor_ >= 0, std::strerror(errno));
  }
  ~MemoryFile() { close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::string path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }
  std::string contents() const {
    std::string bytes(static_cast<std::size_t>(lseek(descriptor_, 0, SEEK_END)), '\0');
    const ssize_t got = pread(descriptor_, bytes.data(), bytes.size(), 0);
    invariant(got == static_cast<ssize_t>(bytes.size()), "bitcode in memory cannot be read back");
    return bytes;
  }

 private:
  int descriptor_;
};

// Halide reports from destructors, which may run because something else was thrown.
class Complaints final : public Halide::CompileTimeErrorReporter {
 public:
  void warning(const char* text) override { complain(text); }
  void error(const char* text) override { complain(text); }

 private:
  static void complain(std::string_view text) {
    if (std::uncaught_exceptions() > 0) return;
    while (text.ends_with('\n')) text.remove_suffix(1);
    throw HalideComplaint(std::string(text));
  }
};

// One for the process, as Halide's own state is.
struct Building {
  std::recursive_mutex mutex;
  Complaints complaints;
  int locks = 0;  // of the thread that has the mutex
};

Building& building() {
  static Building only;
  return only;
}

}  // namespace

HalideLock::HalideLock() : lock_(building().mutex) {
  if (building().locks++ == 0)
    Halide::set_custom_compile_time_error_reporter(&building().complaints);
}

HalideLock::~HalideLock() {
  if (--building().locks == 0) Halide::set_custom_compile_time_error_reporter(nullptr);
}

Bitcode bitcode(const Halide::Pipeline& pipeline, const std::vector<Halide::Argument>& arguments,
                const std::string& name, const ir::Target& target, bool with_statement) {
  const MemoryFile file;
  const Halide::Module module = lower(pipeline, arguments, name, halide_target(target));
  module.compile({{Halide::OutputFileType::bitcode, file.path()}});
  Bitcode result{name, file.contents()};
  if (with_statement) {
    std::ostringstream text;
    text << module;
    result.statement = std::move(text).str();
  }
  return result;
}

}  // namespace fovea::codegen
