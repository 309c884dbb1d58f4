#include <Halide.h>

#include "codegen/enclosed.h"
#include "codegen/lengths.h"
#include "codegen/multiply_adds.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Internal::Call;

constexpr int kLongest = 64;  // operands, those of a node that is used again counted once
constexpr int kOfMark = 3;    // operands that `rounded` has beside its mark

class Operands : public Halide::Internal::IRGraphVisitor {
 public:
  int count = 0;

 private:
  using IRGraphVisitor::include;
  void include(const Expr& e) override {
    const auto* call = e.as<Call>();
    count += call && call->name == kRounded ? -kOfMark : 1;  // which costs nothing
    IRGraphVisitor::include(e);
    const Expr body = call == nullptr ? Expr() : body_of(*call);
    if (body.defined()) include(body);
  }
};

}  // namespace

bool is_long(const Expr& value) {
  Operands operands;
  value.accept(&operands);
  return operands.count > kLongest;
}

}  // namespace fovea::codegen
