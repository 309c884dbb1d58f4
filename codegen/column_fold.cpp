#include <Halide.h>

#include "codegen/column_fold.h"

#include <algorithm>
#include <set>

#include "codegen/row_sum.h"
#include "ir/query.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using namespace ir;

class Columns {
 public:
  Columns(const Source& source, Signature& signature, const Result& result, int number)
      : source_(source),
        graph_(source.graph),
        signature_(signature),
        result_(result),
        node_(source.graph.node(result.node)),
        suffix_("_" + std::to_string(number)),
        emitter_(source.graph, false),
        out_(source.name + suffix_) {
    emitter_.extent = [this](AxisId id) { return signature_.extent(id); };
    emitter_.checked = source.checked;
    emitter_.resolve = [this](NodeId id, const ScopePtr& scope) {
      return source_.leaves[static_cast<std::size_t>(id)] ? signature_.load(id, scope, {}) : Expr();
    };
  }

  std::optional<Special> operator()() {
    // What is in memory is copied, not computed again from what may no longer be there.
    if (source_.leaves[static_cast<std::size_t>(result_.node)]) return std::nullopt;
    if (!is_fold(node_) || chooses_places(node_)) return std::nullopt;
    axis_ = folded_axis(node_);
    if (!lies_in_rows()) return std::nullopt;
    for (auto axis = result_.place.layout.rbegin(); axis != result_.place.layout.rend(); ++axis)
      vars_.push_back(var(*axis));
    if (const Reduce* reduce = reduce_of(node_))
      fold(reduce->fn);
    else
      run();
    promise(out_.output_buffer(), signature_.fixed_extents(result_.place), false);
    signature_.add_result(result_.place.buffer);
    return Special{out_, static_cast<int>(result_.place.layout.size()) - 1};
  }

 private:
  bool lies_in_rows() const {
    const std::vector<AxisId>& layout = result_.place.layout;
    if (layout.empty() || layout.back() == axis_ || graph_.axis(axis_).degree != kNone ||
        node_.type.dtype != Dtype::F32 || result_.place.dtype != Dtype::F32 ||
        !graph_.node(node_.inputs[0]).type.has(axis_))
      return false;
    const std::int64_t length = signature_.fixed_extent(layout.back());
    return length > 0 && length % source_.target.lanes == 0 &&
           lies_along(source_, node_.inputs[0], layout.back());
  }

  Expr term(const Expr& at) {
    const ScopePtr scope = emitter_.scope();
    const auto& layout = result_.place.layout;
    for (const AxisId axis : layout) scope->at[static_cast<std::size_t>(axis)] = var(axis);
    scope->at[static_cast<std::size_t>(axis_)] = at;
    return Halide::cast<float>(emitter_.value(node_.inputs[0], scope));
  }

  // In place: a row is the one before it and its term.
  void run() {
    const RDom r(0, signature_.extent(axis_), "r" + suffix_);
    const auto axis = std::ranges::find(vars_, var(axis_).name(), &Var::name);
    std::vector<Expr> here(vars_.begin(), vars_.end()), before = here;
    const auto nth = static_cast<std::size_t>(axis - vars_.begin());
    here[nth] = r.x;
    before[nth] = Halide::max(r.x - 1, 0);
    out_(vars_) = Halide::undef<float>();
    out_(here) = Halide::select(r.x == 0, 0.f, out_(before)) + term(r.x);
    out_.update().reorder(vars_[0], r.x).vectorize(vars_[0], source_.target.lanes);
  }

  void fold(ReduceFn fn) {
    const int lanes = source_.target.lanes;
    const int length = static_cast<int>(signature_.fixed_extent(result_.place.layout.back()));
    const int accumulators = source_.target.registers >= 32 ? 16 : 8;
    int wide = 8;  // vectors of a row that are folded together
    while (length % (wide * lanes) != 0) wide--;
    const int rows = std::max(1, accumulators / wide);
    const Var xo("xo"), xi("xi"), nth("nth"), &x = vars_[0];
    const Expr extent = signature_.extent(axis_);
    const RDom r(0, extent / rows, "r" + suffix_), each(0, rows, "each" + suffix_),
        rest(extent / rows * rows, extent % rows, "rest" + suffix_);
    Func some("some" + suffix_), all("all" + suffix_);
    std::vector<Var> of_some = vars_;
    of_some.push_back(nth);
    std::vector<Expr> at(vars_.begin(), vars_.end());
    at.push_back(each.x);
    some(of_some) = identity(fn, Halide::Float(32));
    some(of_some) = combine(fn, some(of_some), term(r.x * rows + nth));
    all(vars_) = identity(fn, Halide::Float(32));
    all(vars_) = combine(fn, all(vars_), some(at));
    all(vars_) = combine(fn, all(vars_), term(rest.x));
    out_(vars_) = all(vars_);

    out_.split(x, xo, xi, wide * lanes).vectorize(xi, lanes);
    some.compute_at(out_, xo).store_in(Halide::MemoryType::Stack);
    some.bound_extent(x, wide * lanes).bound_extent(nth, rows);
    some.vectorize(x, lanes).unroll(x).unroll(nth);
    some.update().reorder(x, nth, r.x).vectorize(x, lanes).unroll(x).unroll(nth);
    all.compute_at(out_, xo).store_in(Halide::MemoryType::Stack).bound_extent(x, wide * lanes);
    all.vectorize(x, lanes).unroll(x);
    all.update(0).reorder(x, each.x).vectorize(x, lanes).unroll(x).unroll(each.x);
    all.update(1).reorder(x, rest.x).vectorize(x, lanes).unroll(x);
  }

  const Source& source_;
  const Graph& graph_;
  Signature& signature_;
  const Result& result_;
  const Node& node_;
  std::string suffix_;
  Emitter emitter_;
  Func out_;
  AxisId axis_ = kNone;
  std::vector<Var> vars_;  // of the result, fastest first
};

}  // namespace

std::optional<Special> lower_column_fold(const Source& source, Signature& signature,
                                         const Result& result, int number) {
  return Columns(source, signature, result, number)();
}

}  // namespace fovea::codegen
