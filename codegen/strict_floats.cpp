#include "codegen/strict_floats.h"

#include <Halide.h>

#include <map>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Internal::Add;
using Halide::Internal::Call;
using Halide::Internal::Cast;
using Halide::Internal::EQ;
using Halide::Internal::GE;
using Halide::Internal::IfThenElse;
using Halide::Internal::IRMutator;
using Halide::Internal::IRVisitor;
using Halide::Internal::LE;
using Halide::Internal::Let;
using Halide::Internal::LetStmt;
using Halide::Internal::Load;
using Halide::Internal::LT;
using Halide::Internal::Max;
using Halide::Internal::Min;
using Halide::Internal::Mul;
using Halide::Internal::Or;
using Halide::Internal::Select;
using Halide::Internal::Shuffle;
using Halide::Internal::Stmt;
using Halide::Internal::Store;
using Halide::Internal::VectorReduce;

template <class Predicate>
bool contains(const Expr& e, Predicate holds) {
  struct Search : IRMutator {  // the only visitor that meets every expression in one function
    explicit Search(Predicate p) : holds(p) {}
    using IRMutator::mutate;
    Expr mutate(const Expr& part) override {
      found = found || holds(part);
      return found ? part : IRMutator::mutate(part);
    }
    Predicate holds;
    bool found = false;
  } search(holds);
  search.mutate(e);
  return search.found;
}

bool is_float(const Expr& e) { return e.type().is_float(); }

// Halide looks for it to store nothing there.
bool is_undef(const Expr& e) { return Call::as_intrinsic(e, {Call::undef}) != nullptr; }

// Halide turns `x >= y` into `!(x < y)`, which is true of NaN. LLVM makes one comparison of these
// two.
class OrderedComparisons : public IRMutator {
 private:
  using IRMutator::visit;
  Expr visit(const LE* op) override { return ordered(op); }
  Expr visit(const GE* op) override { return ordered(op); }

  template <class Op>
  Expr ordered(const Op* op) {
    const Expr a = mutate(op->a), b = mutate(op->b);
    if (!a.type().is_float()) return Op::make(a, b);
    const Expr strictly = std::is_same_v<Op, LE> ? LT::make(a, b) : LT::make(b, a);
    return Or::make(strictly, EQ::make(a, b));
  }
};

// Halide's simplifier takes floats for numbers: `x - x` becomes 0, and `select(x < c, c, x)` the
// maximum that forgets NaN. Within strict_float it does not. What a reduction folds with itself
// stays outside, so that `.atomic()` and Halide's dot products see it.
class KeepNan : public IRMutator {
 public:
  explicit KeepNan(std::string self) : self_(std::move(self)) {}

  using IRMutator::mutate;
  Expr mutate(const Expr& e) override {
    if (!e.defined() || !contains(e, is_float) || contains(e, is_undef)) return e;
    if (const auto* let = e.as<Let>())
      return Let::make(let->name, mutate(let->value), mutate(let->body));
    if (const auto* add = e.as<Add>()) return fold<Add>(e, add->a, add->b);
    if (const auto* max = e.as<Max>()) return fold<Max>(e, max->a, max->b);
    if (const auto* min = e.as<Min>()) return fold<Min>(e, min->a, min->b);
    return strict(e);
  }

 private:
  template <class Op>
  Expr fold(const Expr& whole, const Expr& a, const Expr& b) const {
    if (is_self(a)) return Op::make(a, strict(b));
    if (is_self(b)) return Op::make(strict(a), b);
    return strict(whole);
  }
  bool is_self(const Expr& e) const {
    const auto* call = e.as<Call>();
    return call != nullptr && call->call_type == Call::Halide && call->name == self_;
  }
  static bool is_widened(const Expr& e) {
    const auto* cast = e.as<Cast>();
    return cast != nullptr && cast->value.type().bits() < e.type().bits();
  }
  static Expr strict(const Expr& e) {
    const auto* product = e.as<Mul>();
    const bool dot = product != nullptr && is_widened(product->a) && is_widened(product->b);
    return dot ? e : Halide::strict_float(OrderedComparisons().mutate(e));
  }

  std::string self_;
};

// Halide computes all values of a Tuple before it stores one, where they read one another; but it
// overlooks what they read only within a call such as sqrt or strict_float (SplitTuples). Such is
// read once more in the condition of a choice between two equals, of which LLVM makes nothing.
class TupleReads : public IRMutator {
 public:
  explicit TupleReads(std::string self) : self_(std::move(self)) {}

  using IRMutator::mutate;
  Expr mutate(const Expr& value) override {
    if (inside_ || !value.defined()) return IRMutator::mutate(value);
    overlooked_.clear(), seen_.clear();
    inside_ = true;
    IRMutator::mutate(value);
    inside_ = false;
    Expr read;
    for (const auto& [component, compared] : overlooked_)
      if (!seen_.contains(component)) read = read.defined() ? read || compared : compared;
    if (!read.defined()) return value;
    return Select::make(read, value, Halide::strict_float(value));
  }

