#include <Halide.h>

#include <map>
#include <set>
#include <string>

#include "codegen/wide_strides.h"
#include "runtime/program.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Internal::Call;
using Halide::Internal::Cast;
using Halide::Internal::IRMutator;
using Halide::Internal::LetStmt;
using Halide::Internal::Mul;
using Halide::Internal::Stmt;
using Halide::Internal::Variable;

bool is_stride(const std::string& name) { return name.find(".stride.") != std::string::npos; }

class WidenStrides : public IRMutator {
 public:
  explicit WidenStrides(const Halide::Internal::LoweredFunc& function) {
    for (const Halide::Internal::LoweredArgument& argument : function.args)
      if (argument.is_buffer()) ranks_[argument.name + ".buffer"] = argument.dimensions;
  }

 private:
  using IRMutator::visit;

  Expr visit(const Cast* op) override {
    const bool widens = op->type == Halide::Int(64) && op->value.type() == Halide::Int(32);
    return widens ? wide(op->value) : IRMutator::visit(op);
  }

  Stmt visit(const LetStmt* op) override {
    if (!is_stride(op->name) || op->value.type() != Halide::Int(32)) return IRMutator::visit(op);
    const Expr value = wide(op->value);
    known_.insert(op->name);
    const Stmt body = LetStmt::make(wide_name(op->name), value, mutate(op->body));
    known_.erase(op->name);
    return LetStmt::make(op->name, op->value, body);
  }

  static std::string wide_name(const std::string& name) { return name + ".wide"; }

  // Integers of Halide's own do not wrap around, so that a product may be one of 64 bits.
  Expr wide(const Expr& e) {
    if (const auto* product = e.as<Mul>()) return Mul::make(wide(product->a), wide(product->b));
    if (const auto* name = e.as<Variable>(); name && known_.contains(name->name))
      return Variable::make(Halide::Int(64), wide_name(name->name));
    const Expr low = Cast::make(Halide::Int(64), mutate(e));
    const auto* call = e.as<Call>();
    if (call == nullptr || call->name != Call::buffer_get_stride) return low;
    const auto* buffer = call->args[0].as<Variable>();
    const auto rank = buffer ? ranks_.find(buffer->name) : ranks_.end();
    if (rank == ranks_.end()) return low;
    const Expr behind = Call::make(call->type, call->name,
                                   {call->args[0], call->args[1] + rank->second}, call->call_type);
    const Expr unit =
        Halide::Internal::make_const(Halide::Int(64), std::int64_t{1} << runtime::kStrideBits);
    return low + Cast::make(Halide::Int(64), behind) * unit;
  }

  std::map<std::string, int> ranks_;  // of the function's buffers
  std::set<std::string> known_;       // strides that have a wide form here
};

}  // namespace

void widen_strides(Halide::Module& module) {
  for (auto& function : module.functions())
    function.body = WidenStrides(function).mutate(function.body);
}

}  // namespace fovea::codegen
