#include "ir/build.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cmath>
#include <functional>
#include <limits>
#include <unordered_map>

#include "ir/canonical.h"
#include "ir/infer.h"
#include "ir/lexer.h"
#include "ir/query.h"
#include "ir/require.h"

namespace fovea::ir {
namespace {

void mix(std::size_t& hash, std::size_t more) {
  hash ^= more + 0x9e3779b97f4a7c15ULL + (hash << 6) + (hash >> 2);
}

std::size_t hash_of(const Op& op) {
  using Size = std::size_t;
  const auto number = [](auto value) { return static_cast<Size>(value); };
  const Size content = match(
      op, [](const Input& input) { return std::hash<std::string>{}(input.name); },
      [&](const Constant& c) { return number(std::bit_cast<std::uint64_t>(c.value)); },
      [&](const Index& index) { return number(index.axis); },
      [&](const Map& map) { return number(map.fn); },
      [&](const Reduce& reduce) { return number(reduce.fn) * 4096 + number(reduce.axis); },
      [&](const Scan& scan) { return number(scan.axis); },
      [&](const Read& read) {
        Size all = 0;
        for (const auto& at : read.at) mix(all, number(at.axis) * 2 + number(at.otherwise));
        return all;
      },
      [&](const TopK& topk) { return number(topk.axis) * 4096 + number(topk.into); });
  Size hash = op.index();
  mix(hash, content);
  return hash;
}

void check_name(std::string_view what, std::string_view name) {
  const auto letter = [](char c) {
    return c == '_' || std::isalpha(static_cast<unsigned char>(c)) != 0;
  };
  const auto later = [&](char c) {
    return letter(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
  };
  require(!name.empty() && letter(name[0]) && std::ranges::all_of(name, later),
          Code::invalid_config,
          "'{}' cannot name {}; expected letters, digits and underscores, not first a digit", name,
          what);
  constexpr std::string_view kWords[] = {"axis", "out", "inf", "nan", "true", "false", "else"};
  require(std::ranges::find(kWords, name) == std::end(kWords), Code::invalid_config,
          "'{}' cannot name {}: it is a word of the language", name, what);
}

}  // namespace

struct Builder::State {
  std::vector<Axis> axes;
  std::vector<Node> nodes;
  std::unordered_multimap<std::size_t, NodeId> shared;
  std::unordered_map<std::string, NodeId> named;
  std::vector<bool> used;  // whether the end of an axis has been looked for

