#include "ir/kernel_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "ir/carry.h"
#include "ir/infer.h"
#include "ir/kernel_draft.h"
#include "ir/query.h"
#include "ir/require.h"
#include "ir/rewrite.h"
#include "ir/worklist.h"

namespace fovea::ir {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// What a fold takes for an element that it does not get.
double nothing_of(const Node& fold, Dtype dtype) {
  if (is_scan(fold) || is_reduce(fold, ReduceFn::Sum)) return 0;
  const bool lowest = !is_reduce(fold, ReduceFn::Min);
  if (dtype == Dtype::Bool) return lowest ? 0 : 1;
  if (dtype == Dtype::F32) return lowest ? -kInfinity : kInfinity;
  using Limits = std::numeric_limits<std::int32_t>;
  return lowest ? Limits::min() : Limits::max();
}

class Maker {
 public:
  Maker(const Graph& graph, const Kernel& kernel)
      : graph_(graph),
        kernel_(kernel),
        leaves_(leaves_of(graph, kernel)),
        checked_(depends_on_input(graph, true)),
        inputs_(graph.nodes.size(), kNone),
        draft_(graph) {}

  KernelGraph operator()() {
    make_masks();
    find_carried();
    make_results();
    for (std::size_t a = 0; a < graph_.axes.size(); a++) {
      NodeId& degree = draft_.made.graph.axes[a].degree;
      if (degree != kNone) degree = to_[static_cast<std::size_t>(degree)];
    }
    return std::move(draft_.made);
  }

 private:
  using Nodes = std::vector<NodeId>;  // by node of the source: the new one, or kNone

  const Node& node(NodeId id) const { return graph_.node(id); }
  NodeId to(NodeId id) const { return to_[static_cast<std::size_t>(id)]; }

  // The nodes that the kernel needs for some of them, leaves included.
  std::vector<bool> needed_for(const std::vector<NodeId>& roots) const {
    std::vector<bool> needed(graph_.nodes.size());
    Worklist todo(graph_, roots);
    while (const auto id = todo.next()) {
      needed[static_cast<std::size_t>(*id)] = true;
      if (leaves_[static_cast<std::size_t>(*id)]) continue;
      todo.add(node(*id).inputs);
      for (const AxisId axis : axes_of(node(*id).op))
        if (graph_.axis(axis).degree != kNone) todo.add(graph_.axis(axis).degree);
    }
    return needed;
  }

  template <class Make>
  Nodes make_all(const std::vector<NodeId>& roots, Make make) {
    const std::vector<bool> needed = needed_for(roots);
    to_.assign(graph_.nodes.size(), kNone);
    for (std::size_t k = 0; k < needed.size(); k++) {
      if (!needed[k]) continue;
      const auto id = static_cast<NodeId>(k);
      to_[k] = leaves_[k] ? leaf(id) : make(id);
      draft_.made.checked[static_cast<std::size_t>(to_[k])] = checked_[k];
    }
    return to_;
  }

  NodeId leaf(NodeId id) {
    NodeId& made = inputs_[static_cast<std::size_t>(id)];
    if (made != kNone) return made;
    const bool is_input = ir::is_input(node(id));
    if (!is_input) draft_.made.reads.push_back(id);
    Node copy = node(id);
    if (!is_input) copy = {Input{stored_name(id)}, {}, copy.type, copy.name};
    return made = draft_.add(std::move(copy));
  }

  Node copy_of(NodeId id) const {
    Node copy = node(id);
    for (NodeId& input : copy.inputs) input = to(input);
    return copy;
  }

  // --- masks

  void make_masks() {
    std::vector<NodeId> roots;
    for (const NodeId mask : {kernel_.visible, kernel_.solid})
      if (mask != kNone) roots.push_back(mask);
    if (roots.empty()) return;
    make_all(roots, [&](NodeId id) {
      Node copy = copy_of(id);
      copy.name.clear();  // the results have it too
      return draft_.add(std::move(copy));
    });
    if (kernel_.visible != kNone) visible_ = to(kernel_.visible);
    if (kernel_.solid != kNone) solid_ = to(kernel_.solid);
  }

