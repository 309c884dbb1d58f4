#include "tools/io/tensor.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "ir/extent.h"
#include "ir/require.h"
#include "tools/io/element.h"

namespace fovea::tools {
namespace {

struct Row {
  Stored type;
  int bytes;
  std::string_view name;
};
constexpr std::array<Row, 13> kRows = {{{Stored::F64, 8, "f64"},
                                        {Stored::F32, 4, "f32"},
                                        {Stored::BF16, 2, "bf16"},
                                        {Stored::F16, 2, "f16"},
                                        {Stored::I64, 8, "i64"},
                                        {Stored::I32, 4, "i32"},
                                        {Stored::I16, 2, "i16"},
                                        {Stored::I8, 1, "i8"},
                                        {Stored::U64, 8, "u64"},
                                        {Stored::U32, 4, "u32"},
                                        {Stored::U16, 2, "u16"},
                                        {Stored::U8, 1, "u8"},
                                        {Stored::Bool, 1, "bool"}}};

const Row& row(Stored type) { return kRows[static_cast<std::size_t>(type)]; }

// The dtype with the same bytes, if graphs have it.
bool is_same(Stored stored, Dtype dtype) { return row(stored).name == ir::name(dtype); }

Shape shape_of(const std::vector<std::int64_t>& shape) {
  return Shape(std::span<const std::int64_t>(shape));
}

// How far apart rows of the last axis lie, in elements: those of i4 start at a byte.
std::int64_t pitch(const Tensor& tensor) {
  const std::int64_t last = tensor.shape.empty() ? 1 : tensor.shape.back();
  return runtime::is_packed(tensor.dtype) ? last + last % 2 : last;
}

bool is_aligned(const StoredTensor& stored) {
  const auto address = reinterpret_cast<std::uintptr_t>(stored.data().data());
  return address % static_cast<std::uintptr_t>(byte_size(stored.type)) == 0;
}

// Calls action(element, place in memory) in order.
template <class Action>
void for_each_element(const Tensor& tensor, Action&& action) {
  const std::int64_t last = tensor.shape.empty() ? 1 : tensor.shape.back(), step = pitch(tensor);
  const std::int64_t all = ir::element_count(tensor.shape);
  for (std::int64_t n = 0; n < all; ++n) action(n, n / last * step + n % last);
}

}  // namespace

std::string_view name(Stored type) { return row(type).name; }
int byte_size(Stored type) { return row(type).bytes; }

std::int64_t element_count(const std::vector<std::int64_t>& shape, Stored type,
                           std::string_view what) {
  std::int64_t product = byte_size(type);
  bool empty = false;
  for (std::int64_t extent : shape) {
    require(extent >= 0, Code::invalid_input, "{} has extent {}; expected at least 0", what,
            extent);
    empty = empty || extent == 0;
    if (extent == 0) continue;
    require(product <= std::numeric_limits<std::int64_t>::max() / 16 / extent,
            Code::input_too_large, "{} of {} with extent {} exceeds what memory can hold", what,
            name(type), extent);
    product *= extent;
  }
  return empty ? 0 : product / byte_size(type);
}

Tensor make_tensor(Dtype dtype, std::vector<std::int64_t> shape) {
  const auto bytes = static_cast<std::size_t>(byte_size(dtype, shape_of(shape)));
  return {dtype, std::move(shape), Bytes(bytes)};
}

View view(Tensor& tensor) {
  invariant(!tensor.kept.keeper, "what others keep is only read");
  return fovea::view(static_cast<void*>(tensor.bytes.data()), tensor.dtype, shape_of(tensor.shape));
}
View view(const Tensor& tensor) {
  return fovea::view(static_cast<const void*>(tensor.data().data()), tensor.dtype,
                     shape_of(tensor.shape));
}

Tensor convert(const StoredTensor& stored, Dtype dtype, std::string_view what,
               std::int64_t* rounded) {
  if (rounded != nullptr) *rounded = 0;
  if (is_same(stored.type, dtype) && dtype != Dtype::Bool) {
    shape_of(stored.shape);  // the rank must fit
    if (is_aligned(stored)) return {dtype, stored.shape, stored.bytes, stored.kept};
    return {dtype, stored.shape, Bytes(stored.data().begin(), stored.data().end())};
  }
  Tensor result = make_tensor(dtype, stored.shape);
  for_each_element(result, [&](std::int64_t n, std::int64_t place) {
    const Exact value = load(stored.type, stored.data().data(), n);
    const Fit fit = store_nearest(dtype, result.bytes.data(), place, value);
    require(fit != Fit::None, Code::invalid_input,
            "{} holds {} of {}, which {} cannot hold (element {}); expected {}: convert it first",
            what, describe(value), name(stored.type), ir::name(dtype), n, ir::name(dtype));
    if (rounded != nullptr && fit == Fit::Rounded) ++*rounded;
  });
  return result;
}

StoredTensor to_stored(const Tensor& tensor) {
  for (const Row& candidate : kRows)
    if (is_same(candidate.type, tensor.dtype) && tensor.dtype != Dtype::BF16)
      return {candidate.type, tensor.shape, tensor.bytes, tensor.kept};
  const Dtype wide = tensor.dtype == Dtype::BF16 ? Dtype::F32 : Dtype::I8;
  Tensor result = make_tensor(wide, tensor.shape);
  for_each_element(tensor, [&](std::int64_t n, std::int64_t place) {
    store(wide, result.bytes.data(), n, load(tensor.dtype, tensor.data().data(), place));
  });
  return to_stored(result);
}

ir::Array to_array(const Tensor& tensor) {
  ir::Array array{tensor.dtype, tensor.shape, {}};
  array.data.resize(static_cast<std::size_t>(ir::element_count(tensor.shape)));
  for_each_element(tensor, [&](std::int64_t n, std::int64_t place) {
    array.data[static_cast<std::size_t>(n)] = load(tensor.dtype, tensor.data().data(), place);
  });
  return array;
}

Tensor from_array(const ir::Array& array) {
  Tensor result = make_tensor(array.dtype, array.shape);
  for_each_element(result, [&](std::int64_t n, std::int64_t place) {
    store(array.dtype, result.bytes.data(), place,
          ir::round_to(array.dtype, array.data[static_cast<std::size_t>(n)]));
  });
  return result;
}

}  // namespace fovea::tools
