#include "passes/cost.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "ir/query.h"
#include "ir/region.h"
#include "ir/worklist.h"
#include "passes/extents.h"
#include "passes/fold_forms.h"
#include "passes/partition.h"
#include "passes/planes.h"
#include "passes/stored.h"

namespace fovea::passes {
namespace {

using namespace ir;

// Nanoseconds on one core of an AVX-512 machine at some 3.5 GHz: fitted to the kernels of the
// unfused and the fused forms of the library and the corpus at 8 and 100 rows, and to which of both
// is faster (tools/bench never_slower).
constexpr double kCall = 63;              // of a kernel
constexpr double kTile = 850;             // of a tile with rows in the lanes: prepare, step, finish
constexpr double kTileOfColumns = 90;     // and with columns there
constexpr double kContraction = 84;       // of a contraction on a plane, for each tile
constexpr double kContractionOpen = 200;  // the same where a run tells the number of its terms
constexpr double kReduction = 55;         // of a fold of a plane, for each tile
constexpr double kReductionOfRows = 16;   // what one over rows takes more
constexpr double kFeatures = 71;          // of one that keeps features
constexpr double kFeaturesOpen = 560;     // the same where a run tells their number
constexpr double kMultiplyAdd = 0.011;    // of products that a plane folds, rows in the lanes
constexpr double kMultiplyAddOfColumns = 0.009;  // columns there
constexpr double kMultiplyAddOfRows = 0.05;      // folded over rows
constexpr double kInner = 0.2;                   // of an element that is folded within a plane
constexpr double kStaged = 1.5;  // of one that meets features, rows in the lanes, if not contracted
constexpr double kOperation = 0.014;  // of one element on a plane
constexpr double kOperationOfColumns = 0.13;
constexpr double kFunction = 0.11;         // of exp and its like there
constexpr double kPower = 18;              // of pow, anywhere
constexpr double kDivision = 0.12;         // of integers
constexpr double kProduct = 160;           // of a product of matrices: memory for a panel
constexpr double kPacked = 0.56;           // of an element that it packs one by one
constexpr double kPackedVector = 0.25;     // and in vectors
constexpr double kMultiplyAddOff = 0.011;  // of its multiply-adds
constexpr double kMultiplyAddLoop = 0.45;  // where it is no more than loops
constexpr double kLoad = 0.087;            // of an element from wherever data say
constexpr double kFold = 0.5;              // of an element of a fold off the planes, one by one
constexpr double kFoldVector = 0.024;      // and in vectors
constexpr double kBound = 1.2;  // of an element of a maximum or minimum of floats, one by one
constexpr double kOperationOff = 0.03;    // of an operation off the planes, in vectors
constexpr double kOperationLoop = 0.16;   // and one by one
constexpr double kFunctionOff = 0.29;     // of exp and its like there, in vectors
constexpr double kExponentialLoop = 3.2;  // of exp, one by one
constexpr double kFunctionLoop = 5;       // of its like
constexpr double kWalked = 0.2;           // of an operation or a multiply-add along neighbours
constexpr double kWalkedFunction = 0.81;
constexpr double kByte = 0.036;  // written and read back
constexpr double kLanes = 16;    // of that machine

bool is_exponential(Fn fn) { return fn == Fn::Exp || fn == Fn::Exp2; }

bool is_division_of_integers(const Node& node) {
  const auto* map = map_of(node);
  return map && (map->fn == Fn::Div || map->fn == Fn::Mod) && !is_float(node.type.dtype);
}

// Whether a coordinate comes from data, not from indices alone.
bool comes_from_data(const Graph& graph, NodeId coordinate) {
  Worklist todo(graph, {coordinate});
  while (const auto id = todo.next()) {
    if (is_input(graph.node(*id)) || is_topk(graph.node(*id))) return true;
    todo.add(graph.node(*id).inputs);
  }
  return false;
}

bool is_gather(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!is_read(node)) return false;
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
      if (is_reduce(graph.node(id), ReduceFn::Sum)) summed_.insert(graph.node(id).inputs[0]);
    find_folds(stored);
    find_points();
    is_loop_ = kernel.row == kNone && is_loop();
    contracts_ = std::ranges::any_of(folds_, [&](NodeId id) {
      const Node& node = graph.node(id);
      return summed_.contains(node.inputs[0]) && is_on_plane(node.type);
    });
    add(kCall, {});
    if (kernel.row != kNone) add_tiles(has_columns_in_lanes() ? kTileOfColumns : kTile);
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
    if (kernel_.row == kNone) {
      const std::vector<AxisId>& axes = graph_.node(kernel_.results[0]).type.axes;
      const bool is_vector =
          kernel_.column == kNone && !is_loop_ && !axes.empty() && axis == axes.back();
      return {axis, is_vector ? kLanes / width_ : 1, true};
    }
    if (axis == kernel_.row)
      return {axis, static_cast<double>(std::max(kernel_.row_tile, 1)), true};
    if (axis == kernel_.column) return {axis, has_columns_in_lanes() ? kLanes / width_ : 8, true};
    return {axis, 1, true};
  }

