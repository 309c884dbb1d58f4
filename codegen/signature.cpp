#include <Halide.h>

#include <algorithm>

#include "codegen/asserts.h"
#include "codegen/signature.h"
#include "ir/require.h"

namespace fovea::codegen {

using Halide::Expr;
using namespace ir;
using Kind = runtime::Argument::Kind;

std::int64_t Signature::fixed_extent(AxisId axis) const {
  const Extent& extent = graph_.axis(axis).extent;
  return extent.size() == 1 && extent[0].kind == ExtentTerm::Kind::Number ? extent[0].number : -1;
}

std::vector<std::int64_t> Signature::fixed_extents(const Place& place) const {
  std::vector<std::int64_t> result;
  for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis) {
    const std::int64_t extent = fixed_extent(*axis);
    const bool rounded = *axis == place.padded && extent >= 0;
    result.push_back(rounded ? (extent + place.multiple - 1) / place.multiple * place.multiple
                             : extent);
  }
  if (place.dtype == Dtype::I4 && !result.empty() && result[0] >= 0)
    result[0] = (result[0] + 1) / 2;
  return result;
}

Expr Signature::extent(AxisId axis) {
  const std::int64_t fixed = fixed_extent(axis);
  if (fixed >= 0) return Expr(static_cast<std::int32_t>(fixed));
  return number(Kind::size, axis, "n_" + graph_.axis(axis).name);
}

Expr Signature::number(Kind kind, int index, const std::string& name) {
  const auto key = std::make_pair(kind, index);
  auto at = numbers_.find(key);
  if (at == numbers_.end()) {
    at = numbers_.emplace(key, Halide::Param<int>(name)).first;
    halide_.push_back(at->second);
    runtime_.push_back({kind, index});
  }
  return at->second;
}

Halide::ImageParam Signature::buffer(int index, Halide::Type type,
                                     const std::vector<std::int64_t>& extents, Kind kind) {
  const int key = kind == Kind::buffer ? index : -1 - static_cast<int>(kind);
  auto at = buffers_.find(key);
  if (at == buffers_.end()) {
    Halide::ImageParam image(type, static_cast<int>(extents.size()),
                             "b" + std::to_string(key + 100));
    promise(image, extents, true);
    at = buffers_.emplace(key, image).first;
    halide_.push_back(image);
    runtime_.push_back({kind, index});
  }
  return at->second;
}

Expr Signature::load(NodeId leaf, const ScopePtr& scope, const std::vector<AxisId>& clamped) {
  const Place& place = places_.at(leaf);
  Halide::ImageParam image = buffer(place.buffer, stored_type(place.dtype), fixed_extents(place));
  std::vector<Expr> at;
  for (auto axis = place.layout.rbegin(); axis != place.layout.rend(); ++axis) {
    Expr coordinate = scope->at[*axis];
    invariant(coordinate.defined(), "a leaf has no coordinate here");
    if (std::ranges::find(clamped, *axis) == clamped.end())
      coordinate = within(coordinate, 0, Halide::max(extent(*axis), 1) - 1);  // of empty ones: 0
    else
      coordinate =
          Halide::min(*axis == steady ? Halide::likely(coordinate) : coordinate, extent(*axis) - 1);
    at.push_back(coordinate);
  }
  Expr fastest = at.empty() ? Expr(0) : at[0];
  if (place.dtype == Dtype::I4 && !at.empty()) at[0] = at[0] / 2;
  return decode(place.dtype, image(at), fastest);
}

// What a loop runs along is seen.
Expr Signature::within(const Expr& x, const Expr& low, const Expr& high) {
  const bool is_seen = x.as<Halide::Internal::Variable>() != nullptr;
  return is_seen || !has_asserts() ? x : promised(x, low, high);
}

std::vector<runtime::Argument> Signature::runtime() const {
  std::vector<runtime::Argument> result = runtime_;
  for (const int buffer : results_) result.push_back({Kind::buffer, buffer});
  return result;
}

}  // namespace fovea::codegen
