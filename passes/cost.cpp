#include "passes/cost.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "ir/contraction.h"
#include "ir/region.h"
#include "ir/worklist.h"
#include "passes/extents.h"
#include "passes/planes.h"
#include "passes/stored.h"

namespace fovea::passes {
namespace {

using namespace ir;

// Nanoseconds on one core of an AVX-512 machine at some 3.5 GHz: fitted to the kernels of the
// unfused and the fused forms of the library and the corpus at 8 to 400 rows, then to which of both
// is faster (tools/bench never_slower).
constexpr double kCall = 100;           // of a kernel
constexpr double kTile = 300;           // of a tile with rows in the lanes: prepare, step, finish
constexpr double kTileOfColumns = 300;  // and with columns there
constexpr double kMultiplyAdd = 0.023;  // of a contraction on a plane, rows in the lanes
constexpr double kMultiplyAddOfColumns = 0.005;
constexpr double kOperation = 0.035;  // of one element on a plane
constexpr double kOperationOfColumns = 0.08;
constexpr double kFunction = 0.13;         // of exp and its like there
constexpr double kDivision = 0.3;          // of integers
constexpr double kPacked = 0.15;           // of an element that a product of matrices packs
constexpr double kMultiplyAddOff = 0.015;  // of its multiply-adds
constexpr double kMultiplyAddLoop = 0.27;  // where it is no more than loops
constexpr double kLoad = 0.25;             // of an element from wherever data say
constexpr double kFold = 0.15;             // of an element of a fold off the planes
constexpr double kBound = 1.5;             // the same of a maximum or minimum of floats
constexpr double kNested = 0.1;            // of an operation off the planes
constexpr double kNestedFunction = 2.5;
constexpr double kWalked = 0.1;  // of an operation or a multiply-add along neighbours
constexpr double kWalkedFunction = 1;
constexpr double kByte = 0.12;  // written and read back
constexpr double kLanes = 16;   // of that machine

// Some tens of operations a number.
bool is_function(Fn fn) {
  switch (fn) {
    case Fn::Pow:
    case Fn::Exp:
    case Fn::Exp2:
    case Fn::Log:
    case Fn::Log1p:
    case Fn::Tanh:
    case Fn::Sigmoid:
    case Fn::Elu:
    case Fn::Gelu:
    case Fn::Erf:
    case Fn::Sin:
    case Fn::Cos:
    case Fn::Asin:
    case Fn::Acos:
    case Fn::Atan:
    case Fn::Acosh:
    case Fn::Atanh:
      return true;
    default:
      return false;
  }
}

bool is_division_of_integers(const Node& node) {
  const auto* map = std::get_if<Map>(&node.op);
  return map && (map->fn == Fn::Div || map->fn == Fn::Mod) && !is_float(node.type.dtype);
}

// Whether a coordinate comes from data, not from indices alone.
bool comes_from_data(const Graph& graph, NodeId coordinate) {
  Worklist todo(graph, {coordinate});
  while (const auto id = todo.next()) {
    const Op& op = graph.node(*id).op;
    if (std::holds_alternative<Input>(op) || std::holds_alternative<TopK>(op)) return true;
    todo.add(graph.node(*id).inputs);
  }
  return false;
}

bool is_gather(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!std::holds_alternative<Read>(node.op)) return false;
  return std::ranges::any_of(node.inputs.begin() + 1, node.inputs.end(),
                             [&](NodeId coordinate) { return comes_from_data(graph, coordinate); });
}

void join(std::vector<AxisId>& axes, std::span<const AxisId> more) {
  for (const AxisId axis : more)
    if (std::ranges::find(axes, axis) == axes.end()) axes.push_back(axis);
}

// The one axis whose extent this one has.
AxisId origin(const Graph& graph, AxisId axis) {
  const Extent& extent = graph.axis(axis).extent;
  const bool is_copy = extent.size() == 1 && extent[0].kind == ExtentTerm::Kind::Axis;
  return is_copy ? origin(graph, extent[0].axis) : axis;
}

}  // namespace

