#include "codegen/whole_tiles.h"

#include <Halide.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Internal::Call;
using Halide::Internal::Function;
using Halide::Internal::IRGraphMutator;
using Halide::Internal::IRGraphVisitor;
using Halide::Internal::Select;
using Halide::Internal::Variable;

// Whether an extent was promised without a start.
bool is_tile(const Function& function) {
  return std::ranges::any_of(function.schedule().bounds(), [](const auto& bound) {
    return bound.extent.defined() && !bound.min.defined();
  });
}

// Whether its elements are stored in an order of its own, as a scan stores them.
bool is_scattered(const Function& function) {
  const std::vector<std::string>& names = function.args();
  return std::ranges::any_of(function.updates(), [&](const auto& update) {
    return !std::ranges::equal(update.args(), names, [](const Expr& at, const std::string& name) {
      const auto* variable = at.template as<Variable>();
      return variable != nullptr && variable->name == name;
    });
  });
}

bool must_stay_whole(const Call& call) {
  if (call.call_type != Call::Halide || !call.func.defined()) return false;
  const Function function(call.func);
  return is_tile(function) || is_scattered(function);
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

// The calls in a choice of what must stay whole: those that happen whatever is chosen, and the
// others. A function that calls itself calls what it has stored.
class Calls : public IRGraphVisitor {
 public:
  explicit Calls(std::string self) : self_(std::move(self)) {}
  std::vector<Expr> always, sometimes;

 private:
  using IRGraphVisitor::visit;
  void visit(const Call* op) override {
    if (op->name != self_ && must_stay_whole(*op)) add(depth_ == 0 ? always : sometimes, op);
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
  std::string self_;
  int depth_ = 0;
};

class CallBeside : public IRGraphMutator {
 public:
  explicit CallBeside(std::string self) : self_(std::move(self)) {}

 private:
  using IRGraphMutator::visit;
  Expr visit(const Select* op) override {
    if (!varies(op->condition)) return IRGraphMutator::visit(op);
    const Expr choice = op;
    Calls calls(self_);
    choice.accept(&calls);
    Expr result = choice;
    for (const Expr& call : calls.sometimes)
      if (!Calls::contains(calls.always, call))
        result =
            Call::make(result.type(), Call::return_second, {call, result}, Call::PureIntrinsic);
    return result;
  }

  std::string self_;
};

}  // namespace

void keep_tiles_whole(const Halide::Pipeline& pipeline) {
  std::vector<Function> outputs;
  for (const Halide::Func& output : pipeline.outputs()) outputs.push_back(output.function());
  for (auto& [name, function] : Halide::Internal::build_environment(outputs)) {
    CallBeside mutator(name);
    function.mutate(&mutator);
  }
}

}  // namespace fovea::codegen
