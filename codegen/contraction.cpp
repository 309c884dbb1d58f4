// A sum of products off the plane, with what follows it element by element: accumulators of a tile
// in registers, one operand packed in panels.
#include "ir/contraction.h"

#include <Halide.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "codegen/lower.h"
#include "ir/error.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::Var;
using namespace ir;

// sum(m, a[y, m] * b[x, m]): x is the fastest axis of the result, y one along which b is constant.
struct Contraction {
  NodeId sum = kNone;  // the result is a function of this, element by element
  AxisId x = kNone, y = kNone;
  std::vector<AxisId> m;  // slowest first
  std::vector<Factor> a, b;
  double scale = 1;
};

bool is_fold(const Graph& graph, NodeId id) {
  const Op& op = graph.node(id).op;
  return std::holds_alternative<Scan>(op) || std::holds_alternative<TopK>(op) ||
         (std::holds_alternative<Reduce>(op) && !is_multiple(graph, id));
}

// Folds that a value is a function of at its own point; nothing if it needs others elsewhere.
std::optional<std::set<NodeId>> folds_at_point(const Graph& graph, NodeId root,
                                               const Leaves& leaves) {
  std::set<NodeId> found;
  std::set<std::pair<NodeId, bool>> seen;  // and whether at other points
  std::vector<std::pair<NodeId, bool>> stack{{root, false}};
  while (!stack.empty()) {
    const auto [id, moved] = stack.back();
    stack.pop_back();
    if (leaves[static_cast<std::size_t>(id)] || !seen.emplace(id, moved).second) continue;
    if (is_fold(graph, id)) {
      if (moved) return std::nullopt;
      found.insert(id);
      continue;
    }
    const bool maps = std::holds_alternative<Map>(graph.node(id).op);
    for (const NodeId input : graph.node(id).inputs) stack.emplace_back(input, moved || !maps);
  }
  return found;
}

bool has_fold(const Graph& graph, NodeId id, const Leaves& leaves) {
  const auto folds = folds_at_point(graph, id, leaves);
  return !folds || !folds->empty();
}

bool any_has(const Graph& graph, const std::vector<Factor>& factors, AxisId axis) {
  return std::ranges::any_of(
      factors, [&](const Factor& factor) { return graph.node(factor.node).type.has(axis); });
}

std::optional<Contraction> recognise(const Source& source, const Result& result) {
  const Graph& graph = source.graph;
  const std::vector<AxisId>& layout = result.place.layout;
  if (source.leaves[static_cast<std::size_t>(result.node)] || layout.size() < 2 ||
      result.place.dtype == Dtype::I4)
    return std::nullopt;
  const auto folds = folds_at_point(graph, result.node, source.leaves);
  if (!folds || folds->size() != 1) return std::nullopt;
  Contraction found;
  found.sum = *folds->begin();
  const auto sum = sum_of(graph, found.sum, source.leaves);
  if (!sum || graph.node(found.sum).type.axes != graph.node(result.node).type.axes)
    return std::nullopt;
  found.x = layout.back();
  found.m = sum->axes;
  const Product product = product_of(graph, sum->term, source.leaves);
  if (product.negative) found.scale = -1;
  for (const Factor& factor : product.factors) {
    const Node& of = graph.node(factor.node);
    if (has_fold(graph, factor.node, source.leaves)) return std::nullopt;
    if (const Constant* c = std::get_if<Constant>(&of.op))
      found.scale = factor.inverted ? found.scale / c->value : found.scale * c->value;
    else
      (of.type.has(found.x) ? found.b : found.a).push_back(factor);
  }
  for (const AxisId axis : layout)
    if (axis != found.x && any_has(graph, found.a, axis) && !any_has(graph, found.b, axis))
      found.y = axis;
  const bool b_varies =
      std::ranges::any_of(found.m, [&](AxisId axis) { return any_has(graph, found.b, axis); });
  if (found.b.empty() || found.y == kNone || !b_varies) return std::nullopt;
  return found;
}

Var var(AxisId axis) { return Var("a" + std::to_string(axis)); }