// Adds what one kernel takes.
class CostOfKernel {
 public:
  CostOfKernel(Cost& cost, const Graph& graph, const Kernel& kernel, double width,
               std::span<const AxisId> batch, const std::set<NodeId>& stored)
      : cost_(cost), graph_(graph), kernel_(kernel), width_(width), batch_(batch) {
    region_ = region_of(graph, kernel);
    computed_ = needs_of(graph, kernel, stored).computed;
    for (const NodeId id : computed_)
      if (const auto* reduce = std::get_if<Reduce>(&graph.node(id).op))
        if (reduce->fn == ReduceFn::Sum) summed_.insert(graph.node(id).inputs[0]);
    if (kernel.row == kNone) find_points();
    add(kCall, {});
    if (kernel.row != kNone) add_tiles();
    for (const NodeId id : computed_) add_node(id);
    for (const NodeId id : kernel.results) add_stored(id);
  }

 private:
  using Factor = Cost::Factor;

  bool is_on_plane(const Type& type) const {
    return kernel_.row != kNone && type.has(kernel_.row) && type.has(kernel_.column);
  }
  bool is_walked(const Type& type) const {
    return kernel_.row == kNone && kernel_.column != kNone && type.has(kernel_.column);
  }

  void add(double each, std::span<const AxisId> axes, std::vector<Factor> more = {}) {
    for (const AxisId axis : axes)
      if (std::ranges::find(batch_, axis) == batch_.end()) more.push_back(factor(axis));
    cost_.times_.push_back({each, std::move(more)});
  }

  bool has_columns_in_lanes() const { return kernel_.lanes == Lanes::Columns; }

  Factor factor(AxisId axis) const {
    if (kernel_.row == kNone) return {axis, 1, true};
    if (axis == kernel_.row)
      return {axis, static_cast<double>(std::max(kernel_.row_tile, 1)), true};
    if (axis == kernel_.column) return {axis, has_columns_in_lanes() ? kLanes / width_ : 8, true};
    return {axis, 1, true};
  }

  Factor tiles_of_rows() const {
    return {kernel_.row, static_cast<double>(std::max(kernel_.row_tile, 1)), false};
  }

  // Off the planes a value is computed wherever it is used, up to the next fold; an operand of a
  // product of matrices once.
  void find_points() {
    points_.resize(graph_.nodes.size());
    std::vector<NodeId> users = computed_;
    std::ranges::sort(users, std::greater());
    for (const NodeId user : users) {
      const Node& node = graph_.node(user);
      std::vector<AxisId>& here = points_[static_cast<std::size_t>(user)];
      join(here, node.type.axes);
      const bool is_inlined =
          std::holds_alternative<Map>(node.op) || std::holds_alternative<Read>(node.op);
      if (!is_inlined || summed_.contains(user)) continue;
      for (const NodeId input : node.inputs) join(points_[static_cast<std::size_t>(input)], here);
    }
  }

  void add_tiles() {
    std::vector<AxisId> axes = region_.batch;
    std::vector<Factor> factors{tiles_of_rows()};
    std::erase(axes, kernel_.shared);
    if (kernel_.shared != kNone && std::ranges::find(batch_, kernel_.shared) == batch_.end())
      factors.push_back({kernel_.shared, static_cast<double>(kernel_.members), false});
    add(has_columns_in_lanes() ? kTileOfColumns : kTile, axes, std::move(factors));
  }

  void add_node(NodeId id) {
    match(
        graph_.node(id).op, [](const Input&) {}, [](const Constant&) {}, [](const Index&) {},
        [&](const Map& op) { add_map(id, op); }, [&](const Reduce& op) { add_fold(id, op.axis); },
        [&](const Scan& op) { add_fold(id, op.axis); },
        [&](const Read&) {
          if (is_gather(graph_, id)) add_at(id, copies_rows(id) ? operation() : kLoad);
        },
        [&](const TopK& op) { add_fold(id, op.axis); });
  }

  double operation() const {
    return kernel_.row != kNone && has_columns_in_lanes() ? kOperationOfColumns : kOperation;
  }

