#include "codegen/multiply_adds.h"

#include <llvm/ADT/STLExtras.h>
#include <llvm/Analysis/InstructionSimplify.h>
#include <llvm/IR/Constants.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/Module.h>
#include <llvm/IR/Operator.h>
#include <llvm/Transforms/Utils/Local.h>

namespace fovea::codegen {
namespace {

using llvm::BinaryOperator;
using llvm::Instruction;
using llvm::Value;

const BinaryOperator* product(const Value* value) {
  const auto* binary = llvm::dyn_cast<BinaryOperator>(value);
  return binary && binary->getOpcode() == Instruction::FMul ? binary : nullptr;
}

// Also one that is read, and 0 outside.
bool may_be_product(const Value* value) {
  const auto* select = llvm::dyn_cast<llvm::SelectInst>(value);
  return product(value) ||
         (select && (product(select->getTrueValue()) || product(select->getFalseValue())));
}

// What the sum or difference is as a multiply-add, or nothing. Of two products the first is left
// unrounded in a sum. A difference rounds both: of equal ones it is 0.
Value* multiply_add(BinaryOperator& sum) {
  const bool subtracts = sum.getOpcode() == Instruction::FSub;
  if (!subtracts && sum.getOpcode() != Instruction::FAdd) return nullptr;
  Value *first = sum.getOperand(0), *second = sum.getOperand(1);
  const BinaryOperator *left = product(first), *right = product(second);
  if (!left && !right) return nullptr;
  if (subtracts && may_be_product(first) && may_be_product(second)) return nullptr;
  llvm::IRBuilder<> b(&sum);
  const bool takes_right = right && (subtracts || !left);
  Value* x = takes_right ? right->getOperand(0) : left->getOperand(0);
  Value* y = takes_right ? right->getOperand(1) : left->getOperand(1);
  Value* added = takes_right ? first : second;
  if (subtracts && takes_right) x = b.CreateFNeg(x);
  if (subtracts && !takes_right) added = b.CreateFNeg(added);
  return b.CreateIntrinsic(llvm::Intrinsic::fma, {sum.getType()}, {x, y, added});
}

// What follows from a value that has become a constant.
void simplify_users(Instruction& instruction, const llvm::DataLayout& layout) {
  llvm::SmallVector<llvm::WeakTrackingVH> todo;
  for (llvm::User* user : instruction.users()) todo.emplace_back(user);
  instruction.replaceAllUsesWith(llvm::Constant::getNullValue(instruction.getType()));
  while (!todo.empty()) {
    auto* user = llvm::dyn_cast_or_null<Instruction>(todo.pop_back_val());
    Value* simple = user ? llvm::simplifyInstruction(user, {layout, user}) : nullptr;
    if (!simple || simple == user) continue;
    for (llvm::User* next : user->users()) todo.emplace_back(next);
    user->replaceAllUsesWith(simple);
    llvm::RecursivelyDeleteTriviallyDeadInstructions(user);
  }
}

}  // namespace

void form_multiply_adds(llvm::Function& function) {
  llvm::SmallVector<llvm::WeakTrackingVH> replaced;
  for (Instruction& instruction : llvm::make_early_inc_range(llvm::instructions(function))) {
    auto* sum = llvm::dyn_cast<BinaryOperator>(&instruction);
    Value* fused = sum ? multiply_add(*sum) : nullptr;
    if (!fused) continue;
    sum->replaceAllUsesWith(fused);
    replaced.emplace_back(sum);
  }
  llvm::RecursivelyDeleteTriviallyDeadInstructions(replaced);
}

void drop_rounded(llvm::Module& module) {
  llvm::Function* mark = module.getFunction(llvm::StringRef(kRounded.data(), kRounded.size()));
  if (!mark) return;
  for (llvm::User* user : llvm::make_early_inc_range(mark->users())) {
    auto* call = llvm::cast<llvm::CallInst>(user);
    simplify_users(*call, module.getDataLayout());
    call->eraseFromParent();
  }
  mark->eraseFromParent();
}

}  // namespace fovea::codegen