  // Conditions that are known before anything is folded, and used at their own point only.
  std::vector<bool> find_early() const {
    std::vector<bool> early(graph_.nodes.size(), true);
    for (std::size_t k = 0; k < early.size(); k++) {
      if (leaves_[k]) continue;
      early[k] = !is_fold(graph_.nodes[k]);
      for (const NodeId input : graph_.nodes[k].inputs)
        early[k] = early[k] && early[static_cast<std::size_t>(input)];
    }
    const std::vector<bool> needed = needed_for(kernel_.results);
    std::vector<bool> elsewhere(graph_.nodes.size());
    for (std::size_t k = elsewhere.size(); k-- > 0;) {
      if (!needed[k] || leaves_[k]) continue;
      const Node& node = graph_.nodes[k];
      for (std::size_t n = 0; n < node.inputs.size(); n++) {
        const bool moves = n == 0 && is_read(node);
        const auto input = static_cast<std::size_t>(node.inputs[n]);
        elsewhere[input] = elsewhere[input] || elsewhere[k] || moves;
        early[input] = early[input] && !elsewhere[input];
      }
    }
    return early;
  }

  // A mask that a node applies: which of its inputs, and what that is where it hides.
  struct Mask {
    std::size_t input = 0;
    bool hides = false;
  };
  std::optional<Mask> mask_of(const Node& of) const {
    const auto* map = map_of(of);
    if (!map || of.type.dtype == Dtype::Bool) return {};
    const auto excludes = [&](std::size_t n) {
      const auto number = number_of(node(of.inputs[n]));
      return number && (*number == 0 || std::isinf(*number));
    };
    if (map->fn == Fn::Where)
      return excludes(1) != excludes(2) ? std::optional(Mask{0, excludes(1)}) : std::nullopt;
    if (map->fn != Fn::Mul && map->fn != Fn::Cast) return {};
    const auto is_of_plane = [&](AxisId axis) {
      return axis == kernel_.row || axis == kernel_.column;
    };
    for (std::size_t n = 0; n < of.inputs.size(); n++) {
      const Type& type = node(of.inputs[n]).type;
      if (type.dtype == Dtype::Bool && std::ranges::all_of(type.axes, is_of_plane))
        return Mask{n, false};
    }
    return {};
  }

  bool takes_solid(const Node& of, const Mask& mask) const {
    const NodeId id = of.inputs[mask.input];
    const Type& type = node(id).type;
    const std::vector<AxisId>& axes = draft_.type(solid_).axes;
    return of.type.has(kernel_.column) && early_[static_cast<std::size_t>(id)] &&
           type.dtype == Dtype::Bool && (type.has(kernel_.row) || type.has(kernel_.column)) &&
           std::ranges::all_of(axes, [&](AxisId axis) { return of.type.has(axis); });
  }

  // A node whose mask lets pass where the kernel says that none is needed.
  NodeId unmasked(NodeId id) { return unmasked(id, copy_of(id)); }
  NodeId unmasked(NodeId id, Node copy) {
    const auto mask = solid_ == kNone ? std::nullopt : mask_of(node(id));
    if (mask && takes_solid(node(id), *mask)) {
      NodeId& condition = copy.inputs[mask->input];
      condition = mask->hides ? draft_.map(Fn::And, {condition, not_solid()}, Dtype::Bool)
                              : draft_.map(Fn::Or, {condition, solid_}, Dtype::Bool);
    }
    return draft_.add(std::move(copy));
  }
  NodeId not_solid() { return draft_.map(Fn::Not, {solid_}, Dtype::Bool); }

  // --- the carried state

  void find_carried() {
    if (!kernel_.carries) return;
    auto sums = carried_sums(graph_, kernel_, region_of(graph_, kernel_));
    require(sums.has_value(), Code::internal,
            "kernel '{}' says carry=solid, but its sums are not products of what rows and columns "
            "bring, or its mask closes along the rows",
            kernel_.name);
    carried_ = std::move(*sums);
    absorbed_ = solid_;
    if (visible_ != kNone) absorbed_ = draft_.map(Fn::And, {visible_, solid_}, Dtype::Bool);
    if (!draft_.type(absorbed_).has(kernel_.row)) return;
    const NodeId count = draft_.map(Fn::Cast, {absorbed_}, Dtype::I32);
    const NodeId before = draft_.add({Scan{kernel_.row}, {count}, draft_.type(count), {}});
    absorbed_ = draft_.map(Fn::Gt, {before, draft_.constant(0, Dtype::I32)}, Dtype::Bool);
  }

  // exp of what both sides bring: the column's part seen from the first row, and the way from there
  // to this row.
  NodeId factor_of(const Gap& gap) {
    const NodeId x = to(gap.exponent);
    const Dtype dtype = computed(draft_.type(x).dtype);
    const NodeId column = draft_.first(x, {kernel_.row}), row = draft_.first(x, {kernel_.column}),
                 origin = draft_.first(x, {kernel_.row, kernel_.column});
    const NodeId way = draft_.map(Fn::Sub, {row, origin}, dtype);
    return draft_.map(gap.base_two ? Fn::Exp2 : Fn::Exp,
                      {draft_.map(Fn::Add, {column, way}, dtype)}, Dtype::F32);
  }

