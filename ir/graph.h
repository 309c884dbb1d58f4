// ir/graph.h — attention as a graph over named axes.
//
// A graph is a value: nodes in dependency order, each an op with inputs and a type. Nothing edits a
// graph in place; passes return a new one. "Unchanged" is `==`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/types.h"

namespace fovea::ir {

using runtime::Dtype;
using runtime::is_float;
using runtime::is_integer;
using runtime::name;

using AxisId = std::int32_t;  // index into Graph::axes
using NodeId = std::int32_t;  // index into Graph::nodes
constexpr std::int32_t kNone = -1;

// Extents are arithmetic over integers and axis extents, in postfix order. `/` floors.
struct ExtentTerm {
  enum class Kind : std::uint8_t { Number, Axis, Add, Sub, Mul, Div };
  Kind kind = Kind::Number;
  std::int64_t number = 0;  // of Number
  AxisId axis = kNone;      // of Axis
  bool operator==(const ExtentTerm&) const = default;
};
using Extent = std::vector<ExtentTerm>;

struct Axis {
  std::string name;
  Extent extent;          // empty: known when run, from the inputs or from the caller's sizes
  NodeId degree = kNone;  // a ragged axis: its extent at each point is this integer node
  bool operator==(const Axis&) const = default;
};

// The ops: plain structs that hold only what a node's inputs cannot say.

// A tensor bound when run. The node's type lists its axes in layout order, last fastest.
struct Input {
  std::string name;
  bool operator==(const Input&) const = default;
};

// The same number everywhere. Its dtype is F32, I32 or Bool.
struct Constant {
  double value = 0;
  bool operator==(const Constant& other) const;  // bitwise, so that NaN equals itself
};

// An axis as a value: its own coordinate, i32.
struct Index {
  AxisId axis = kNone;
  bool operator==(const Index&) const = default;
};

// clang-format off
enum class Fn : std::uint8_t {
  // two inputs
  Add, Sub, Mul, Div, Mod, Pow, Min, Max, Eq, Ne, Lt, Le, Gt, Ge, And, Or, LeakyRelu,
  // three: condition, then, else
  Where,
  // one
  Neg, Not, Abs, Exp, Exp2, Log, Log1p, Sqrt, Rsqrt, Tanh, Sigmoid, Relu, Elu, Gelu, Erf,
  Sin, Cos, Asin, Acos, Atan, Acosh, Atanh, Floor, Round, Cast  // Cast: to the node's dtype
};
// clang-format on

std::string_view name(Fn fn);  // the operator or function of the text form: "+", "where", "exp"
int arity(Fn fn);
bool is_transcendental(Fn fn);  // takes tens of operations for each element

// An element function at every point of the union of its inputs' axes.
struct Map {
  Fn fn = Fn::Add;
  bool operator==(const Map&) const = default;
};

enum class ReduceFn : std::uint8_t { Sum, Max, Min, ArgMax };

std::string_view name(ReduceFn fn);

// Folds one axis away. Over bool, Max is "any" and Min is "all", Sum counts. An input without the
// axis is constant along it: Reduce(Sum, j) of 1 is the extent of j. Over a ragged axis the result
// gains the axes of the axis's degree; a degree below 0 is 0. Max and Min hand NaN on; ArgMax never
// chooses NaN or -inf, ties to the lower coordinate, and is -1 where it chooses none. Max and Min of
// no i32 are the least and the largest i32.
struct Reduce {
  ReduceFn fn = ReduceFn::Sum;
  AxisId axis = kNone;
  bool operator==(const Reduce&) const = default;
};

// Inclusive running sum along an axis.
struct Scan {
  AxisId axis = kNone;
  bool operator==(const Scan&) const = default;
};

// Input 0 at other coordinates of some of its axes, all substituted at once. The other inputs are,
// for each of `at` in turn, the coordinate (integer) and, where it has an `otherwise`, the value
// there when that coordinate is outside. Outside without `otherwise` is 0, or an error where the
// coordinate depends on an input other than through TopK or ArgMax.
struct Read {
  struct Coordinate {
    AxisId axis = kNone;
    bool otherwise = false;
    bool operator==(const Coordinate&) const = default;
  };
  std::vector<Coordinate> at;
  bool operator==(const Read&) const = default;
};

// The coordinates along `axis` of the size(into) largest elements, largest first, ties to the lower
// coordinate, as i32 over `into` instead of `axis`; -1 where there are none left.
// -inf and NaN are never chosen.
struct TopK {
  AxisId axis = kNone;
  AxisId into = kNone;
  bool operator==(const TopK&) const = default;
};

using Op = std::variant<Input, Constant, Index, Map, Reduce, Scan, Read, TopK>;

struct Type {
  Dtype dtype = Dtype::F32;
  std::vector<AxisId> axes;  // ascending, but for an Input: in its layout order
  bool operator==(const Type&) const = default;
  bool has(AxisId axis) const;
};

struct Node {
  Op op;
  std::vector<NodeId> inputs;
  Type type;
  std::string name;  // what the text calls it; may be empty
  bool operator==(const Node&) const = default;
};

struct Output {
  std::string name;
  NodeId node = kNone;
  std::vector<AxisId> layout;  // axes in storage order, last fastest
  bool operator==(const Output&) const = default;
};

// What lies across the lanes of a vector inside a kernel on the pair plane.
enum class Lanes : std::uint8_t { Rows, Columns };

// A set of nodes that one kernel computes and stores; whatever else it needs, back to inputs and to
// results of other kernels, it computes inside itself and never stores. Written by `fuse`, refined by
// `block_mask`, `tile` and `plan_buffers`, read by codegen. Kernels are in execution order.
struct Kernel {
  std::string name;
  std::vector<NodeId> results;
  // The axes of the pair plane that it walks in tiles. Off the plane there is no row; a column is
  // then an axis that it walks for each point of its one result.
  AxisId row = kNone;
  AxisId column = kNone;
  // Bool nodes. Where `visible` is false nothing contributes (kNone: everything may); where `solid`
  // is true no mask has to be applied (kNone: a mask is never needed).
  NodeId visible = kNone;
  NodeId solid = kNone;
  bool carries = false;  // solid blocks reach later rows through a state (ir/carry.h)
  int row_tile = 0;      // rows of a tile, 0 until `tile` has run
  int column_block = 0;  // columns of a block
  int chunk = 0;         // blocks of a step
  Lanes lanes = Lanes::Rows;
  // A batch axis of which `members` coordinates are walked together, since they read the same
  // columns: heads that share a key head.
  AxisId shared = kNone;
  int members = 0;
  // For each result, where in the arena it is stored, or kNone for one made in an output's memory;
  // empty until `plan_buffers`.
  std::vector<int> slots;
  std::string reason;  // why it was fused so, or why not; for `explain`
  bool operator==(const Kernel&) const = default;
};

struct Graph {
  std::vector<Axis> axes;  // in the order of their declaration
  std::vector<Node> nodes;
  std::vector<Output> outputs;
  std::vector<Kernel> kernels;  // empty until `fuse`
  bool operator==(const Graph&) const = default;

  const Node& node(NodeId id) const { return nodes[static_cast<std::size_t>(id)]; }
  const Axis& axis(AxisId id) const { return axes[static_cast<std::size_t>(id)]; }
};

// The axis called so, or kNone.
AxisId find_axis(const Graph& graph, std::string_view name);

// The only way to take an op apart: no catch-all, so that a new op fails to compile where unhandled.
template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;  // clang 16 does not deduce it
template <class... Fs>
decltype(auto) match(const Op& op, Fs&&... fs) {
  return std::visit(Overloaded<std::decay_t<Fs>...>{std::forward<Fs>(fs)...}, op);
}

}  // namespace fovea::ir
