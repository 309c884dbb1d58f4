#include "ir/rounding.h"

#include <bit>
#include <cmath>

namespace fovea::ir {
namespace {

enum class Error : std::uint8_t { None, WhereInexact, Always };

// How machines compute the function: without an error, correctly rounded, or approximated.
Error error_of(Fn fn) {
  switch (fn) {
    case Fn::Min:
    case Fn::Max:
    case Fn::Where:
    case Fn::Neg:
    case Fn::Abs:
    case Fn::Relu:
    case Fn::Floor:
    case Fn::Round:
    case Fn::Eq:
    case Fn::Ne:
    case Fn::Lt:
    case Fn::Le:
    case Fn::Gt:
    case Fn::Ge:
    case Fn::And:
    case Fn::Or:
    case Fn::Not: return Error::None;
    case Fn::Add:
    case Fn::Sub:
    case Fn::Mul:
    case Fn::Div:
    case Fn::Mod:
    case Fn::LeakyRelu:
    case Fn::Cast: return Error::WhereInexact;
    case Fn::Pow:
    case Fn::Exp:
    case Fn::Exp2:
    case Fn::Log:
    case Fn::Log1p:
    case Fn::Sqrt:
    case Fn::Rsqrt:
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
    case Fn::Atanh: return Error::Always;
  }
  return Error::Always;
}

// A number from -1 to 1 that looks random.
double noise(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9ULL;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebULL;
  bits ^= bits >> 31;
  return static_cast<double>(static_cast<std::int64_t>(bits)) * 0x1p-63;
}

}  // namespace

double Rounding::round(NodeId node, double value, bool always) const {
  constexpr double kError = 0x1p-22;  // relative, two to four units in the last place of f32
  if (value == 0 || !std::isfinite(value)) return value;
  if (!always && static_cast<double>(static_cast<float>(value)) == value) return value;
  const std::uint64_t mixed =
      (seed_ << 32) + static_cast<std::uint64_t>(node) * 0x9e3779b97f4a7c15ULL;
  const double off = noise(std::bit_cast<std::uint64_t>(value) ^ mixed);
  return static_cast<double>(static_cast<float>(value * (1 + kError * off)));
}

void Rounding::round(Fn fn, NodeId node, std::span<double> values, bool always) const {
  const Error error = error_of(fn);
  if (error == Error::None) return;
  for (double& value : values) value = round(node, value, always || error == Error::Always);
}

}  // namespace fovea::ir
