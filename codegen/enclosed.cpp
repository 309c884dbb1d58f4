// Bodies behind calls (codegen/enclosed.h).
#include <Halide.h>

#include "codegen/enclosed.h"

#include <string>
#include <vector>

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Internal::Broadcast;
using Halide::Internal::Call;
using Halide::Internal::Cast;
using Halide::Internal::FloatImm;
using Halide::Internal::Function;
using Halide::Internal::IntImm;
using Halide::Internal::IRMutator;
using Halide::Internal::Let;
using Halide::Internal::UIntImm;
using Halide::Internal::Variable;

Expr widened(const Expr& e, int lanes) {
  return lanes == 1 || e.type().lanes() == lanes ? e : Broadcast::make(e, lanes);
}

// A scalar expression for each of some lanes; its variables have as many.
class Widen : public IRMutator {
 public:
  explicit Widen(int lanes) : lanes_(lanes) {}

 private:
  using IRMutator::visit;
  Expr visit(const IntImm* op) override { return widened(op, lanes_); }
  Expr visit(const UIntImm* op) override { return widened(op, lanes_); }
  Expr visit(const FloatImm* op) override { return widened(op, lanes_); }
  Expr visit(const Variable* op) override {
    return Variable::make(op->type.with_lanes(lanes_), op->name);
  }
  Expr visit(const Cast* op) override {
    return Cast::make(op->type.with_lanes(lanes_), mutate(op->value));
  }
  Expr visit(const Call* op) override {
    return Call::make(op->type.with_lanes(lanes_), op->name, mutate(op->args), op->call_type);
  }

  int lanes_;
};

class Disclose : public IRMutator {
  using IRMutator::visit;
  Expr visit(const Call* op) override {
    const Expr body = body_of(*op);
    if (!body.defined()) return IRMutator::visit(op);
    const int lanes = op->type.lanes();
    Expr result = Widen(lanes).mutate(body);
    const std::vector<std::string>& names = Function(op->func).args();
    for (std::size_t n = names.size(); n-- > 0;)
      result = Let::make(names[n], widened(mutate(op->args[n]), lanes), result);
    return result;
  }
};

}  // namespace

Expr enclose(const Expr& body, const std::vector<std::string>& names,
             const std::vector<Expr>& arguments) {
  // Calls of one name and the same arguments are taken to be the same.
  Function function(Halide::Internal::unique_name("enclosed"));
  function.define(names, {body});
  return Call::make(body.type(), function.name(), arguments, Call::PureExtern,
                    function.get_contents());
}

Expr body_of(const Call& call) {
  const bool encloses = call.call_type == Call::PureExtern && call.func.defined();
  return encloses ? Function(call.func).values()[0] : Expr();
}

void disclose(Halide::Module& module) {
  for (auto& function : module.functions()) function.body = Disclose().mutate(function.body);
}

}  // namespace fovea::codegen
