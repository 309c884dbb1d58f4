// ir/tensor.h — the language as C++: axes, tensors, operators and functions (DSL).
//
//   Axis i{"i"}, j{"j"}, d{"d", 64};
//   Tensor q = input("q", f32, {i, d}), k = input("k", f32, {j, d}), v = input("v", f32, {j, d});
//   Tensor o = sum(j, softmax(j, where(j <= i, sum(d, q * k) * 0.125f, -infinity)) * v);
//   ir::Graph graph = ir::make_graph({{"o", o}});
//
// An axis that a value does not have is an axis along which it is constant; nothing else broadcasts.
// Tensors are cheap immutable recipes. Errors (fovea::Error) come when the graph is made. Axes are
// the same if their names are. Outputs order theirs as the inputs do (the first input's axes first,
// then what the second one adds, …; last the axes that no input has) unless make_graph is given an
// order, the order of the `axis` statements.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/build.h"
#include "ir/graph.h"

namespace fovea {

using ir::Dtype;
inline constexpr Dtype f32 = Dtype::F32, bf16 = Dtype::BF16, f16 = Dtype::F16, i32 = Dtype::I32,
                       u8 = Dtype::U8, i8 = Dtype::I8, i4 = Dtype::I4, boolean = Dtype::Bool;
inline constexpr float infinity = std::numeric_limits<float>::infinity();

class Axis;
class Tensor;

namespace detail {
class Context;  // the graph being made: memoizes tensors and axes
using Recipe = std::function<ir::NodeId(Context&)>;
struct AxisRecipe;
}  // namespace detail

// Arithmetic over integers and the extents of axes: Axis j{"j", Extent(past) + now}.
class Extent {
 public:
  Extent(std::int64_t value);
  Extent(int value) : Extent(static_cast<std::int64_t>(value)) {}
  Extent(const Axis& axis);  // the extent of that axis
  friend Extent operator+(const Extent& a, const Extent& b);
  friend Extent operator-(const Extent& a, const Extent& b);
  friend Extent operator*(const Extent& a, const Extent& b);
  friend Extent operator/(const Extent& a, const Extent& b);

 private:
  friend class detail::Context;
  struct Term {
    ir::ExtentTerm::Kind kind;
    std::int64_t number = 0;
    std::shared_ptr<const detail::AxisRecipe> axis;
  };
  Extent combine(const Extent& other, ir::ExtentTerm::Kind kind) const;
  std::vector<Term> terms_;
};

// A named axis; as a value, its own coordinate (i32).
class Axis {
 public:
  explicit Axis(std::string name);                             // extent known when run
  Axis(std::string name, const Extent& extent);                // fixed, or that of other axes
  static Axis ragged(std::string name, const Tensor& degree);  // `degree`: its extent at a point
  const std::string& name() const;

 private:
  friend class detail::Context;
  friend class Extent;
  std::shared_ptr<const detail::AxisRecipe> recipe_;
};

class Tensor {
 public:
  Tensor(float number);      // f32
  Tensor(double number);     // f32
  Tensor(int number);        // i32
  Tensor(bool value);        // bool
  Tensor(const Axis& axis);  // the axis's coordinate
  explicit Tensor(std::shared_ptr<const detail::Recipe> recipe) : recipe_(std::move(recipe)) {}

  // This value at coordinate `where` along `axis`; outside is 0, or an error where the coordinate
  // depends on an input; with `otherwise`, that value.
  Tensor at(const Axis& axis, const Tensor& where) const;
  Tensor at(const Axis& axis, const Tensor& where, const Tensor& otherwise) const;
  // Several coordinates at once.
  struct Coordinate;
  Tensor at(const std::vector<Coordinate>& coordinates) const;
  // The name that the text form and messages use.
  Tensor named(std::string name) const;

 private:
  friend class detail::Context;
  std::shared_ptr<const detail::Recipe> recipe_;
};

struct Tensor::Coordinate {
  Axis axis;
  Tensor where;
  std::optional<Tensor> otherwise = std::nullopt;
};

// A tensor bound when run, laid out in the order of `axes`, last fastest; {} is a scalar.
Tensor input(std::string name, Dtype dtype, std::vector<Axis> axes);

Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);  // integers floor
Tensor operator%(const Tensor& a, const Tensor& b);  // integers floor
Tensor operator-(const Tensor& a);
Tensor operator==(const Tensor& a, const Tensor& b);
Tensor operator!=(const Tensor& a, const Tensor& b);
Tensor operator<(const Tensor& a, const Tensor& b);
Tensor operator<=(const Tensor& a, const Tensor& b);
Tensor operator>(const Tensor& a, const Tensor& b);
Tensor operator>=(const Tensor& a, const Tensor& b);
Tensor operator&&(const Tensor& a, const Tensor& b);
Tensor operator||(const Tensor& a, const Tensor& b);
Tensor operator!(const Tensor& a);

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor min(const Tensor& a, const Tensor& b);
Tensor max(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, const Tensor& b);
Tensor leaky_relu(const Tensor& x, const Tensor& slope);
Tensor abs(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor exp2(const Tensor& x);
Tensor log(const Tensor& x);
Tensor log1p(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor elu(const Tensor& x);
Tensor gelu(const Tensor& x);  // exact, by erf
Tensor erf(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor asin(const Tensor& x);
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor acosh(const Tensor& x);
Tensor atanh(const Tensor& x);
Tensor floor(const Tensor& x);
Tensor round(const Tensor& x);  // to even
Tensor cast(Dtype to, const Tensor& x);

// Functions of an axis, or of several at once.
struct Axes : std::vector<Axis> {
  Axes(const Axis& axis) : std::vector<Axis>{axis} {}
  Axes(std::initializer_list<Axis> axes) : std::vector<Axis>(axes) {}
};
Tensor sum(const Axes& axes, const Tensor& x);
Tensor max(const Axes& axes, const Tensor& x);
Tensor min(const Axes& axes, const Tensor& x);
Tensor max(const Axis& axis, const Tensor& x);  // reduces; max(j + 0, s) has two arguments
Tensor min(const Axis& axis, const Tensor& x);
Tensor mean(const Axes& axes, const Tensor& x);
Tensor softmax(const Axes& axes, const Tensor& x);
Tensor logsumexp(const Axes& axes, const Tensor& x);
Tensor any(const Axes& axes, const Tensor& x);
Tensor all(const Axes& axes, const Tensor& x);
Tensor argmax(const Axis& axis, const Tensor& x);  // ties to the lower index; -1 over nothing
Tensor cumsum(const Axis& axis, const Tensor& x);  // inclusive
// Coordinates of the size(into) largest along `axis`, i32 over `into`, largest first.
Tensor topk(const Axis& axis, const Axis& into, const Tensor& x);
Tensor size(const Axis& axis);  // i32

namespace detail {
// A function of ir/geometry.h by its name.
Tensor geometry(std::string_view name, const std::vector<Axes>& axes,
                const std::vector<Tensor>& values);
}  // namespace detail

// An output of a graph: `layout` is its axes in storage order; empty, the order of the axes.
struct NamedOutput {
  std::string name;
  Tensor value;
  std::vector<Axis> layout = {};
};

namespace ir {
// The graph that computes the outputs. `order`, if given, declares axes first, in that order.
Graph make_graph(const std::vector<NamedOutput>& outputs,
                 const std::vector<fovea::Axis>& order = {});
}  // namespace ir

}  // namespace fovea