// One result, from what was recognised to its schedule.
class Multiplication {
 public:
  Multiplication(const Source& source, Signature& signature, const Result& result,
                 Contraction found, int number)
      : source_(source),
        graph_(source.graph),
        signature_(signature),
        result_(result),
        found_(std::move(found)),
        emitter_(source.graph, false),
        columns_(signature.fixed_extent(found_.x)),
        suffix_("_" + std::to_string(number)),
        panel_("panel" + suffix_),
        rows_("rows" + suffix_),
        sum_("sum" + suffix_),
        out_(source.name + suffix_) {
    emitter_.extent = [this](AxisId axis) { return signature_.extent(axis); };
    emitter_.checked = source.checked;
    emitter_.resolve = [this](NodeId id, const ScopePtr& scope) { return resolve(id, scope); };
    choose_tile();
  }

  Func build() {
    define();
    schedule();
    promise(out_.output_buffer(), signature_.fixed_extents(result_.place), false);
    signature_.add_result(result_.place.buffer);
    return out_;
  }

 private:
  Expr resolve(NodeId id, const ScopePtr& scope) {
    if (id == found_.sum) return sum_(vars_);
    if (source_.leaves[static_cast<std::size_t>(id)])
      return signature_.load(id, scope, {found_.x, found_.y});
    // Where a condition excludes sums, Halide would compute a part of the tile only, and that at
    // the wrong place (its bound_extent keeps the extent and lets the part's start be): it must not
    // see through.
    const bool condition = graph_.node(id).type.dtype == Dtype::Bool;
    if (!condition || std::exchange(opened_, id) == id) return {};
    return Halide::cast<std::int32_t>(emitter_.value(id, scope)) != 0;
  }

  // 24 or 12 accumulators; the tile that divides the columns, if one does.
  void choose_tile() {
    const int lanes = source_.target.lanes;
    const bool many = source_.target.registers >= 32;
    const bool four =
        many && columns_ >= 0 && columns_ % (4 * lanes) == 0 && columns_ % (3 * lanes) != 0;
    width_ = (four ? 4 : many ? 3 : 2) * lanes;
    height_ = many && !four ? 8 : 6;
  }

  // Axes of the loop over terms and of the result without x that an operand has, fastest first.
  std::vector<AxisId> axes_of(const std::vector<Factor>& factors) const {
    std::vector<AxisId> axes;
    for (auto axis = found_.m.rbegin(); axis != found_.m.rend(); ++axis)
      if (any_has(graph_, factors, *axis)) axes.push_back(*axis);
    const auto& layout = result_.place.layout;
    for (auto axis = layout.rbegin(); axis != layout.rend(); ++axis)
      if (*axis != found_.x && any_has(graph_, factors, *axis)) axes.push_back(*axis);
    return axes;
  }

  // What is the same for all terms of the innermost loop is divided by once, before it: 1 / value
  // is exact to 22 bits if it is finite, and if not, so is no result.
  Expr multiply(const std::vector<Factor>& factors, const ScopePtr& scope, double scale) {
    Expr all;
    for (const Factor& factor : factors) {
      const Expr value = Halide::cast<float>(emitter_.value(factor.node, scope));
      const bool once = !graph_.node(factor.node).type.has(found_.m.back());
      const Expr inverse = factor.inverted ? 1.f / value : value;
      all = !all.defined() ? inverse : factor.inverted && !once ? all / value : all * inverse;
    }
    if (!all.defined()) return Expr(float(scale));
    return scale == 1 ? all : all * float(scale);
  }

  // An operand with its loops as Vars; returns its arguments at `scope`.
  std::vector<Expr> define_operand(Func f, const std::vector<Factor>& factors, bool columns,
                                   double scale, const ScopePtr& at) {
    std::vector<AxisId> axes = axes_of(factors);
    if (columns) axes.insert(axes.begin(), found_.x);
    std::vector<Var> vars;
    std::vector<Expr> arguments;
    const ScopePtr there = emitter_.scope();
    for (const AxisId axis : axes) {
      vars.push_back(var(axis));
      there->at[static_cast<std::size_t>(axis)] = var(axis);
      arguments.push_back(at->at[static_cast<std::size_t>(axis)]);
    }
    f(vars) = multiply(factors, there, scale);
    return arguments;
  }