  // What comes of indices alone a kernel on a plane computes where it is used.
  bool is_of_indices(NodeId id) const {
    return std::holds_alternative<Map>(graph_.node(id).op) && !needs(graph_, id, [&](NodeId at) {
             return std::holds_alternative<Input>(graph_.node(at).op);
           });
  }

  // At each point of a node, wherever its kernel computes it.
  void add_at(NodeId id, double each, AxisId folded = kNone) {
    const Type& type = graph_.node(id).type;
    std::vector<AxisId> axes =
        kernel_.row == kNone ? points_[static_cast<std::size_t>(id)] : type.axes;
    if (folded != kNone) {
      axes = type.axes;
      join(axes, std::span(&folded, 1));
    }
    const bool folds_plane = folded != kNone && (folded == kernel_.row || folded == kernel_.column);
    if (kernel_.row == kNone) return add(each, axes);
    join(axes, region_.batch);
    if (is_on_plane(type) || folds_plane || is_of_indices(id)) {
      const AxisId plane[] = {kernel_.row, kernel_.column};
      join(axes, plane);
      return add(each, axes);
    }
    if (type.has(kernel_.row)) return add(each, axes);
    add(each, axes, {tiles_of_rows()});
  }

  void add_map(NodeId id, const Map& op) {
    const Node& node = graph_.node(id);
    // A product that is summed is a part of the multiply-add.
    if (op.fn == Fn::Mul && summed_.contains(id)) return;
    const bool in_vectors = is_on_plane(node.type) || kernel_.row != kNone;
    if (is_walked(node.type)) return add_at(id, is_function(op.fn) ? kWalkedFunction : kWalked);
    if (is_division_of_integers(node)) return add_at(id, in_vectors ? kDivision * width_ : kLoad);
    if (is_function(op.fn))
      return add_at(id, in_vectors ? kFunction * width_ : kNestedFunction * width_);
    add_at(id, (in_vectors ? operation() : kNested) * width_);
  }

  void add_fold(NodeId id, AxisId axis) {
    const Node& node = graph_.node(id);
    const Node& term = graph_.node(node.inputs[0]);
    const bool is_product = summed_.contains(node.inputs[0]) &&
                            std::holds_alternative<Map>(term.op) &&
                            std::get<Map>(term.op).fn == Fn::Mul && node.type.axes.size() > 1;
    if (kernel_.row != kNone) {
      const double multiply_add = has_columns_in_lanes() ? kMultiplyAddOfColumns : kMultiplyAdd;
      add_at(id, (is_product ? multiply_add : operation()) * width_, axis);
      return;
    }
    if (kernel_.column != kNone) return add_at(id, kWalked * width_, axis);
    if (!is_product) return add_at(id, is_bound(id) ? kBound : kFold, axis);
    if (!is_of_matrices(id)) return add_at(id, kMultiplyAddLoop, axis);
    add_product(id, axis);
  }

  // One operand is packed in whole tiles, and in whole chunks of terms where these are not counted
  // before the run; rows go by tiles as well.
  void add_product(NodeId id, AxisId folded) {
    constexpr double kColumns = 48, kRows = 8, kTerms = 256;
    const Node& term = graph_.node(graph_.node(id).inputs[0]);
    const AxisId column = graph_.node(id).type.axes.back();
    std::vector<AxisId> shared = shared_axes(term, folded), rows;
    std::erase(shared, column);
    for (const AxisId axis : graph_.node(id).type.axes)
      if (axis != column && std::ranges::find(shared, axis) == shared.end()) rows.push_back(axis);
    const Factor columns{column, kColumns, true};
    const Factor terms{folded, graph_.axis(folded).extent.empty() ? kTerms : 1, true};
    add(kPacked * width_, shared, {columns, terms});
    std::vector<Factor> all{columns, {folded, 1, true}};
    if (!rows.empty() && std::ranges::find(batch_, rows.back()) == batch_.end()) {
      all.push_back({rows.back(), kRows, true});
      rows.pop_back();
    }
    rows.insert(rows.end(), shared.begin(), shared.end());
    add(kMultiplyAddOff * width_, rows, std::move(all));
  }