  Factor tiles_of_rows() const {
    return {kernel_.row, static_cast<double>(std::max(kernel_.row_tile, 1)), false};
  }

  void find_folds(const std::set<NodeId>& stored) {
    leaves_.resize(graph_.nodes.size());
    for (const NodeId id : stored) leaves_[static_cast<std::size_t>(id)] = true;
    for (const NodeId id : computed_) {
      leaves_[static_cast<std::size_t>(id)] = is_input(graph_.node(id));
      if (is_single_fold(graph_, id)) folds_.push_back(id);
    }
    for (const NodeId id : folds_) {
      if (kernel_.row != kNone || kernel_.column != kNone) {
        if (summed_.contains(graph_.node(id).inputs[0])) add_packed(id);
        continue;
      }
      const FoldForm form = form_of(graph_, id, kernel_.results[0], folds_, leaves_,
                                    static_cast<int>(kLanes / width_));
      if (form.kind == FoldForm::Kind::Matrices || form.kind == FoldForm::Kind::Inner)
        add_packed(id);
      forms_.emplace(id, form);
    }
  }

  // Whether a kernel off the planes takes one number after the other.
  bool is_loop() const {
    if (folds_.empty())
      return !is_of_vectors(graph_, kernel_.results[0], leaves_, static_cast<int>(kLanes / width_));
    return std::ranges::any_of(forms_, [](const auto& of) {
      const FoldForm& form = of.second;
      return form.kind == FoldForm::Kind::Loop ||
             (form.kind == FoldForm::Kind::Matrices && !form.packs_vectors);
    });
  }

  // What lies between a sum and its factors is neither of them.
  void add_packed(NodeId sum) {
    const NodeId term = graph_.node(sum).inputs[0];
    std::set<NodeId> factors;
    for (const ir::Factor& factor : product_of(graph_, term, leaves_).factors)
      factors.insert(factor.node);
    Worklist todo(graph_, {term});
    while (const auto id = todo.next()) {
      if (factors.contains(*id) || leaves_[static_cast<std::size_t>(*id)]) continue;
      packed_.insert(*id);
      if (is_map(graph_.node(*id))) todo.add(graph_.node(*id).inputs);
    }
  }

  // A value is computed wherever it is used, up to the next fold: for each of its users along the
  // axes of that one too. A factor of a product that is packed is computed once, and so is on a
  // plane's kernel what does not lie on the plane.
  void find_points() {
    points_.resize(graph_.nodes.size());
    std::vector<NodeId> users = computed_;
    std::ranges::sort(users, std::greater());
    for (const NodeId result : kernel_.results) add_points(result, graph_.node(result).type.axes);
    for (const NodeId user : users) {
      const Node& node = graph_.node(user);
      const bool is_inlined = is_read(node) || is_map(node);
      for (const NodeId input : node.inputs) {
        const Type& type = graph_.node(input).type;
        const bool is_staged = kernel_.row != kNone && !is_on_plane(type) && !is_of_indices(input);
        if (!is_inlined || is_staged || packed_.contains(user)) add_points(input, type.axes);
        if (!is_inlined || is_staged) continue;
        for (const std::vector<AxisId>& axes : points_[static_cast<std::size_t>(user)])
          if (!packed_.contains(user) || has_more(axes, node.type.axes)) add_points(input, axes);
      }
    }
  }