  void define() {
    const ScopePtr here = emitter_.scope();
    const auto& layout = result_.place.layout;
    for (auto axis = layout.rbegin(); axis != layout.rend(); ++axis) {
      vars_.push_back(var(*axis));
      here->at[static_cast<std::size_t>(*axis)] = vars_.back();
    }
    std::vector<Halide::Range> ranges;
    for (auto axis = found_.m.rbegin(); axis != found_.m.rend(); ++axis)
      ranges.emplace_back(0, signature_.extent(*axis));
    const Halide::RDom m(ranges, "m" + suffix_);
    const ScopePtr term = emitter_.scope();
    term->at = here->at;
    for (std::size_t n = 0; n < found_.m.size(); n++) {
      terms_.push_back(m[static_cast<int>(n)]);
      term->at[static_cast<std::size_t>(found_.m[found_.m.size() - 1 - n])] = terms_.back();
    }
    // b, its column tile contiguous for every term. a is read one number at a time; what has to be
    // computed is computed for a tile before.
    const std::vector<Expr> column_at = define_operand(panel_, found_.b, true, found_.scale, term);
    computed_ = std::ranges::any_of(found_.a, [&](const Factor& factor) {
      return !source_.leaves[static_cast<std::size_t>(factor.node)];
    });
    Expr row;
    if (computed_)
      row = rows_(define_operand(rows_, found_.a, false, 1, term));
    else
      row = multiply(found_.a, term, 1);
    sum_(vars_) = 0.f;
    sum_(vars_) += row * panel_(column_at);
    out_(vars_) = encode(result_.place.dtype, emitter_.value(result_.node, here));
  }

  void schedule() {
    const int lanes = source_.target.lanes;
    const auto guard = Halide::TailStrategy::GuardWithIf;
    const Var xo("xo"), xi("xi"), yo("yo"), yi("yi"), x = var(found_.x), y = var(found_.y);
    out_.split(x, xo, xi, width_, guard).split(y, yo, yi, height_, guard);
    std::vector<Halide::VarOrRVar> order{xi, yi, yo, xo};
    for (const Var& each : vars_)
      if (each.name() != x.name() && each.name() != y.name()) order.push_back(each);
    out_.reorder(order).vectorize(xi, lanes);
    sum_.compute_at(out_, yo).store_in(Halide::MemoryType::Stack);
    sum_.bound_extent(x, width_).bound_extent(y, height_);
    sum_.vectorize(x, lanes).unroll(x).unroll(y);
    std::vector<Halide::VarOrRVar> within{x, y};
    within.insert(within.end(), terms_.begin(), terms_.end());
    sum_.update().reorder(within).vectorize(x, lanes).unroll(x).unroll(y);
    panel_.compute_at(out_, xo).bound_extent(x, width_);
    if (columns_ >= 0 && columns_ % width_ == 0) panel_.vectorize(x, lanes);
    if (!computed_) return;
    rows_.compute_at(out_, yo).vectorize(rows_.args()[0], lanes, guard);
    rows_.bound_extent(y, height_);
  }

  const Source& source_;
  const Graph& graph_;
  Signature& signature_;
  const Result& result_;
  Contraction found_;
  Emitter emitter_;
  std::int64_t columns_;
  std::string suffix_;
  Func panel_, rows_, sum_, out_;
  std::vector<Var> vars_;  // of the result, fastest first
  std::vector<Halide::RVar> terms_;
  NodeId opened_ = kNone;
  int width_ = 0, height_ = 0;
  bool computed_ = false;
};

}  // namespace

std::optional<Func> lower_contraction(const Source& source, Signature& signature,
                                      const Result& result, int number) {
  std::optional<Contraction> found = recognise(source, result);
  if (!found) return std::nullopt;
  const std::int64_t columns = signature.fixed_extent(found->x);
  if (columns >= 0 && columns < source.target.lanes) return std::nullopt;
  return Multiplication(source, signature, result, std::move(*found), number).build();
}

}  // namespace fovea::codegen