  NodeId carried_term(const CarriedSum& sum) {
    NodeId product = draft_.constant(sum.scale, Dtype::F32);
    const auto multiply = [&](Fn fn, NodeId x) {
      product = draft_.map(fn, {product, x}, Dtype::F32);
    };
    for (const auto* factors : {&sum.columns, &sum.rows})
      for (const Factor& factor : *factors)
        multiply(factor.inverted ? Fn::Div : Fn::Mul, to(factor.node));
    for (const Gap& gap : sum.gaps) multiply(Fn::Mul, factor_of(gap));
    if (sum.inner == kNone) return product;
    Type type = draft_.type(product);
    std::erase(type.axes, sum.inner);
    return draft_.add({Reduce{ReduceFn::Sum, sum.inner}, {product}, type, {}});
  }

  // --- results

  void make_results() {
    if (solid_ != kNone) early_ = find_early();
    make_all(kernel_.results, [&](NodeId id) {
      if (!folds_plane(id)) return unmasked(id);
      const Followed followed = followed_by(graph_, id, kernel_.row, kernel_.column, leaves_);
      return followed.maximum == kNone ? gated_fold(id) : followed_sum(id, followed);
    });
    for (const NodeId id : kernel_.results) {
      NodeId made = to(id);
      if (visible_ != kNone && is_on_plane(graph_, kernel_, id))
        made = draft_.where(counting(id), made, draft_.constant(0, computed(node(id).type.dtype)));
      std::vector<AxisId> layout = node(id).type.axes;
      std::ranges::sort(layout);
      draft_.made.graph.outputs.push_back({stored_name(id), made, layout});
    }
  }

  bool folds_plane(NodeId id) const {
    if (!is_fold(node(id)) || !is_on_plane(graph_, kernel_, node(id).inputs[0])) return false;
    return std::ranges::any_of(axes_of(node(id).op), [&](AxisId axis) {
      return axis == kernel_.row || axis == kernel_.column;
    });
  }

  NodeId gated_fold(NodeId id) {
    const Node& fold = node(id);
    NodeId x = to(fold.inputs[0]);
    // No integer is chosen by nobody; -inf is.
    if (chooses_places(fold)) x = draft_.map(Fn::Cast, {x}, Dtype::F32);
    const Dtype dtype = computed(draft_.type(x).dtype);
    if (visible_ != kNone)
      x = draft_.where(visible_, x, draft_.constant(nothing_of(fold, dtype), dtype));
    const auto carried = std::ranges::find(carried_, id, &CarriedSum::reduction);
    if (carried != carried_.end()) x = draft_.where(absorbed_, carried_term(*carried), x);
    const Type& own = node(fold.inputs[0]).type;
    require(std::ranges::all_of(draft_.type(x).axes, [&](AxisId axis) { return own.has(axis); }),
            Code::internal, "the mask of kernel '{}' varies along an axis that what it folds lacks",
            kernel_.name);
    return draft_.add({fold.op, {x}, fold.type, fold.name});
  }

  // --- sums that follow a maximum

  // What sums over the first half of the columns need, with the maximum as it is known by then.
  struct Early {
    Nodes nodes;  // by node of the source, those that need the maximum
    NodeId factor = kNone;
  };

  NodeId first_half() {
    const NodeId size = draft_.add({Reduce{ReduceFn::Sum, kernel_.column},
                                    {draft_.constant(1, Dtype::I32)},
                                    {Dtype::I32, {}},
                                    {}});
    const NodeId index =
        draft_.add({Index{kernel_.column}, {}, {Dtype::I32, {kernel_.column}}, {}});
    const NodeId twice = draft_.map(Fn::Add, {index, index}, Dtype::I32);
    return draft_.map(Fn::Lt, {twice, size}, Dtype::Bool);
  }

