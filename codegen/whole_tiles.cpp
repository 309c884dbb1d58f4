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

// Whether the extent of a dimension was promised, and its start was not.
bool is_tile(const Function& function) {
  return std::ranges::any_of(function.schedule().bounds(), [](const auto& bound) {
    return bound.extent.defined() && !bound.min.defined();
  });
}

// Whether an update stores elements at coordinates other than the function's own variables, as the
// update of a scan does.
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

// Whether the value can differ from one iteration of the loops to the next.
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

  static bool contains(const std::vector<Expr>& calls, const Expr& call) {
    return std::ranges::any_of(
        calls, [&](const Expr& known) { return Halide::Internal::equal(known, call); });
  }

 private:
  using IRGraphVisitor::visit;
  void visit(const Call* op) override {
    std::vector<Expr>& calls = depth_ == 0 ? always : sometimes;
    if (op->name != self_ && must_stay_whole(*op) && !contains(calls, op)) calls.emplace_back(op);
    IRGraphVisitor::visit(op);
  }
  void visit(const Select* op) override {
    include(op->condition);
    depth_++;
    include(op->true_value);
    include(op->false_value);
    depth_--;
  }

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

void keep_tiles_whole(Halide::Internal::Function& function) {
  CallBeside mutator(function.name());
  function.mutate(&mutator);
}

}  // namespace fovea::codegen
