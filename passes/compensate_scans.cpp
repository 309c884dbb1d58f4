#include "passes/compensate_scans.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "ir/query.h"
#include "ir/rewrite.h"
#include "ir/worklist.h"
#include "passes/planes.h"
#include "passes/products.h"

namespace fovea::passes {
namespace {

using ir::Builder;
using ir::Fn;
using ir::Graph;
using ir::kNone;
using ir::Node;
using ir::NodeId;

// One term of a sum. Where it is a prefix sum, that scan, as it stands or read at other
// coordinates, times or over a factor; a whole sum is the last of the prefix sums.
struct Term {
  NodeId node = kNone;
  bool negative = false;
  NodeId scan = kNone;
  NodeId value = kNone;   // the scan or its read
  NodeId factor = kNone;  // kNone: 1
  bool divides = false;
};

struct Pair {
  Term plus, minus;
};

// A sum in which prefix sums are subtracted from each other: those, and the other terms.
struct Sum {
  std::vector<Pair> pairs;
  std::vector<Term> others;
};

class Search {
 public:
  explicit Search(const Graph& graph) : graph_(graph), inside_(graph.nodes.size()) {
    std::vector<bool> outside(graph.nodes.size());
    for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes.size()); ++id)
      for (const NodeId input : graph.node(id).inputs)
        (is_sum(id) ? inside_ : outside)[static_cast<std::size_t>(input)] = true;
    for (const ir::Output& output : graph.outputs)
      outside[static_cast<std::size_t>(output.node)] = true;
    for (std::size_t id = 0; id < inside_.size(); ++id)
      inside_[id] = (inside_[id] && !outside[id]) || is_scanned(static_cast<NodeId>(id));
  }

  std::optional<Sum> operator()(NodeId id) const {
    if (!is_sum(id) || inside_[static_cast<std::size_t>(id)]) return {};
    std::vector<Term> terms;
    collect(id, false, terms);
    Sum sum;
    for (Term& term : terms) {
      const auto partner =
          std::ranges::find_if(sum.others, [&](const Term& other) { return cancels(other, term); });
      if (partner == sum.others.end()) {
        sum.others.push_back(term);
        continue;
      }
      sum.pairs.push_back(term.negative ? Pair{*partner, term} : Pair{term, *partner});
      sum.others.erase(partner);
    }
    const auto is_done = [&](const Pair& pair) {
      return std::ranges::any_of(
          sum.pairs, [&](const Pair& other) { return needs(pair, other) || needs(other, pair); });
    };
    if (sum.pairs.empty() || std::ranges::any_of(sum.pairs, is_done)) return {};
    return sum;
  }

 private:
  // Whether the value is summed again along the axis of the scans that it is made of, as what
  // rounding took is.
  bool is_scanned(NodeId id) const {
    const auto takes = [&](const Node& node, NodeId at) {
      return std::ranges::find(node.inputs, at) != node.inputs.end();
    };
    for (const Node& scan : graph_.nodes) {
      if (!ir::is_scan(scan)) continue;
      const Node& input = graph_.node(scan.inputs[0]);
      if (scan.inputs[0] == id || (is_map(input, Fn::Where) && takes(input, id))) return true;
    }
    return false;
  }

  bool is_sum(NodeId id) const {
    const Node& node = graph_.node(id);
    return node.type.dtype == ir::Dtype::F32 &&
           (is_map(node, Fn::Add) || is_map(node, Fn::Sub) || is_map(node, Fn::Neg));
  }

  void collect(NodeId id, bool negative, std::vector<Term>& into) const {
    constexpr std::size_t kMost = 64;  // more would be a sum by doubling
    const Node& node = graph_.node(id);
    if (!is_sum(id) || into.size() >= kMost) {
      into.push_back(term(id, negative));
    } else if (is_map(node, Fn::Neg)) {
      collect(node.inputs[0], !negative, into);
    } else {
      collect(node.inputs[0], negative, into);
      collect(node.inputs[1], negative != is_map(node, Fn::Sub), into);
    }
  }

  Term term(NodeId id, bool negative) const {
    Term term{id, negative, scan_of(id), id, kNone, false};
    const Node& node = graph_.node(id);
    const bool divides = is_map(node, Fn::Div);
    if (term.scan != kNone || !(divides || is_map(node, Fn::Mul))) return term;
    for (const std::size_t n : {0, 1}) {
      const NodeId scan = scan_of(node.inputs[n]);
      if (scan == kNone || (divides && n == 1)) continue;
      return {id, negative, scan, node.inputs[n], node.inputs[1 - n], divides};
    }
    return term;
  }

  // The scan behind reads of it, or that a sum is the last of.
  NodeId scan_of(NodeId id) const {
    const Node& node = graph_.node(id);
    if (const auto* sum = ir::reduce_of(node)) return scan_of_sum(node, *sum);
    if (ir::is_read(node)) return scan_of(node.inputs[0]);
    const auto* scan = ir::scan_of(node);
    return scan && node.type.dtype == ir::Dtype::F32 && !is_ragged(graph_, scan->axis) ? id : kNone;
  }

  NodeId scan_of_sum(const Node& node, const ir::Reduce& sum) const {
    if (sum.fn != ir::ReduceFn::Sum) return kNone;
    for (NodeId id = 0; id < static_cast<NodeId>(graph_.nodes.size()); ++id) {
      const Node& other = graph_.node(id);
      const auto* scan = ir::scan_of(other);
      if (scan && scan->axis == sum.axis && other.inputs[0] == node.inputs[0]) return scan_of(id);
    }
    return kNone;
  }

