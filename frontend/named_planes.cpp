#include "frontend/named_planes.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "ir/query.h"
#include "passes/extents.h"

namespace fovea::frontend {
namespace {

using namespace ir;

using Pair = std::pair<AxisId, AxisId>;  // ascending
// By pair: how many sums ago its axes came together.
using Joined = std::map<Pair, int>;

Pair pair_of(AxisId a, AxisId b) { return std::minmax(a, b); }

void add(Joined& into, Pair pair, int sums) {
  const auto [at, is_first] = into.try_emplace(pair, sums);
  if (!is_first) at->second = std::min(at->second, sums);
}

class Search {
 public:
  explicit Search(const Graph& graph) : graph_(graph) {
    for (AxisId axis = 0; axis < static_cast<AxisId>(graph.axes.size()); ++axis)
      open_.push_back(graph.axis(axis).degree == kNone && !passes::fixed_extent(graph, axis));
    for (const Node& node : graph.nodes) visit(node);
  }

  std::vector<NamedPlane> planes() const {
    std::vector<NamedPlane> found;
    for (const auto& [column, folds] : folds_) {
      std::optional<std::tuple<int, int, AxisId>> best;  // the least is the best
      for (const auto& [row, fold] : folds) {
        if (is_batch(row, column)) continue;
        const int rank = meet_.contains(pair_of(row, column)) ? 0 : fold.chooses ? 1 : 2;
        const auto candidate = std::make_tuple(rank, fold.sums, -row);
        if (!best || candidate < *best) best = candidate;
      }
      if (best) found.push_back({-std::get<2>(*best), column});
    }
    const auto is_softer = [&](const NamedPlane& plane) {
      return !meet_.contains(pair_of(plane.row, plane.column)) &&
             !folds_.at(plane.column).at(plane.row).chooses;
    };
    // Sums of products count only where nothing else does: they may be projections.
    if (!std::ranges::all_of(found, is_softer)) std::erase_if(found, is_softer);
    return found;
  }

 private:
  struct Fold {
    bool chooses = false;  // a maximum, as in a softmax, or a choice of the largest
    int sums = 0;
  };

  bool is_open(AxisId axis) const { return open_[static_cast<std::size_t>(axis)]; }

  void visit(const Node& node) {
    const auto of = [&](std::size_t n) { return static_cast<std::size_t>(node.inputs[n]); };
    bool memory = is_input(node);
    Joined joined;
    for (std::size_t n = 0; n < node.inputs.size(); ++n) memory = memory || memory_[of(n)];
    match(
        node.op, [](const Input&) {}, [](const Constant&) {}, [](const Index&) {},
        [&](const Map& op) {
          for (std::size_t n = 0; n < node.inputs.size(); ++n)
            keep(joined, joined_[of(n)], node, 0);
          join(joined, node);
          if (is_comparison(op.fn)) note_meeting(node);
        },
        [&](const Reduce& op) {
          const bool sums = op.fn == ReduceFn::Sum;
          fold(op.axis, joined_[of(0)], !sums);
          keep(joined, joined_[of(0)], node, sums ? 1 : 0);
        },
        [&](const Scan& op) {
          fold(op.axis, joined_[of(0)], false);
          keep(joined, joined_[of(0)], node, 0);
        },
        [&](const Read& op) { read(joined, op, node); },
        [&](const TopK& op) {
          fold(op.axis, joined_[of(0)], true);
          keep(joined, joined_[of(0)], node, 0);
        });
    joined_.push_back(std::move(joined));
    memory_.push_back(memory);
  }

  static bool is_comparison(Fn fn) {
    return fn == Fn::Lt || fn == Fn::Le || fn == Fn::Gt || fn == Fn::Ge || fn == Fn::Eq ||
           fn == Fn::Ne;
  }