  Known known() const { return {axes, nodes}; }
  NodeId intern(const Op& op, std::vector<NodeId> inputs, Type type);
  void check(NodeId id) const {
    invariant(id >= 0 && static_cast<std::size_t>(id) < nodes.size(), "a node of this builder");
  }
  void check_axis(AxisId id) const {
    invariant(id >= 0 && static_cast<std::size_t>(id) < axes.size(), "an axis of this builder");
  }
};

NodeId Builder::State::intern(const Op& op, std::vector<NodeId> inputs, Type type) {
  std::size_t hash = hash_of(op);
  for (const NodeId input : inputs) mix(hash, static_cast<std::size_t>(input));
  mix(hash, static_cast<std::size_t>(type.dtype));
  const auto [first, last] = shared.equal_range(hash);
  for (auto at = first; at != last; ++at) {
    const Node& found = nodes[static_cast<std::size_t>(at->second)];
    if (found.op == op && found.inputs == inputs && found.type == type) return at->second;
  }
  const auto id = static_cast<NodeId>(nodes.size());
  nodes.push_back({op, std::move(inputs), std::move(type), ""});
  shared.emplace(hash, id);
  return id;
}

Builder::Builder() : state_(std::make_unique<State>()) {}
Builder::Builder(const Graph& axes_of) : Builder() {
  for (const Axis& axis : axes_of.axes) this->axis(axis.name, axis.extent);
}
Builder::~Builder() = default;
Builder::Builder(Builder&&) noexcept = default;
Builder& Builder::operator=(Builder&&) noexcept = default;

AxisId Builder::axis(std::string_view name, Extent extent) {
  check_name("an axis", name);
  require(std::ranges::find(state_->axes, name, &Axis::name) == state_->axes.end(),
          Code::invalid_config, "axis {} is declared twice", name);
  require(!state_->named.contains(std::string(name)), Code::invalid_config,
          "axis {} has the name of a tensor", name);
  state_->axes.push_back({std::string(name), std::move(extent), kNone});
  state_->used.push_back(false);
  return static_cast<AxisId>(state_->axes.size() - 1);
}

void Builder::set_degree(AxisId axis, NodeId degree) {
  state_->check_axis(axis);
  state_->check(degree);
  Axis& ragged = state_->axes[static_cast<std::size_t>(axis)];
  const Known known = state_->known();
  const Type& type = known.node(degree).type;
  if (ragged.degree == degree) return;
  require(ragged.degree == kNone, Code::invalid_config, "axis {} is given two degrees",
          ragged.name);
  require(ragged.extent.empty(), Code::invalid_config,
          "axis {} is given a degree and an extent; expected one of them", ragged.name);
  require(is_integer(type.dtype), Code::invalid_config,
          "the degree of axis {} is {}, found {}; expected an integer", ragged.name,
          known.call(degree), name(type.dtype));
  require(
      !state_->used[static_cast<std::size_t>(axis)], Code::invalid_config,
      "axis {} is given a degree after a function of that axis; the degree may not depend on it",
      ragged.name);
  std::vector<AxisId> along = type.axes;
  for (std::size_t n = 0; n < along.size(); ++n) {
    require(along[n] != axis, Code::invalid_config,
            "the degree of axis {}, {}, varies along {} itself", ragged.name, known.call(degree),
            ragged.name);
    const NodeId next = known.axis(along[n]).degree;
    if (next == kNone) continue;
    for (const AxisId more : known.node(next).type.axes) {
      if (std::ranges::find(along, more) == along.end()) along.push_back(more);
    }
  }
  ragged.degree = degree;
}

NodeId Builder::input(std::string_view name, Dtype dtype, std::vector<AxisId> layout) {
  check_name("an input", name);
  for (std::size_t n = 0; n < layout.size(); ++n) {
    state_->check_axis(layout[n]);
    require(std::find(layout.begin(), layout.begin() + static_cast<std::ptrdiff_t>(n), layout[n]) ==
                layout.begin() + static_cast<std::ptrdiff_t>(n),
            Code::dimension_mismatch, "input {} has axis {} twice", name, axis(layout[n]).name);
  }
  require(std::ranges::find(state_->axes, name, &Axis::name) == state_->axes.end(),
          Code::invalid_config, "input {} has the name of an axis", name);
  const auto before = state_->nodes.size();
  const NodeId id = state_->intern(Input{std::string(name)}, {}, Type{dtype, std::move(layout)});
  if (state_->nodes.size() == before) return id;
  for (NodeId other = 0; other < id; ++other) {
    const auto* input = input_of((*this)[other]);
    require(input == nullptr || input->name != name, Code::invalid_config,
            "input {} is declared twice, with different types", name);
  }
  // An input's name is not negotiable: another node that took it gives it up.
  if (const auto taken = state_->named.find(std::string(name)); taken != state_->named.end()) {
    state_->nodes[static_cast<std::size_t>(taken->second)].name.clear();
    state_->named.erase(taken);
  }
  set_name(id, name);
  return id;
}

NodeId Builder::constant(double value, Dtype dtype) { return node(Constant{value}, {}, dtype); }
NodeId Builder::index(AxisId axis) { return node(Index{axis}, {}); }

NodeId Builder::map(Fn fn, std::vector<NodeId> inputs) {
  invariant(fn != Fn::Cast, "a cast needs a dtype");
  return node(Map{fn}, std::move(inputs));
}

NodeId Builder::cast(Dtype to, NodeId x) { return node(Map{Fn::Cast}, {x}, to); }
NodeId Builder::reduce(ReduceFn fn, AxisId axis, NodeId x) { return node(Reduce{fn, axis}, {x}); }
NodeId Builder::scan(AxisId axis, NodeId x) { return node(Scan{axis}, {x}); }
NodeId Builder::topk(AxisId axis, AxisId into, NodeId x) { return node(TopK{axis, into}, {x}); }

NodeId Builder::read(NodeId x, std::vector<At> at) {
  Read op;
  std::vector<NodeId> inputs{x};
  for (const At& one : at) {
    op.at.push_back({one.axis, one.otherwise != kNone});
    inputs.push_back(one.coordinate);
    if (one.otherwise != kNone) inputs.push_back(one.otherwise);
  }
  return node(op, std::move(inputs));
}

namespace {

// A read without the coordinates of axes that the value lacks, which change nothing.
std::pair<Read, std::vector<NodeId>> without_absent(const Known& known, const Read& op,
                                                    const std::vector<NodeId>& inputs) {
  std::pair<Read, std::vector<NodeId>> kept{{}, {inputs[0]}};
  std::size_t next = 1;
  for (const Read::Coordinate& at : op.at) {
    const std::size_t count = at.otherwise ? 2 : 1;
    if (known.node(inputs[0]).type.has(at.axis)) {
      require(
          std::ranges::find(kept.first.at, at.axis, &Read::Coordinate::axis) == kept.first.at.end(),
          Code::invalid_config, "a read of {} gives two coordinates along {}",
          known.call(inputs[0]), known.axis(at.axis).name);
      kept.first.at.push_back(at);
      for (std::size_t n = 0; n < count; ++n) kept.second.push_back(inputs[next + n]);
    }
    next += count;
  }
  return kept;
}

void check_constant(const Constant& constant, Dtype dtype) {
  invariant(dtype == Dtype::F32 || dtype == Dtype::I32 || dtype == Dtype::Bool,
            "constants are f32, i32 or bool");
  if (dtype == Dtype::I32) {
    require(constant.value >= std::numeric_limits<std::int32_t>::min() &&
                constant.value <= std::numeric_limits<std::int32_t>::max(),
            Code::input_too_large, "the integer {} is outside of i32, -2147483648 to 2147483647",
            constant.value);
    require(constant.value == std::floor(constant.value), Code::invalid_config,
            "the constant {} is not an integer", constant.value);
  }
  if (dtype == Dtype::Bool) {
    require(constant.value == 0 || constant.value == 1, Code::invalid_config,
            "the constant {} is not a bool; expected 0 or 1", constant.value);
  }
}

}  // namespace

NodeId Builder::node(const Op& op, std::vector<NodeId> inputs, Dtype dtype) {
  for (const NodeId input : inputs) state_->check(input);
  for (const AxisId axis : axes_of(op)) state_->check_axis(axis);
  invariant(inputs.size() == input_count(op), "as many inputs as the op takes");
  if (const auto known = known_as(op, inputs, dtype)) return *known;
  for (const AxisId axis : bounded_axes(op)) state_->used[static_cast<std::size_t>(axis)] = true;
  Type type = infer(state_->known(), op, inputs, dtype);
  return state_->intern(op, std::move(inputs), std::move(type));
}

std::optional<NodeId> Builder::known_as(const Op& op, const std::vector<NodeId>& inputs,
                                        Dtype dtype) {
  using Same = std::optional<NodeId>;
  return match(
      op,
      [&](const Constant& constant) -> Same {
        check_constant(constant, dtype);
        // Integers have one zero; of -0.0 the text form would lose the sign.
        const bool is_negative_zero = constant.value == 0 && std::signbit(constant.value);
        if (dtype == Dtype::F32 || !is_negative_zero) return {};
        return node(Constant{0.0}, {}, dtype);
      },
      [&](const Map& map) -> Same {
        const bool changes = map.fn != Fn::Cast || (*this)[inputs[0]].type.dtype != dtype;
        return changes ? Same() : inputs[0];
      },
      [&](const Read& read) -> Same {
        const Known known = state_->known();
        (void)infer(known, op, inputs,
                    dtype);  // a coordinate that is no integer is an error anywhere
        auto [kept, of] = without_absent(known, read, inputs);
        if (kept.at.empty()) return inputs[0];
        if (kept.at.size() == read.at.size()) return {};
        return node(kept, std::move(of));
      },
      [](const Input&) { return Same(); }, [](const Index&) { return Same(); },
      [](const Reduce&) { return Same(); }, [](const Scan&) { return Same(); },
      [](const TopK&) { return Same(); });
}

NodeId Builder::copy(const Node& old, std::vector<NodeId> inputs) {
  if (const auto* op = input_of(old)) {
    return input(op->name, old.type.dtype, old.type.axes);
  }
  const NodeId id = node(old.op, std::move(inputs), old.type.dtype);
  if (!old.name.empty()) set_name(id, old.name);
  return id;
}

void Builder::set_name(NodeId node, std::string_view name) {
  state_->check(node);
  check_name("a tensor", name);
  if (is_generated_name(name)) return;
  std::string& own = state_->nodes[static_cast<std::size_t>(node)].name;
  if (!own.empty() || !state_->named.try_emplace(std::string(name), node).second) return;
  own = name;
}

const Node& Builder::operator[](NodeId node) const {
  state_->check(node);
  return state_->nodes[static_cast<std::size_t>(node)];
}

const Axis& Builder::axis(AxisId id) const {
  state_->check_axis(id);
  return state_->axes[static_cast<std::size_t>(id)];
}

std::size_t Builder::axis_count() const { return state_->axes.size(); }

Graph Builder::finish(std::vector<Output> outputs, std::vector<Kernel> kernels) {
  for (const Output& output : outputs) check_name("an output", output.name);
  return canonical({state_->axes, state_->nodes, std::move(outputs), std::move(kernels)});
}

}  // namespace fovea::ir