  static bool cancels(const Term& x, const Term& y) {
    return x.scan != kNone && x.scan == y.scan && x.negative != y.negative &&
           x.factor == y.factor && x.divides == y.divides && x.value != y.value;
  }

  bool needs(const Pair& x, const Pair& y) const {
    return x.plus.scan != y.plus.scan &&
           ir::needs(graph_, x.plus.scan, [&](NodeId id) { return id == y.plus.scan; });
  }

  const Graph& graph_;
  std::vector<bool> inside_;  // of a larger sum, and needed there alone; or of a scan
};

// Builds what replaces a sum in the new graph.
class Rebuild {
 public:
  Rebuild(const Graph& graph, Builder& into, const std::vector<NodeId>& to,
          std::map<NodeId, NodeId>& rests)
      : graph_(graph), into_(into), to_(to), rests_(rests) {}

  NodeId operator()(const Sum& sum) {
    NodeId all = kNone;
    for (const Term& term : sum.others)
      if (!term.negative) all = plus(all, copied(term.node), Fn::Add);
    for (const Pair& pair : sum.pairs) all = plus(all, difference(pair), Fn::Add);
    for (const Term& term : sum.others)
      if (term.negative) all = plus(all, copied(term.node), Fn::Sub);
    return all;
  }

 private:
  NodeId copied(NodeId id) const { return to_[static_cast<std::size_t>(id)]; }

  NodeId plus(NodeId all, NodeId x, Fn fn) {  // the first is never subtracted
    return all == kNone ? x : into_.map(fn, {all, x});
  }

  NodeId difference(const Pair& pair) {
    const NodeId whole = into_.map(Fn::Sub, {value_of(pair.plus), value_of(pair.minus)});
    const NodeId rest = into_.map(Fn::Sub, {rest_of(pair.plus), rest_of(pair.minus)});
    const NodeId both = into_.map(Fn::Add, {whole, rest});
    if (pair.plus.factor == kNone) return both;
    return into_.map(pair.plus.divides ? Fn::Div : Fn::Mul, {both, copied(pair.plus.factor)});
  }

  bool is_last(const Term& term) const { return ir::is_reduce(graph_.node(term.value)); }

  // Of no terms, a sum is 0.
  NodeId last_of(NodeId scanned, ir::AxisId axis) {
    const NodeId last = into_.map(Fn::Sub, {into_.size(axis), into_.constant(1, ir::Dtype::I32)});
    return into_.read(scanned, {{axis, last, into_.constant(0)}});
  }

  NodeId value_of(const Term& term) {
    if (!is_last(term)) return copied(term.value);
    return last_of(copied(term.scan), std::get<ir::Scan>(graph_.node(term.scan).op).axis);
  }

  NodeId rest_of(const Term& term) {
    if (!is_last(term)) return rest_of(term.value);
    return last_of(rest_of_scan(term.scan), std::get<ir::Scan>(graph_.node(term.scan).op).axis);
  }

  // What rounding took from a scan, read where the scan is.
  NodeId rest_of(NodeId id) {
    const Node& node = graph_.node(id);
    const auto* read = ir::read_of(node);
    if (!read) return rest_of_scan(id);
    std::vector<NodeId> inputs{rest_of(node.inputs[0])};
    std::size_t next = 1;
    for (const ir::Read::Coordinate& at : read->at) {
      inputs.push_back(copied(node.inputs[next++]));
      if (at.otherwise) inputs.push_back(into_.constant(0)), ++next;
    }
    return into_.node(*read, std::move(inputs));
  }

  // sum = before + term, rounded: exactly what is missing (Knuth's two-sum). Nothing of infinities.
  NodeId rest_of_scan(NodeId id) {
    if (const auto known = rests_.find(id); known != rests_.end()) return known->second;
    const ir::AxisId axis = std::get<ir::Scan>(graph_.node(id).op).axis;
    const NodeId sum = copied(id), term = copied(graph_.node(id).inputs[0]);
    const NodeId previous =
        into_.map(Fn::Sub, {into_.index(axis), into_.constant(1, ir::Dtype::I32)});
    const NodeId before = into_.read(sum, {{axis, previous, kNone}});
    const auto minus = [&](NodeId x, NodeId y) { return into_.map(Fn::Sub, {x, y}); };
    const NodeId taken = minus(sum, before);
    const NodeId missing =
        into_.map(Fn::Add, {minus(before, minus(sum, taken)), minus(term, taken)});
    const NodeId is_finite = into_.map(
        Fn::Lt,
        {into_.map(Fn::Abs, {sum}), into_.constant(std::numeric_limits<double>::infinity())});
    const NodeId rest =
        into_.scan(axis, into_.map(Fn::Where, {is_finite, missing, into_.constant(0)}));
    return rests_[id] = rest;
  }

  const Graph& graph_;
  Builder& into_;
  const std::vector<NodeId>& to_;
  std::map<NodeId, NodeId>& rests_;
};

}  // namespace

Graph compensate_scans(const Graph& graph, const ir::Target&) {
  const Search search(graph);
  std::vector<NodeId> to;
  std::map<NodeId, NodeId> rests;
  return ir::rewrite(
      graph,
      [&](Builder& into, NodeId id, const Node& old,
          const std::vector<NodeId>& inputs) -> std::optional<NodeId> {
        const auto sum = search(id);
        to.push_back(sum ? Rebuild(graph, into, to, rests)(*sum) : into.copy(old, inputs));
        return to.back();
      });
}

}  // namespace fovea::passes
