// Rules about truth and choice. Masks come as nested choices; here they become one.
#include <utility>

#include "passes/simplify.h"

namespace fovea::passes {
namespace {

using ir::Dtype;
using ir::Fn;
using ir::NodeId;
using Found = std::optional<NodeId>;

struct Choice {
  NodeId condition, yes, no;
};

std::optional<Choice> choice(const Terms& t, NodeId id) {
  if (!t.is(id, Fn::Where)) return {};
  return Choice{t.input(id, 0), t.input(id, 1), t.input(id, 2)};
}

Found and_or_constant(Terms& t, NodeId id) {
  const bool both = t.is(id, Fn::And);
  if (!both && !t.is(id, Fn::Or)) return {};
  const auto c = t.number(t.input(id, 1));
  if (!c || t.dtype(t.input(id, 0)) != Dtype::Bool) return {};
  const bool keeps = (*c != 0) == both;  // x && true, x || false
  return keeps ? t.input(id, 0) : t.constant(both ? 0 : 1, Dtype::Bool);
}

// x && x, and x && (x && y): masks that are written twice.
Found and_or_absorb(Terms& t, NodeId id) {
  for (const Fn fn : {Fn::And, Fn::Or}) {
    if (!t.is(id, fn)) continue;
    const NodeId a = t.input(id, 0), b = t.input(id, 1);
    if (a == b && t.dtype(a) == Dtype::Bool) return a;
    if (t.is(a, fn) && (t.input(a, 0) == b || t.input(a, 1) == b)) return a;
    if (t.is(b, fn) && (t.input(b, 0) == a || t.input(b, 1) == a)) return b;
  }
  return {};
}

Found not_not(Terms& t, NodeId id) {
  if (!t.is(id, Fn::Not) || !t.is(t.input(id, 0), Fn::Not)) return {};
  const NodeId x = t.input(t.input(id, 0), 0);
  return t.dtype(x) == Dtype::Bool ? Found(x) : std::nullopt;
}

// Not for floats: !(NaN < 1) is true and NaN >= 1 is false. Equality has no such trap.
Found not_comparison(Terms& t, NodeId id) {
  if (!t.is(id, Fn::Not)) return {};
  constexpr std::pair<Fn, Fn> kOpposites[] = {{Fn::Lt, Fn::Ge}, {Fn::Ge, Fn::Lt}, {Fn::Le, Fn::Gt},
                                              {Fn::Gt, Fn::Le}, {Fn::Eq, Fn::Ne}, {Fn::Ne, Fn::Eq}};
  const NodeId compared = t.input(id, 0);
  for (const auto& [fn, opposite] : kOpposites) {
    if (!t.is(compared, fn)) continue;
    const NodeId a = t.input(compared, 0), b = t.input(compared, 1);
    if (fn != Fn::Eq && fn != Fn::Ne && !(t.is_exact(a) && t.is_exact(b))) return {};
    return t.map(opposite, {a, b});
  }
  return {};
}

Found where_constant(Terms& t, NodeId id) {
  const auto found = choice(t, id);
  if (!found) return {};
  const auto c = t.number(found->condition);
  if (!c) return {};
  return *c != 0 ? found->yes : found->no;
}

Found where_same(Terms& t, NodeId id) {
  const auto found = choice(t, id);
  if (!found || found->yes != found->no) return {};
  return found->yes;
}

Found where_not(Terms& t, NodeId id) {
  const auto found = choice(t, id);
  if (!found || !t.is(found->condition, Fn::Not)) return {};
  return t.map(Fn::Where, {t.input(found->condition, 0), found->no, found->yes});
}

Found where_of_truth(Terms& t, NodeId id) {
  const auto found = choice(t, id);
  if (!found || t.dtype(id) != Dtype::Bool) return {};
  const auto& [c, yes, no] = *found;
  if (t.is_number(yes, 1)) return t.map(Fn::Or, {c, no});
  if (t.is_number(no, 0)) return t.map(Fn::And, {c, yes});
  if (t.is_number(yes, 0)) return t.map(Fn::And, {t.map(Fn::Not, {c}), no});
  if (t.is_number(no, 1)) return t.map(Fn::Or, {t.map(Fn::Not, {c}), yes});
  return {};
}

// A choice inside a choice that end in the same value are one choice under a joint condition.
Found where_nested(Terms& t, NodeId id) {
  const auto outer = choice(t, id);
  if (!outer) return {};
  const auto& [c, yes, no] = *outer;
  if (const auto inner = choice(t, yes)) {
    if (inner->no == no)
      return t.map(Fn::Where, {t.map(Fn::And, {c, inner->condition}), inner->yes, no});
    if (inner->yes == no) {
      const NodeId other = t.map(Fn::Not, {inner->condition});
      return t.map(Fn::Where, {t.map(Fn::And, {c, other}), inner->no, no});
    }
  }
  if (const auto inner = choice(t, no)) {
    if (inner->yes == yes)
      return t.map(Fn::Where, {t.map(Fn::Or, {c, inner->condition}), yes, inner->no});
    if (inner->no == yes) {
      const NodeId other = t.map(Fn::Not, {c});
      return t.map(Fn::Where, {t.map(Fn::And, {other, inner->condition}), inner->yes, yes});
    }
  }
  return {};
}

// A choice inside a choice on the same condition is decided already.
Found where_decided(Terms& t, NodeId id) {
  const auto outer = choice(t, id);
  if (!outer) return {};
  const auto& [c, yes, no] = *outer;
  const auto in_yes = choice(t, yes), in_no = choice(t, no);
  if (in_yes && in_yes->condition == c) return t.map(Fn::Where, {c, in_yes->yes, no});
  if (in_no && in_no->condition == c) return t.map(Fn::Where, {c, yes, in_no->no});
  return {};
}

constexpr Rule kRules[] = {
    {"x && true -> x, x && false -> false, also ||", and_or_constant},
    {"x && x, x && (x && y), also ||", and_or_absorb},
    {"!!x -> x", not_not},
    {"!(a < b) -> a >= b over integers, !(a == b) -> a != b", not_comparison},
    {"where(true, a, b) -> a", where_constant},
    {"where(c, a, a) -> a", where_same},
    {"where(!c, a, b) -> where(c, b, a)", where_not},
    {"where(c, true, b) -> c || b", where_of_truth},
    {"where(c, where(c, a, x), b) -> where(c, a, b)", where_decided},
    {"where(c, where(d, a, b), b) -> where(c && d, a, b)", where_nested},
};

}  // namespace

std::span<const Rule> logic_rules() { return kRules; }

}  // namespace fovea::passes