 private:
  using IRMutator::visit;
  Expr visit(const Call* op) override {
    const bool own = op->call_type == Call::Halide && op->name == self_;
    if (own && calls_ == 0) seen_.insert(op->value_index);
    if (own && calls_ > 0)
      overlooked_.emplace(op->value_index, Expr(op) < Halide::Internal::make_zero(op->type));
    calls_++;
    const Expr result = IRMutator::visit(op);
    calls_--;
    return result;
  }

  std::string self_;
  bool inside_ = false;
  int calls_ = 0;
  std::set<int> seen_;
  std::map<int, Expr> overlooked_;
};

// Whatever is stored, bound or decided is computed strictly.
class StrictFloats : public IRMutator {
 public:
  using IRMutator::mutate;
  Expr mutate(const Expr& e) override {
    // Extents of loops and allocations must stay the constants that they are.
    if (!e.defined() || !contains(e, is_float)) return e;
    if (const auto* let = e.as<Let>())
      return Let::make(let->name, mutate(let->value), mutate(let->body));
    // ARM's interleaving stores are recognised by the shuffle on top.
    if (const auto* shuffle = e.as<Shuffle>())
      return Shuffle::make(IRMutator::mutate(shuffle->vectors), shuffle->indices);
    return Halide::strict_float(e);
  }

 private:
  using IRMutator::visit;
  Stmt visit(const Store* op) override {
    return Store::make(op->name, mutate(op->value), op->index, op->param, op->predicate,
                       op->alignment);
  }
  Stmt visit(const LetStmt* op) override {
    const bool integer = op->value.type().is_int_or_uint() && !op->value.type().is_bool();
    return LetStmt::make(op->name, integer ? op->value : mutate(op->value),
                         IRMutator::mutate(op->body));
  }
  Stmt visit(const IfThenElse* op) override {
    return IfThenElse::make(mutate(op->condition), IRMutator::mutate(op->then_case),
                            IRMutator::mutate(op->else_case));
  }
};

// An update that reads its output back would read it as memory of Halide's own, which is aligned to
// a vector; the caller's may not be. What is stored through a parameter is loaded through it here.
class StoredParameters : public IRVisitor {
 public:
  std::map<std::string, Halide::Internal::Parameter> of_name;

 private:
  using IRVisitor::visit;
  void visit(const Store* op) override {
    if (op->param.defined()) of_name.emplace(op->name, op->param);
    IRVisitor::visit(op);
  }
};

class UnalignedOutputs : public IRMutator {
 public:
  explicit UnalignedOutputs(const Stmt& body) { body.accept(&stored_); }

 private:
  using IRMutator::visit;
  Expr visit(const Load* op) override {
    const Expr load = IRMutator::visit(op);
    const auto output = stored_.of_name.find(op->name);
    if (output == stored_.of_name.end()) return load;
    op = load.as<Load>();
    return Load::make(op->type, op->name, op->index, op->image, output->second, op->predicate,
                      op->alignment);
  }

  StoredParameters stored_;
};

// Halide tells LLVM that arithmetic of i32 never wraps around. Addresses do not; a sum that is
// folded in memory may: what adds to a number that it reads back. Dot products of small integers
// stay as Halide knows them, for it makes one instruction of them, which wraps around.
class WrappingSums : public IRMutator {
 private:
  using IRMutator::visit;
  Stmt visit(const Store* op) override {
    const Halide::Type type = op->value.type();
    if (!type.is_int() || type.bits() != 32) return IRMutator::visit(op);
    folded_ = op->name;
    const Expr value = mutate(op->value);
    folded_.clear();
    return Store::make(op->name, value, op->index, op->param, op->predicate, op->alignment);
  }
  Expr visit(const Load* op) override { return op; }  // whatever is read, its place is no sum
  Expr visit(const Add* op) override {
    const bool is_dot = op->a.as<VectorReduce>() != nullptr || op->b.as<VectorReduce>() != nullptr;
    if (is_dot || !reads_back(op)) return op;
    const Halide::Type bits = op->type.with_code(Halide::Type::UInt);
    const auto unsigned_of = [&](const Expr& x) { return Halide::reinterpret(bits, mutate(x)); };
    return Halide::reinterpret(op->type, Add::make(unsigned_of(op->a), unsigned_of(op->b)));
  }

  bool reads_back(const Expr& e) const {
    return !folded_.empty() && contains(e, [&](const Expr& part) {
      const auto* load = part.as<Load>();
      return load != nullptr && load->name == folded_;
    });
  }

  std::string folded_;
};

}  // namespace

void keep_nan(Halide::Internal::Function& function) {
  if (function.outputs() > 1) {
    TupleReads reads(function.name());
    function.mutate(&reads);
  } else {
    KeepNan mutator(function.name());
    function.mutate(&mutator);
  }
}

void make_strict(Halide::Module& module) {
  for (auto& function : module.functions()) {
    function.body = UnalignedOutputs(function.body).mutate(function.body);
    function.body = WrappingSums().mutate(function.body);
    function.body = StrictFloats().mutate(function.body);
  }
  module.set_any_strict_float(true);
}

}  // namespace fovea::codegen
