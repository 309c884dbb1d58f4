#include "codegen/whole_tiles.h"

#include <Halide.h>

#include <algorithm>
#include <vector>

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Internal::Call;
using Halide::Internal::Function;
using Halide::Internal::IRGraphVisitor;
using Halide::Internal::IRGraphMutator;
using Halide::Internal::Select;
using Halide::Internal::Variable;

// Whether an extent was promised without a start.
bool is_tile(const Call& call) {
  if (call.call_type != Call::Halide || !call.func.defined()) return false;
  const auto& bounds = Function(call.func).schedule().bounds();
  return std::ranges::any_of(
      bounds, [](const auto& bound) { return bound.extent.defined() && !bound.min.defined(); });
}

// Whether it differs within the loops.
bool varies(const Expr& e) {
  struct Search : IRGraphVisitor {
    using IRGraphVisitor::visit;
    void visit(const Variable* op) override { found = found || !op->param.defined(); }
    bool found = false;
  } search;
  e.accept(&search);
  return search.found;
}

// The calls of tiles in a choice: those that happen whatever is chosen, and the others.
class Calls : public IRGraphVisitor {
 public:
  std::vector<Expr> always, sometimes;

 private:
  using IRGraphVisitor::visit;
  void visit(const Call* op) override {
    if (is_tile(*op)) add(depth_ == 0 ? always : sometimes, op);
    IRGraphVisitor::visit(op);
  }
  void visit(const Select* op) override {
    include(op->condition);
    depth_++;
    include(op->true_value);
    include(op->false_value);
    depth_--;
  }
  static void add(std::vector<Expr>& calls, const Expr& call) {
    if (!contains(calls, call)) calls.push_back(call);
  }

 public:
  static bool contains(const std::vector<Expr>& calls, const Expr& call) {
    return std::ranges::any_of(
        calls, [&](const Expr& known) { return Halide::Internal::equal(known, call); });
  }

 private:
  int depth_ = 0;
};

class CallBeside : public IRGraphMutator {
  using IRGraphMutator::visit;
  Expr visit(const Select* op) override {
    if (!varies(op->condition)) return IRGraphMutator::visit(op);
    const Expr choice = op;
    Calls calls;
    choice.accept(&calls);
    Expr result = choice;
    for (const Expr& call : calls.sometimes)
      if (!Calls::contains(calls.always, call))
        result = Call::make(result.type(), Call::return_second, {call, result}, Call::PureIntrinsic);
    return result;
  }
};

}  // namespace

void keep_tiles_whole(const Halide::Pipeline& pipeline) {
  std::vector<Function> outputs;
  for (const Halide::Func& output : pipeline.outputs()) outputs.push_back(output.function());
  CallBeside mutator;
  for (auto& [name, function] : Halide::Internal::build_environment(outputs))
    function.mutate(&mutator);
}

}  // namespace fovea::codegen
