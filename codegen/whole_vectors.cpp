#include "codegen/whole_vectors.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>
#include <llvm/Transforms/Utils/Local.h>

namespace fovea::codegen {
namespace {

// Of one operand, lane by lane.
bool is_elementwise(llvm::Intrinsic::ID id) {
  switch (id) {
    case llvm::Intrinsic::sqrt:
    case llvm::Intrinsic::fabs:
    case llvm::Intrinsic::floor:
    case llvm::Intrinsic::ceil:
    case llvm::Intrinsic::trunc:
    case llvm::Intrinsic::nearbyint:
    case llvm::Intrinsic::rint: return true;
    default: return false;
  }
}

// The call of both halves at once, or nothing.
llvm::Value* whole(llvm::ShuffleVectorInst& shuffle) {
  if (!shuffle.isConcat()) return nullptr;
  const auto* low = llvm::dyn_cast<llvm::IntrinsicInst>(shuffle.getOperand(0));
  const auto* high = llvm::dyn_cast<llvm::IntrinsicInst>(shuffle.getOperand(1));
  if (!low || !high || low->getIntrinsicID() != high->getIntrinsicID() ||
      !is_elementwise(low->getIntrinsicID()))
    return nullptr;
  llvm::IRBuilder<> b(&shuffle);
  llvm::Value* both =
      b.CreateShuffleVector(low->getOperand(0), high->getOperand(0), shuffle.getShuffleMask());
  llvm::CallInst* call = b.CreateUnaryIntrinsic(low->getIntrinsicID(), both);
  call->copyFastMathFlags(low);
  return call;
}

}  // namespace

void join_halves(llvm::Function& function) {
  llvm::SmallVector<llvm::WeakTrackingVH> replaced;
  for (llvm::Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    auto* shuffle = llvm::dyn_cast<llvm::ShuffleVectorInst>(&instruction);
    llvm::Value* joined = shuffle ? whole(*shuffle) : nullptr;
    if (!joined) continue;
    shuffle->replaceAllUsesWith(joined);
    replaced.push_back(shuffle);
  }
  llvm::RecursivelyDeleteTriviallyDeadInstructions(replaced);
}

}  // namespace fovea::codegen