  static void keep(Joined& into, const Joined& from, const Node& node, int more) {
    for (const auto& [pair, sums] : from)
      if (node.type.has(pair.first) && node.type.has(pair.second)) add(into, pair, sums + more);
  }

  void join(Joined& into, const Node& node) const {
    for (const NodeId a : node.inputs)
      for (const NodeId b : node.inputs) {
        if (!memory_[static_cast<std::size_t>(a)] || !memory_[static_cast<std::size_t>(b)])
          continue;
        const Type &left = graph_.node(a).type, &right = graph_.node(b).type;
        for (const AxisId x : left.axes)
          for (const AxisId y : right.axes)
            if (is_open(x) && is_open(y) && !right.has(x) && !left.has(y))
              add(into, pair_of(x, y), 0);
      }
  }

  // Indices of two axes that are compared with each other.
  void note_meeting(const Node& node) {
    for (const AxisId x : node.type.axes)
      for (const AxisId y : node.type.axes)
        if (x < y && is_of_index(node, x) && is_of_index(node, y)) meet_.insert({x, y});
  }

  // Whether an operand of a comparison is arithmetic over the index of the axis.
  bool is_of_index(const Node& node, AxisId axis) const {
    std::vector<NodeId> stack(node.inputs);
    while (!stack.empty()) {
      const Node& at = graph_.node(stack.back());
      stack.pop_back();
      if (const auto* index = index_of(at); index != nullptr && index->axis == axis) return true;
      if (is_map(at) && is_integer(at.type.dtype))
        stack.insert(stack.end(), at.inputs.begin(), at.inputs.end());
    }
    return false;
  }

  // q[i = j]: what came together with i came together with j.
  void read(Joined& into, const Read& op, const Node& node) {
    std::map<AxisId, AxisId> renamed;
    std::size_t next = 1;
    for (const Read::Coordinate& at : op.at) {
      const auto* index = index_of(graph_.node(node.inputs[next]));
      renamed[at.axis] = index != nullptr ? index->axis : kNone;
      if (index != nullptr && index->axis != at.axis) meet_.insert(pair_of(at.axis, index->axis));
      next += at.otherwise ? 2 : 1;
    }
    const auto name = [&](AxisId axis) {
      const auto found = renamed.find(axis);
      return found == renamed.end() ? axis : found->second;
    };
    for (const auto& [pair, sums] : joined_[static_cast<std::size_t>(node.inputs[0])]) {
      const AxisId a = name(pair.first), b = name(pair.second);
      if (a != kNone && b != kNone && a != b) add(into, pair_of(a, b), sums);
    }
  }

  void fold(AxisId column, const Joined& joined, bool chooses) {
    for (const auto& [pair, sums] : joined) {
      if (pair.first != column && pair.second != column) continue;
      const AxisId row = pair.first == column ? pair.second : pair.first;
      const auto [at, is_first] = folds_[column].try_emplace(row, Fold{chooses, sums});
      if (is_first) continue;
      at->second.chooses = at->second.chooses || chooses;
      at->second.sums = std::min(at->second.sums, sums);
    }
  }

  // Whether all inputs with one of the axes have the other.
  bool is_batch(AxisId a, AxisId b) const {
    const auto follows = [&](AxisId axis, AxisId other) {
      bool any = false;
      for (const Node& node : graph_.nodes) {
        if (!is_input(node) || !node.type.has(axis)) continue;
        any = true;
        if (!node.type.has(other)) return false;
      }
      return any;
    };
    return follows(a, b) || follows(b, a);
  }

  const Graph& graph_;
  std::vector<bool> open_, memory_;  // by axis; by node: made of inputs
  std::vector<Joined> joined_;       // by node
  std::set<Pair> meet_;
  std::map<AxisId, std::map<AxisId, Fold>> folds_;  // by column and row
};

}  // namespace

std::vector<NamedPlane> named_planes(const Graph& graph) { return Search(graph).planes(); }

}  // namespace fovea::frontend
