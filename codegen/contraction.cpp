// A sum of products off the plane, with what follows it element by element: accumulators of a tile
// in registers, one operand packed in panels. Long sums are cut into chunks of terms, so that the
// panel of a chunk stays in the cache while all tiles of a block of rows pass over it.
#include <Halide.h>

#include "codegen/contraction.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "codegen/row_sum.h"

namespace fovea::codegen {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::Var;
using namespace ir;

// Terms of a chunk, about, and rows of a block, a multiple of the height of any tile. Panels of so
// many terms stay in the cache, and adding a tile to memory after them is not noticed.
constexpr std::int64_t kTerms = 256, kRows = 96;

// One result, from what was recognised to its schedule.
class Multiplication {
 public:
  Multiplication(const Source& source, Signature& signature, const Result& result,
                 SumOfProducts found, int number)
      : source_(source),
        graph_(source.graph),
        signature_(signature),
        result_(result),
        found_(std::move(found)),
        emitter_(source.graph, false),
        columns_(signature.fixed_extent(found_.x)),
        count_(signature.fixed_extent(found_.y)),
        suffix_("_" + std::to_string(number)),
        panel_("panel" + suffix_),
        rows_("rows" + suffix_),
        tile_("tile" + suffix_),
        sum_("sum" + suffix_),
        out_(source.name + suffix_) {
    emitter_.extent = [this](AxisId axis) { return signature_.extent(axis); };
    emitter_.checked = source.checked;
    emitter_.resolve = [this](NodeId id, const ScopePtr& scope) { return resolve(id, scope); };
    computed_ = std::ranges::any_of(found_.a, [&](const Factor& factor) {
      return !source_.leaves[static_cast<std::size_t>(factor.node)];
    });
    choose_tile();
    choose_chunk();
  }

  Special build() {
    define();
    schedule();
    promise(out_.output_buffer(), signature_.fixed_extents(result_.place), false);
    signature_.add_result(result_.place.buffer);
    return {out_, cuttable()};
  }

 private:
  Expr resolve(NodeId id, const ScopePtr& scope) {
    if (id == found_.sum) return sum_(vars_);
    if (source_.leaves[static_cast<std::size_t>(id)]) {
      std::vector<AxisId> clamped;
      if (columns_ < 0 || columns_ % width_ != 0) clamped.push_back(found_.x);
      if (!few_rows() || count_ % height_ != 0) clamped.push_back(found_.y);
      if (chunk_ > 0) clamped.push_back(found_.m[0]);
      return signature_.load(id, scope, clamped);
    }
    return {};
  }

  // 24 or 12 accumulators; the tile that divides the columns, if one does. Where rows are computed,
  // up to a third fewer if that divides them.
  void choose_tile() {
    const int lanes = source_.target.lanes;
    const bool many = source_.target.registers >= 32;
    const bool four =
        many && columns_ >= 0 && columns_ % (4 * lanes) == 0 && columns_ % (3 * lanes) != 0;
    width_ = (four ? 4 : many ? 3 : 2) * lanes;
    height_ = many && !four ? 8 : 6;
    for (int lower = height_; computed_ && count_ > 0 && lower >= 4; lower--) {
      if (count_ % lower != 0) continue;
      height_ = lower;
      break;
    }
  }

  // Coordinates of the slowest axis of the loop over terms; 0 where all terms make one chunk.
  void choose_chunk() {
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    std::int64_t within = 1;
    for (std::size_t n = 1; n < found_.m.size(); n++)
      within = std::min(within * extent_or_some(found_.m[n]), kMost);
    const std::int64_t slowest = signature_.fixed_extent(found_.m[0]);
    signature_.steady = kNone;
    if (slowest >= 0 && slowest * within <= 2 * kTerms) return;
    chunk_ = static_cast<int>(std::max<std::int64_t>(1, kTerms / within));
    signature_.steady = found_.m[0];
  }

  std::int64_t extent_or_some(AxisId axis) const {
    const std::int64_t fixed = signature_.fixed_extent(axis);
    return fixed < 0 ? 16 : std::max<std::int64_t>(1, fixed);
  }

