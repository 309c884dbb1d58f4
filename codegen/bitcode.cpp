#include "codegen/bitcode.h"

#include <Halide.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#include "codegen/targets.h"
#include "ir/error.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Internal::IfThenElse;
using Halide::Internal::IRMutator;
using Halide::Internal::IRVisitor;
using Halide::Internal::Let;
using Halide::Internal::LetStmt;
using Halide::Internal::Load;
using Halide::Internal::Shuffle;
using Halide::Internal::Stmt;
using Halide::Internal::Store;

// Halide marks every float instruction as free of NaN and infinity. Its StrictFloat feature prevents
// that, but wraps expressions before they are vectorised, which hides the reductions from
// `.atomic().vectorize()`. So they are wrapped here, after lowering.
class StrictFloats : public IRMutator {
 public:
  using IRMutator::mutate;
  Expr mutate(const Expr& e) override {
    if (!e.defined()) return e;
    if (const auto* let = e.as<Let>())
      return Let::make(let->name, mutate(let->value), mutate(let->body));
    // ARM's interleaving stores are recognised by the shuffle on top.
    if (const auto* shuffle = e.as<Shuffle>())
      return Shuffle::make(IRMutator::mutate(shuffle->vectors), shuffle->indices);
    return Halide::strict_float(e);
  }

 private:
  using IRMutator::visit;
  Stmt visit(const Store* op) override {
    return Store::make(op->name, mutate(op->value), op->index, op->param, op->predicate,
                       op->alignment);
  }
  Stmt visit(const LetStmt* op) override {
    const bool integer = op->value.type().is_int_or_uint() && !op->value.type().is_bool();
    return LetStmt::make(op->name, integer ? op->value : mutate(op->value),
                         IRMutator::mutate(op->body));
  }
  Stmt visit(const IfThenElse* op) override {
    return IfThenElse::make(mutate(op->condition), IRMutator::mutate(op->then_case),
                            IRMutator::mutate(op->else_case));
  }
};

// An update that reads its output back would read it as memory of Halide's own, which is aligned to
// a vector; the caller's may not be. What is stored through a parameter is loaded through it here.
class StoredParameters : public IRVisitor {
 public:
  std::map<std::string, Halide::Internal::Parameter> of_name;

 private:
  using IRVisitor::visit;
  void visit(const Store* op) override {
    if (op->param.defined()) of_name.emplace(op->name, op->param);
    IRVisitor::visit(op);
  }
};

class UnalignedOutputs : public IRMutator {
 public:
  explicit UnalignedOutputs(const Stmt& body) { body.accept(&stored_); }

 private:
  using IRMutator::visit;
  Expr visit(const Load* op) override {
    const Expr load = IRMutator::visit(op);
    const auto output = stored_.of_name.find(op->name);
    if (output == stored_.of_name.end()) return load;
    op = load.as<Load>();
    return Load::make(op->type, op->name, op->index, op->image, output->second, op->predicate,
                      op->alignment);
  }

  StoredParameters stored_;
};

Halide::Target halide_target(const ir::Target& target) {
  return Halide::Target(std::string(machine_row(target).halide) +
                        "-no_asserts-no_bounds_query-no_runtime");
}

Halide::Module lower(const Halide::Pipeline& pipeline,
                     const std::vector<Halide::Argument>& arguments, const std::string& name,
                     const Halide::Target& target) {
  const auto lock = halide_lock();
  Halide::Module module = Halide::Pipeline(pipeline).compile_to_module(
      arguments, name, target, Halide::LinkageType::ExternalPlusArgv);
  for (auto& function : module.functions()) {
    function.body = UnalignedOutputs(function.body).mutate(function.body);
    function.body = StrictFloats().mutate(function.body);
  }
  module.set_any_strict_float(true);
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

}  // namespace

std::unique_lock<std::recursive_mutex> halide_lock() {
  static std::recursive_mutex mutex;
  return std::unique_lock(mutex);
}

Bitcode bitcode(const Halide::Pipeline& pipeline, const std::vector<Halide::Argument>& arguments,
                const std::string& name, const ir::Target& target) {
  const MemoryFile file;
  lower(pipeline, arguments, name, halide_target(target))
      .compile({{Halide::OutputFileType::bitcode, file.path()}});
  return {name, file.contents()};
}

}  // namespace fovea::codegen
