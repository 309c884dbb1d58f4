// ir/geometry_value.h — formulas over a Builder, written as formulas. For geometry's .cpp files.
#pragma once

#include <span>
#include <vector>

#include "ir/build.h"

namespace fovea::ir::geometry {

// A node of a builder, or a number that becomes one.
class Value {
 public:
  Value(Builder& b, NodeId node) : b_(&b), node_(node) {}
  Value(double number) : number_(number) {}

  NodeId in(Builder& b) const { return b_ == nullptr ? b.constant(number_) : node_; }
  Builder& builder() const { return *b_; }

  static Value map(Fn fn, const std::vector<Value>& x) {
    Builder* b = nullptr;
    for (const Value& value : x) b = value.b_ != nullptr ? value.b_ : b;
    std::vector<NodeId> nodes;
    for (const Value& value : x) nodes.push_back(value.in(*b));
    return {*b, b->map(fn, std::move(nodes))};
  }

 private:
  Builder* b_ = nullptr;
  NodeId node_ = kNone;
  double number_ = 0;
};

inline Value operator+(const Value& a, const Value& b) { return Value::map(Fn::Add, {a, b}); }
inline Value operator-(const Value& a, const Value& b) { return Value::map(Fn::Sub, {a, b}); }
inline Value operator*(const Value& a, const Value& b) { return Value::map(Fn::Mul, {a, b}); }
inline Value operator/(const Value& a, const Value& b) { return Value::map(Fn::Div, {a, b}); }
inline Value operator-(const Value& a) { return Value::map(Fn::Neg, {a}); }
inline Value sqrt(const Value& x) { return Value::map(Fn::Sqrt, {x}); }
inline Value min(const Value& a, const Value& b) { return Value::map(Fn::Min, {a, b}); }
inline Value max(const Value& a, const Value& b) { return Value::map(Fn::Max, {a, b}); }

// Where x is 0, `there`; elsewhere, `otherwise`.
inline Value where_zero(const Value& x, const Value& there, const Value& otherwise) {
  return Value::map(Fn::Where, {Value::map(Fn::Eq, {x, 0.0}), there, otherwise});
}

inline Value sum(std::span<const AxisId> axes, const Value& x) {
  return {x.builder(), x.builder().sum(axes, x.in(x.builder()))};
}
inline Value dot(std::span<const AxisId> axes, const Value& x, const Value& y) {
  return sum(axes, x * y);
}
inline Value square(const Value& x) { return x * x; }
inline Value norm(std::span<const AxisId> axes, const Value& x) { return sqrt(dot(axes, x, x)); }

// arcosh(1 + x), to the last digits of x however small.
inline Value acosh_above_one(const Value& x) {
  return Value::map(Fn::Log1p, {x + sqrt(x * (x + 2.0))});
}

}  // namespace fovea::ir::geometry
