#include "codegen/fingerprint.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Bitcode/BitcodeReader.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Support/xxhash.h>

#include <string>

#include "codegen/checked.h"

namespace fovea::codegen {

std::uint64_t fingerprint(const Bitcode& function) {
  llvm::LLVMContext context;
  context.setDiscardValueNames(true);
  const llvm::MemoryBufferRef bytes(function.bytes, function.name);
  const auto module = checked(llvm::parseBitcodeFile(bytes, context));
  for (llvm::Function& each : *module)
    for (llvm::Instruction& instruction : llvm::instructions(each))
      instruction.dropUnknownNonDebugMetadata();
  for (llvm::GlobalValue& global : module->global_values())
    if (global.hasLocalLinkage()) global.setName("");
  while (!module->named_metadata_empty()) module->named_metadata_begin()->eraseFromParent();
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream, nullptr);
  return llvm::xxh3_64bits(llvm::StringRef(stream.str()));
}

}  // namespace fovea::codegen
