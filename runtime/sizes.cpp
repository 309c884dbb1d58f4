#include "runtime/sizes.h"

#include <algorithm>
#include <vector>

#include "runtime/view.h"

namespace fovea::runtime {

namespace {

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  const std::int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

std::optional<std::int64_t> apply(SizeTerm::Kind kind, std::int64_t a, std::int64_t b) {
  using Kind = SizeTerm::Kind;
  std::int64_t result = 0;
  switch (kind) {
    case Kind::add:
      return __builtin_add_overflow(a, b, &result) ? std::nullopt : std::optional(result);
    case Kind::sub:
      return __builtin_sub_overflow(a, b, &result) ? std::nullopt : std::optional(result);
    case Kind::mul:
      return __builtin_mul_overflow(a, b, &result) ? std::nullopt : std::optional(result);
    case Kind::div:
    case Kind::ceil_div:
      if (b == 0 || (a == INT64_MIN && b == -1)) return std::nullopt;
      return floor_divide(a, b) + (kind == Kind::ceil_div && a % b != 0);
    case Kind::max: return std::max(a, b);
    case Kind::min: return std::min(a, b);
    case Kind::number:
    case Kind::symbol: break;
  }
  return std::nullopt;
}

std::string combine(SizeTerm::Kind kind, const std::string& a, const std::string& b) {
  switch (kind) {
    case SizeTerm::Kind::add: return "(" + a + " + " + b + ")";
    case SizeTerm::Kind::sub: return "(" + a + " - " + b + ")";
    case SizeTerm::Kind::mul: return a + " * " + b;
    case SizeTerm::Kind::div: return "(" + a + " / " + b + ")";
    case SizeTerm::Kind::ceil_div: return "ceil(" + a + " / " + b + ")";
    case SizeTerm::Kind::max: return "max(" + a + ", " + b + ")";
    default: return "min(" + a + ", " + b + ")";
  }
}

}  // namespace

std::optional<std::int64_t> evaluate(const Size& size, std::span<const std::int64_t> symbols) {
  std::vector<std::int64_t> stack;
  for (const SizeTerm& term : size) {
    if (term.kind == SizeTerm::Kind::number) {
      stack.push_back(term.value);
    } else if (term.kind == SizeTerm::Kind::symbol) {
      stack.push_back(symbols[static_cast<std::size_t>(term.value)]);
    } else {
      if (stack.size() < 2) return std::nullopt;
      const std::int64_t b = stack.back();
      stack.pop_back();
      const std::optional<std::int64_t> result = apply(term.kind, stack.back(), b);
      if (!result) return std::nullopt;
      stack.back() = *result;
    }
  }
  return stack.size() == 1 ? std::optional(stack.back()) : std::nullopt;
}

std::string print(const Size& size, const Program& program) {
  std::vector<std::string> stack;
  for (const SizeTerm& term : size) {
    if (term.kind == SizeTerm::Kind::number) {
      stack.push_back(std::to_string(term.value));
    } else if (term.kind == SizeTerm::Kind::symbol) {
      stack.push_back(program.symbols[static_cast<std::size_t>(term.value)].name);
    } else {
      if (stack.size() < 2) return "?";
      const std::string b = std::move(stack.back());
      stack.pop_back();
      stack.back() = combine(term.kind, stack.back(), b);
    }
  }
  if (stack.size() != 1) return "?";
  std::string text = std::move(stack.back());
  const SizeTerm::Kind last = size.back().kind;
  const bool enclosed =
      last == SizeTerm::Kind::add || last == SizeTerm::Kind::sub || last == SizeTerm::Kind::div;
  if (enclosed) text = text.substr(1, text.size() - 2);
  return text;
}

int single_symbol(const Size& size) {
  const bool single = size.size() == 1 && size.front().kind == SizeTerm::Kind::symbol;
  return single ? static_cast<int>(size.front().value) : -1;
}

}  // namespace fovea::runtime