  bool is_bound(NodeId id) const {
    const auto* reduce = std::get_if<Reduce>(&graph_.node(id).op);
    return reduce && reduce->fn != ReduceFn::Sum && is_float(graph_.node(id).type.dtype);
  }

  // Whether both operands lie in registers by tiles: vectors of the one, numbers of the other.
  bool is_of_matrices(NodeId sum) const {
    const Extent& last = graph_.axis(graph_.node(sum).type.axes.back()).extent;
    const bool is_narrow = last.size() == 1 && last[0].kind == ExtentTerm::Kind::Number &&
                           static_cast<double>(last[0].number) * width_ < kLanes;
    return !is_narrow && is_matrix_product(graph_, sum, Leaves(graph_.nodes.size()));
  }

  // Whether what is gathered are rows of features, which are copied as they lie.
  bool copies_rows(NodeId id) const {
    const Node& node = graph_.node(id);
    const auto varies = [&](AxisId axis) {
      return std::ranges::any_of(node.inputs.begin() + 1, node.inputs.end(),
                                 [&](NodeId input) { return graph_.node(input).type.has(axis); });
    };
    return std::ranges::any_of(node.type.axes, [&](AxisId axis) { return !varies(axis); });
  }

  // Along which both operands run: of each coordinate there a product of matrices.
  std::vector<AxisId> shared_axes(const Node& product, AxisId folded) const {
    std::vector<AxisId> axes = graph_.node(product.inputs[0]).type.axes;
    std::erase_if(axes, [&](AxisId axis) {
      return axis == folded || !graph_.node(product.inputs[1]).type.has(axis);
    });
    return axes;
  }

  void add_stored(NodeId id) {
    constexpr double kBytes = 4;  // of a number that was computed
    if (std::ranges::find(graph_.outputs, id, &Output::node) != graph_.outputs.end()) return;
    const std::size_t before = cost_.times_.size();
    add(kBytes * kByte, graph_.node(id).type.axes);
    cost_.stored_.push_back({kBytes, cost_.times_[before].factors});
  }

  Cost& cost_;
  const Graph& graph_;
  const Kernel& kernel_;
  const double width_;  // of that machine's vectors in ours
  const std::span<const AxisId> batch_;
  Region region_;
  std::vector<NodeId> computed_;
  std::set<NodeId> summed_;
  std::vector<std::vector<AxisId>> points_;  // by node, off the planes
};

Cost::Cost(const Graph& graph, const Target& target, std::span<const AxisId> batch) {
  const std::set<NodeId> stored = all_results(graph);
  for (const Kernel& kernel : graph.kernels)
    CostOfKernel(*this, graph, kernel, kLanes / target.lanes, batch, stored);
}

double Cost::sum(const std::vector<Term>& terms, std::span<const double> extents) {
  double all = 0;
  for (const Term& term : terms) {
    double product = term.each;
    for (const Factor& factor : term.factors) {
      const double extent = extents[static_cast<std::size_t>(factor.axis)];
      const double units = factor.unit == 1 ? extent : std::ceil(extent / factor.unit);
      product *= factor.is_whole && factor.unit != 1 ? units * factor.unit : units;
    }
    all += product;
  }
  return all;
}

std::vector<AxisId> batch_axes(const Graph& graph) {
  std::vector<AxisId> batch;
  std::set<AxisId> others;  // by their origins
  for (const Kernel& kernel : graph.kernels) {
    if (kernel.row == kNone && kernel.column == kNone) continue;
    const Region region = region_of(graph, kernel);
    join(batch, region.batch);
    for (const AxisId axis : {kernel.row, kernel.column})
      if (axis != kNone) others.insert(origin(graph, axis));
    for (const NodeId id : needs_of(graph, kernel, all_results(graph)).computed)
      if (const auto* reduce = std::get_if<Reduce>(&graph.node(id).op))
        others.insert(origin(graph, reduce->axis));
  }
  std::erase_if(batch, [&](AxisId axis) {
    return others.contains(origin(graph, axis)) || fixed_extent(graph, axis).has_value();
  });
  std::ranges::sort(batch);
  return batch;
}

}  // namespace fovea::passes
