#include "codegen/object.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/ADT/SmallString.h>
#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Operator.h>
#include <llvm/Linker/Linker.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <mutex>

#include "codegen/asserts.h"
#include "codegen/checked.h"
#include "codegen/guarded.h"
#include "codegen/multiply_adds.h"
#include "codegen/staging.h"
#include "codegen/targets.h"
#include "codegen/whole_vectors.h"
#include "ir/require.h"

namespace fovea::codegen {
namespace {

llvm::StringRef view(std::string_view text) { return {text.data(), text.size()}; }

const llvm::Target& back_end(const std::string& triple) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo(), LLVMInitializeX86Target(), LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo(), LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC(), LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeWebAssemblyTargetInfo(), LLVMInitializeWebAssemblyTarget();
    LLVMInitializeWebAssemblyTargetMC(), LLVMInitializeWebAssemblyAsmPrinter();
  });
  std::string error;
  const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple, error);
  invariant(target != nullptr, error);
  return *target;
}

std::unique_ptr<llvm::TargetMachine> machine(const MachineRow& row) {
  const std::string triple(row.triple);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;  // form_multiply_adds decides
  return std::unique_ptr<llvm::TargetMachine>(back_end(triple).createTargetMachine(
      triple, view(row.cpu), view(row.features), options, llvm::Reloc::PIC_, llvm::CodeModel::Small,
      llvm::CodeGenOptLevel::Aggressive));
}

// Bitcode says nothing of the CPU: functions without these would be compiled for the oldest one.
void set_attributes(llvm::Function& function, const MachineRow& row) {
  function.addFnAttr("target-cpu", view(row.cpu));
  function.addFnAttr("target-features", view(row.features));
  function.addFnAttr("no-trapping-math", "true");
  for (const char* fast : {"unsafe-fp-math", "no-nans-fp-math", "no-infs-fp-math",
                           "no-signed-zeros-fp-math", "approx-func-fp-math"})
    function.removeFnAttr(fast);
  if (row.vector_bits == 0) return;
  const std::string bits = std::to_string(row.vector_bits);
  function.addFnAttr("prefer-vector-width", bits);
  function.addFnAttr("min-legal-vector-width", bits);
}

// A sum across lanes is a tree: in sequence it would take as many steps as lanes, and its order is
// fixed either way.
void set_float_flags(llvm::Function& function) {
  for (llvm::Instruction& instruction : llvm::instructions(function)) {
    if (!llvm::isa<llvm::FPMathOperator>(instruction)) continue;
    llvm::FastMathFlags flags;
    if (const auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction)) {
      const llvm::Intrinsic::ID id = call->getIntrinsicID();
      flags.setAllowReassoc(id == llvm::Intrinsic::vector_reduce_fadd ||
                            id == llvm::Intrinsic::vector_reduce_fmul);
      // Of lanes with a NaN any one may win; otherwise this would be a chain of scalars.
      flags.setNoNaNs(id == llvm::Intrinsic::vector_reduce_fmax ||
                      id == llvm::Intrinsic::vector_reduce_fmin);
    }
    instruction.copyFastMathFlags(flags);
  }
}

void guard_memory(llvm::Module& module) {
  const std::pair<const char*, const char*> names[] = {{"halide_malloc", kGuardedAllocate},
                                                       {"halide_free", kGuardedFree}};
  for (const auto& [name, guarded] : names)
    if (llvm::Function* function = module.getFunction(name)) function->setName(guarded);
}

std::unique_ptr<llvm::Module> read(const Bitcode& kernel, const ir::Target& target,
                                   const llvm::TargetMachine& machine, llvm::LLVMContext& context) {
  const MachineRow& row = machine_row(target);
  const llvm::MemoryBufferRef buffer(view(kernel.bytes), kernel.name);
  auto module = checked(llvm::parseBitcodeFile(buffer, context));
  module->setTargetTriple(view(row.triple));
  module->setDataLayout(machine.createDataLayout());
  define_stagings(*module);
  if (has_asserts()) guard_memory(*module);
  const std::string entry = kernel.name + "_argv";
  invariant(module->getFunction(entry) != nullptr, "bitcode without its entry " + entry);
  for (llvm::Function& function : *module) {
    if (function.isDeclaration()) continue;
    if (function.getName() != entry) function.setLinkage(llvm::GlobalValue::InternalLinkage);
    function.setVisibility(llvm::GlobalValue::DefaultVisibility);
    function.setComdat(nullptr);
    set_attributes(function, row);
    set_float_flags(function);
    join_halves(function);
    if (target.fma) form_multiply_adds(function);
  }
  drop_rounded(*module);
  for (llvm::GlobalVariable& variable : module->globals())
    if (!variable.isDeclaration()) variable.setLinkage(llvm::GlobalValue::InternalLinkage);
  return module;
}

// Halide's helper functions come along with every kernel.
template <class List>
bool erase_unused(List&& list) {
  bool erased = false;
  for (auto& value : llvm::make_early_inc_range(list)) {
    if (!value.use_empty() || (!value.isDeclaration() && !value.hasLocalLinkage())) continue;
    value.eraseFromParent();
    erased = true;
  }
  return erased;
}

void drop_unused(llvm::Module& module) {
  while (erase_unused(module.functions()) || erase_unused(module.globals())) {
  }
}

std::unique_ptr<llvm::Module> link(std::span<const Bitcode> kernels, const ir::Target& target,
                                   const llvm::TargetMachine& machine, llvm::LLVMContext& context) {
  invariant(!kernels.empty(), "an object of no kernels");
  auto module = read(kernels.front(), target, machine, context);
  for (const Bitcode& kernel : kernels.subspan(1)) {
    const bool failed = llvm::Linker::linkModules(*module, read(kernel, target, machine, context));
    invariant(!failed, "kernels of one object that do not link");
  }
  drop_unused(*module);
  return module;
}

std::string emit(std::span<const Bitcode> kernels, const ir::Target& target,
                 llvm::CodeGenFileType type) {
  const auto machine = codegen::machine(machine_row(target));
  llvm::LLVMContext context;
  const auto module = link(kernels, target, *machine, context);
  llvm::SmallString<0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  const bool unable = machine->addPassesToEmitFile(passes, stream, nullptr, type);
  invariant(!unable, "a target that emits no files");
  passes.run(*module);
  return std::string(bytes);
}

}  // namespace

std::string object(std::span<const Bitcode> kernels, const ir::Target& target) {
  return emit(kernels, target, llvm::CodeGenFileType::ObjectFile);
}

std::string intermediate(std::span<const Bitcode> kernels, const ir::Target& target) {
  const auto machine = codegen::machine(machine_row(target));
  llvm::LLVMContext context;
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  link(kernels, target, *machine, context)->print(stream, nullptr);
  return std::string(text);
}

std::string assembly(std::span<const Bitcode> kernels, const ir::Target& target) {
  return emit(kernels, target, llvm::CodeGenFileType::AssemblyFile);
}

}  // namespace fovea::codegen