  static bool has_more(const std::vector<AxisId>& axes, const std::vector<AxisId>& than) {
    return std::ranges::any_of(
        axes, [&](AxisId axis) { return std::ranges::find(than, axis) == than.end(); });
  }

  void add_points(NodeId id, std::vector<AxisId> axes) {
    constexpr std::size_t kMost = 8;  // places that are told apart
    std::vector<std::vector<AxisId>>& all = points_[static_cast<std::size_t>(id)];
    std::ranges::sort(axes);
    if (all.size() < kMost && std::ranges::find(all, axes) == all.end())
      all.push_back(std::move(axes));
  }

  void add_tiles(double each) {
    std::vector<AxisId> axes = region_.batch;
    std::vector<Factor> factors{tiles_of_rows()};
    std::erase(axes, kernel_.shared);
    if (kernel_.shared != kNone && std::ranges::find(batch_, kernel_.shared) == batch_.end())
      factors.push_back({kernel_.shared, static_cast<double>(kernel_.members), false});
    add(each, axes, std::move(factors));
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

  // What comes of indices alone a kernel on a plane computes wherever it is used.
  bool is_of_indices(NodeId id) const {
    return is_map(graph_.node(id)) &&
           !needs(graph_, id, [&](NodeId at) { return is_input(graph_.node(at)); });
  }

  // At each point of a node, wherever its kernel computes it.
  void add_at(NodeId id, double each) {
    for (const std::vector<AxisId>& axes : points_[static_cast<std::size_t>(id)])
      add_along(axes, each, is_on_plane(graph_.node(id).type));
  }

  // And at each of what it folds.
  void add_folded(NodeId id, double each, AxisId folded) {
    std::vector<AxisId> axes = graph_.node(id).type.axes;
    join(axes, std::span(&folded, 1));
    const bool folds_plane = folded == kernel_.row || folded == kernel_.column;
    add_along(std::move(axes), each,
              kernel_.row != kNone && (folds_plane || is_on_plane(graph_.node(id).type)));
  }

  void add_along(std::vector<AxisId> axes, double each, bool is_of_plane) {
    if (kernel_.row == kNone) return add(each, axes);
    join(axes, region_.batch);
    if (is_of_plane) {
      const AxisId plane[] = {kernel_.row, kernel_.column};
      join(axes, plane);
    }
    const bool has_rows = std::ranges::find(axes, kernel_.row) != axes.end();
    add(each, axes, has_rows ? std::vector<Factor>{} : std::vector{tiles_of_rows()});
  }

  void add_map(NodeId id, const Map& op) {
    const Node& node = graph_.node(id);
    // A product that is summed is a part of the multiply-add.
    if ((op.fn == Fn::Mul && summed_.contains(id)) || packed_.contains(id)) return;
    const bool in_vectors = is_on_plane(node.type) || kernel_.row != kNone;
    if (is_walked(node.type))
      return add_at(id, is_transcendental(op.fn) ? kWalkedFunction : kWalked);
    if (is_division_of_integers(node)) return add_at(id, in_vectors ? kDivision * width_ : kLoad);
    if (op.fn == Fn::Pow) return add_at(id, kPower);
    if (is_transcendental(op.fn))
      return add_at(id, in_vectors ? kFunction * width_
                        : is_loop_ ? (is_exponential(op.fn) ? kExponentialLoop : kFunctionLoop)
                                   : kFunctionOff * width_);
    add_at(id, in_vectors ? operation() * width_
               : is_loop_ ? kOperationLoop
                          : kOperationOff * width_);
  }

  void add_fold(NodeId id, AxisId axis) {
    const Node& node = graph_.node(id);
    const Node& term = graph_.node(node.inputs[0]);
    const bool is_product = summed_.contains(node.inputs[0]) && is_map(term) &&
                            std::get<Map>(term.op).fn == Fn::Mul && node.type.axes.size() > 1;
    if (kernel_.row != kNone) return add_fold_on_plane(id, axis, is_product);
    if (kernel_.column != kNone) return add_folded(id, kWalked * width_, axis);
    const auto found = forms_.find(id);
    const FoldForm form = found == forms_.end() ? FoldForm{} : found->second;
    switch (form.kind) {
      case FoldForm::Kind::Inner: return;
      case FoldForm::Kind::Matrices: return add_product(id, form);
      case FoldForm::Kind::Rows:
      case FoldForm::Kind::Columns:
      case FoldForm::Kind::Vectors: return add_folded(id, kFoldVector * width_, axis);
      case FoldForm::Kind::Loop:
        return add_folded(id, is_bound(id) ? kBound : is_product ? kMultiplyAddLoop : kFold, axis);
    }
  }

  void add_fold_on_plane(NodeId id, AxisId axis, bool is_product) {
    const double multiply_add = has_columns_in_lanes() ? kMultiplyAddOfColumns : kMultiplyAdd;
    if (axis != kernel_.row && axis != kernel_.column) {
      if (!is_product) return add_folded(id, kInner * width_, axis);
      add_tiles(fixed_extent(graph_, axis) ? kContraction : kContractionOpen);
      return add_folded(id, multiply_add * width_, axis);
    }
    if (axis == kernel_.row) add_tiles(kReductionOfRows);
    const std::vector<AxisId> features = features_of(id);
    if (features.empty()) {
      add_tiles(kReduction);
      return add_folded(id, operation() * width_, axis);
    }
    const bool is_fixed = std::ranges::all_of(
        features, [&](AxisId of) { return fixed_extent(graph_, of).has_value(); });
    add_tiles(is_fixed ? kFeatures : kFeaturesOpen);
    if (!has_columns_in_lanes() && !contracts_) add_along(region_.batch, kStaged * width_, true);
    add_folded(id, (axis == kernel_.row ? kMultiplyAddOfRows : multiply_add) * width_, axis);
  }

  std::vector<AxisId> features_of(NodeId id) const {
    std::vector<AxisId> axes = graph_.node(id).type.axes;
    std::erase_if(axes, [&](AxisId axis) {
      return axis == kernel_.row || axis == kernel_.column ||
             std::ranges::find(region_.batch, axis) != region_.batch.end();
    });
    return axes;
  }

  // One operand is packed in whole tiles, again for all that is neither of its columns nor of the
  // rows that share them; rows go by tiles as well.
  void add_product(NodeId id, const FoldForm& form) {
    constexpr double kColumns = 48, kRows = 8;
    std::vector<AxisId> others = graph_.node(id).type.axes;
    std::erase_if(others, [&](AxisId axis) { return axis == form.column || axis == form.row; });
    add(kProduct, others, {{form.column, kColumns, false}});
    join(others, form.terms);
    const Factor columns{form.column, kColumns, true};
    add((form.packs_vectors ? kPackedVector : kPacked) * width_, others, {columns});
    std::vector<Factor> tiles{columns};
    if (std::ranges::find(batch_, form.row) == batch_.end())
      tiles.push_back({form.row, kRows, true});
    add(kMultiplyAddOff * width_, others, std::move(tiles));
  }

  bool is_bound(NodeId id) const {
    const auto* reduce = reduce_of(graph_.node(id));
    return reduce && reduce->fn != ReduceFn::Sum && is_float(graph_.node(id).type.dtype);
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
  std::vector<NodeId> folds_;
  std::map<NodeId, FoldForm> forms_;  // off the planes
  std::set<NodeId> packed_;           // terms of products of matrices
  Leaves leaves_;
  bool is_loop_ = false;
  bool contracts_ = false;                                // values of the plane
  std::vector<std::vector<std::vector<AxisId>>> points_;  // by node, for each of its places
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
      if (const auto* reduce = reduce_of(graph.node(id)))
        others.insert(origin(graph, reduce->axis));
  }
  std::erase_if(batch, [&](AxisId axis) {
    return others.contains(origin(graph, axis)) || fixed_extent(graph, axis).has_value();
  });
  std::ranges::sort(batch);
  return batch;
}

}  // namespace fovea::passes