  // Whether neighbours along y are neighbours in memory, in all that the operand of rows loads.
  bool rows_lie_along_y() const {
    return std::ranges::all_of(found_.a, [&](const Factor& factor) {
      return !graph_.node(factor.node).type.has(found_.y) ||
             lies_along(source_, factor.node, found_.y);
    });
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
    const auto y = std::ranges::find(axes, found_.y);
    if (!columns && rows_lie_along_y()) std::rotate(axes.begin(), y, y + 1);
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

  // Coordinates of the axes that are summed; of chunk nth_ if there are several.
  void loop_over_terms(const ScopePtr& term) {
    std::vector<Halide::Range> ranges;
    for (auto axis = found_.m.rbegin(); axis != found_.m.rend(); ++axis)
      ranges.emplace_back(0, signature_.extent(*axis));
    const Expr slowest = signature_.extent(found_.m[0]);
    if (chunk_ > 0) ranges.back() = {0, chunk_};
    Halide::RDom m(ranges, "m" + suffix_);
    for (int n = 0; n < m.dimensions(); n++) terms_.push_back(m[n]);
    for (std::size_t n = 0; n < found_.m.size(); n++)
      term->at[static_cast<std::size_t>(found_.m[found_.m.size() - 1 - n])] = terms_[n];
    if (chunk_ == 0) return;
    const Expr at = nth_ * chunk_ + terms_.back();
    m.where(at < slowest);
    term->at[static_cast<std::size_t>(found_.m[0])] = at;
    chunks_ = Halide::RDom(0, (slowest + (chunk_ - 1)) / chunk_, "chunk" + suffix_);
  }

  void define() {
    const ScopePtr here = emitter_.scope();
    const auto& layout = result_.place.layout;
    for (auto axis = layout.rbegin(); axis != layout.rend(); ++axis) {
      vars_.push_back(var(*axis));
      here->at[static_cast<std::size_t>(*axis)] = vars_.back();
    }
    const ScopePtr term = emitter_.scope();
    term->at = here->at;
    loop_over_terms(term);
    // b, its column tile contiguous for every term. a is read one number at a time; what has to be
    // computed is computed for a tile before.
    const std::vector<Expr> column_at = define_operand(panel_, found_.b, true, found_.scale, term);
    Expr row;
    if (computed_)
      row = rows_(define_operand(rows_, found_.a, false, 1, term));
    else
      row = multiply(found_.a, term, 1);
    const auto add = [](Func f, const std::vector<Var>& at, const Expr& terms) {
      f(at) = 0.f;
      f(at) += terms;
    };
    if (chunk_ == 0) {
      add(sum_, vars_, row * panel_(column_at));
    } else {
      std::vector<Var> tile = vars_;
      tile.push_back(nth_);
      add(tile_, tile, row * panel_(column_at));
      std::vector<Expr> at(vars_.begin(), vars_.end());
      at.push_back(chunks_.x);
      add(sum_, vars_, tile_(at));
    }
    const Expr value = emitter_.value(result_.node, here);
    out_(vars_) =
        encode(result_.place.dtype, emitter_.marked(result_.node, source_.leaves, value, here));
  }

  void schedule() {
    const int lanes = source_.target.lanes;
    const auto guard = Halide::TailStrategy::GuardWithIf;
    const Var xo("xo"), xi("xi"), yo("yo"), yi("yi"), x = var(found_.x), y = var(found_.y);
    out_.split(x, xo, xi, width_, guard).split(y, yo, yi, chunk_ > 0 ? block() : height_, guard);
    std::vector<Halide::VarOrRVar> order{xi, yi, yo, xo};
    for (const Var& each : vars_)
      if (each.name() != x.name() && each.name() != y.name()) order.push_back(each);
    out_.reorder(order).vectorize(xi, lanes);
    sum_.compute_at(out_, yo).bound_extent(x, width_);
    if (chunk_ == 0) {
      in_registers(sum_);
      sum_.bound_extent(y, height_);
      panel_.compute_at(out_, xo);
      if (computed_) rows_.compute_at(out_, yo).bound_extent(y, height_);
    } else {
      const Var top("top"), row("row");
      sum_.vectorize(x, lanes);
      sum_.update().split(y, top, row, height_, guard).reorder(x, row, top, chunks_.x);
      sum_.update().vectorize(x, lanes).unroll(x).unroll(row);
      in_registers(tile_.compute_at(sum_, top));
      tile_.bound_extent(x, width_).bound_extent(y, height_);
      panel_.compute_at(sum_, chunks_.x);
      if (computed_) rows_.compute_at(sum_, chunks_.x);
    }
    panel_.bound_extent(x, width_);
    if (columns_ >= 0 && columns_ % width_ == 0) panel_.vectorize(x, lanes);
    if (computed_) rows_.vectorize(rows_.args()[0], lanes, guard);
  }

  bool few_rows() const { return count_ >= 0 && count_ < 2 * kRows; }

  // Pieces pack a panel each, which takes rows enough to be worth it.
  int cuttable() const {
    const auto& layout = result_.place.layout;
    return static_cast<int>((few_rows() ? std::ranges::find(layout, found_.y) : layout.end() - 1) -
                            layout.begin());
  }

  // Rows that share the panels of chunks.
  int block() const {
    const std::int64_t all = count_ >= 0 && count_ < kRows ? count_ : kRows;
    return static_cast<int>(std::max<std::int64_t>(1, (all + height_ - 1) / height_) * height_);
  }

  void in_registers(Func f) {
    const Var x = var(found_.x), y = var(found_.y);
    const int lanes = source_.target.lanes;
    f.store_in(Halide::MemoryType::Stack).vectorize(x, lanes).unroll(x).unroll(y);
    std::vector<Halide::VarOrRVar> within{x, y};
    within.insert(within.end(), terms_.begin(), terms_.end());
    f.update().reorder(within).vectorize(x, lanes).unroll(x).unroll(y);
  }

  const Source& source_;
  const Graph& graph_;
  Signature& signature_;
  const Result& result_;
  SumOfProducts found_;
  Emitter emitter_;
  std::int64_t columns_, count_;  // of x and y; -1 if not fixed
  std::string suffix_;
  Func panel_, rows_, tile_, sum_, out_;
  std::vector<Var> vars_;  // of the result, fastest first
  std::vector<Halide::RVar> terms_;
  Var nth_{"nth"};  // which chunk
  Halide::RDom chunks_;
  int width_ = 0, height_ = 0, chunk_ = 0;
  bool computed_ = false;
};

}  // namespace

std::optional<Special> lower_contraction(const Source& source, Signature& signature,
                                         const Result& result, int number) {
  std::optional<SumOfProducts> found = sum_of_products(source, result);
  if (!found) return std::nullopt;
  const std::int64_t columns = signature.fixed_extent(found->x);
  if (columns >= 0 && columns < source.target.lanes) return std::nullopt;
  return Multiplication(source, signature, result, std::move(*found), number).build();
}

}  // namespace fovea::codegen