  // The maximum of the first half, and what the sum of that half is multiplied with later.
  Early early_maximum(const Followed& followed, NodeId half) {
    const NodeId maximum = followed.maximum;
    Node fold = draft_.made.graph.node(to(maximum));
    fold.inputs[0] = draft_.where(half, fold.inputs[0], draft_.constant(-kInfinity, Dtype::F32));
    // No sum begins with less, so that nothing is -inf - -inf.
    constexpr double kLowest = std::numeric_limits<double>::lowest();
    const NodeId early = draft_.map(
        Fn::Max, {draft_.add(std::move(fold)), draft_.constant(kLowest, Dtype::F32)}, Dtype::F32);
    const NodeId fall = draft_.map(Fn::Sub, {early, to(maximum)}, Dtype::F32);
    const NodeId at_most = draft_.map(Fn::Min, {fall, draft_.constant(0, Dtype::F32)}, Dtype::F32);
    Early made{Nodes(graph_.nodes.size(), kNone),
               draft_.map(followed.base_two ? Fn::Exp2 : Fn::Exp, {at_most}, Dtype::F32)};
    made.nodes[static_cast<std::size_t>(maximum)] = early;
    return made;
  }

  NodeId early_value(NodeId root, Nodes& early) {
    const std::vector<bool> needed = needed_for({root});
    for (std::size_t k = 0; k < needed.size(); k++) {
      if (!needed[k] || leaves_[k] || early[k] != kNone) continue;
      const auto id = static_cast<NodeId>(k);
      Node copy = copy_of(id);
      bool changes = false;
      for (std::size_t n = 0; n < copy.inputs.size(); n++) {
        const NodeId input = early[static_cast<std::size_t>(node(id).inputs[n])];
        if (input == kNone) continue;
        copy.inputs[n] = input;
        changes = true;
      }
      if (changes) early[k] = unmasked(id, std::move(copy));
    }
    return early[static_cast<std::size_t>(root)];
  }

  // Where a value of the plane counts: masked it is 0 as exp(-inf - m), but NaN where m is -inf, too.
  NodeId counting(NodeId value) {
    NodeId counts = visible_;
    if (counts == kNone) return kNone;
    const NodeId lowest = draft_.constant(-kInfinity, Dtype::F32);
    for (const NodeId maximum : unguarded_maxima(graph_, {value}, leaves_)) {
      const NodeId empty = draft_.map(Fn::Eq, {to(maximum), lowest}, Dtype::Bool);
      counts = draft_.map(Fn::Or, {counts, empty}, Dtype::Bool);
    }
    return counts;
  }

  // The sum of the first half, rescaled to the maximum of all, and that of the second.
  NodeId followed_sum(NodeId id, const Followed& followed) {
    const NodeId half = first_half();
    const std::pair key(followed.maximum, followed.base_two);
    auto known = early_by_maximum_.find(key);
    if (known == early_by_maximum_.end())
      known = early_by_maximum_.emplace(key, early_maximum(followed, half)).first;
    const NodeId term = node(id).inputs[0], early = early_value(term, known->second.nodes);
    const NodeId zero = draft_.constant(0, Dtype::F32);
    const Node& fold = node(id);
    const NodeId counts = counting(term);
    const auto sum = [&](NodeId x) {
      if (counts != kNone) x = draft_.where(counts, x, zero);
      return draft_.add({fold.op, {x}, fold.type, fold.name});
    };
    const NodeId first = sum(draft_.where(half, early, zero)),
                 rest = sum(draft_.where(half, zero, to(term)));
    return draft_.map(Fn::Add,
                      {draft_.map(Fn::Mul, {first, known->second.factor}, Dtype::F32), rest},
                      Dtype::F32);
  }

  const Graph& graph_;
  const Kernel& kernel_;
  const Leaves leaves_;
  const std::vector<bool> checked_;
  Nodes inputs_, to_;
  NodeId visible_ = kNone, solid_ = kNone, absorbed_ = kNone;  // new nodes
  std::vector<bool> early_;
  std::vector<CarriedSum> carried_;
  std::map<std::pair<NodeId, bool>, Early> early_by_maximum_;  // and by base
  Draft draft_;
};

}  // namespace

Leaves leaves_of(const Graph& graph, const Kernel& kernel) {
  Leaves leaves(graph.nodes.size());
  for (std::size_t id = 0; id < leaves.size(); id++) leaves[id] = is_input(graph.nodes[id]);
  for (const Kernel& other : graph.kernels)
    for (const NodeId id : other.results) leaves[static_cast<std::size_t>(id)] = true;
  for (const NodeId id : kernel.results) leaves[static_cast<std::size_t>(id)] = false;
  return leaves;
}

std::string stored_name(NodeId node) { return fmt::format("%{}", node); }

KernelGraph kernel_graph(const Graph& graph, const Kernel& kernel) {
  return Maker(graph, kernel)();
}

}  // namespace fovea::ir
