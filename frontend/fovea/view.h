// fovea/view.h — tensors that the caller owns: a pointer, a type, a shape and strides.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ir/error.h"
#include "ir/graph.h"

struct DLManagedTensor;  // <dlpack/dlpack.h>

namespace fovea {

using ir::Dtype;  // f32 bf16 f16 i32 u8 i8 i4 and boolean are its values (ir/tensor.h)

// The largest number of axes of a View.
inline constexpr int kMaxRank = 8;

// As many whole numbers as a tensor has axes: `{heads, rows, 64}`, of any integer types, or a span.
// More than kMaxRank: Code::unsupported. A number beyond int64: Code::input_too_large.
class Shape {
 public:
  Shape() = default;  // of a scalar
  template <std::integral... Integers>
  Shape(Integers... numbers) {
    (append(checked(numbers)), ...);
  }
  Shape(std::span<const std::int64_t> numbers) {
    for (std::int64_t number : numbers) append(number);
  }
  // Code::unsupported, naming the tensor, where its rank is more than kMaxRank.
  static void check_rank(std::string_view tensor, std::size_t rank);
  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return numbers_[static_cast<std::size_t>(axis)]; }
  const std::int64_t* begin() const { return numbers_.data(); }
  const std::int64_t* end() const { return numbers_.data() + rank_; }
  bool operator==(const Shape&) const = default;

 private:
  template <std::integral Integer>
  static std::int64_t checked(Integer number) {
    if (!std::in_range<std::int64_t>(number)) too_large(static_cast<std::uint64_t>(number));
    return static_cast<std::int64_t>(number);
  }
  [[noreturn]] static void too_large(std::uint64_t number);
  void append(std::int64_t number);

  std::array<std::int64_t, kMaxRank> numbers_ = {};
  int rank_ = 0;
};

// Memory seen as a tensor. Copies are cheap and see the same memory; nothing is owned. Made by
// view() or from_dlpack(), which check it. bool is one byte, 0 or 1. i4 is two to a byte, the even
// element in the low half; its strides step over whole bytes on all axes but the last, which is
// dense.
struct View {
  void* data = nullptr;  // element [0, …, 0]
  Dtype dtype = Dtype::F32;
  Shape shape;             // extents, in the order of the layout that the graph declares
  Shape strides;           // distance of neighbours along each axis, in elements; 0 repeats
  bool read_only = false;  // made of a pointer to const: not accepted as an output
};

// A view with the name of the graph's input or output that it stands for.
struct NamedView {
  std::string_view name;
  View view;
};

// How many bytes a dense tensor takes.
std::int64_t byte_size(Dtype dtype, const Shape& shape);

// The strides of a dense tensor, last axis fastest.
Shape dense_strides(const Shape& shape);

// "f32[2, 3]", for messages.
std::string describe(const View& view);

// A tensor of `shape` at `pointer`; without `strides`, dense with the last axis fastest.
// Errors: Code::dimension_mismatch for a negative extent or strides of another rank;
// Code::input_too_large where its bytes exceed what memory can hold; Code::empty_input for a null
// pointer to at least one element; Code::invalid_input for a pointer that is not aligned to an
// element.
View view(void* pointer, Dtype dtype, const Shape& shape);
View view(void* pointer, Dtype dtype, const Shape& shape, const Shape& strides);
View view(const void* pointer, Dtype dtype, const Shape& shape);
View view(const void* pointer, Dtype dtype, const Shape& shape, const Shape& strides);

// An error (Code::invalid_input) that names the tensor and its first element that is NaN or
// infinite, if there is one. Integers and bools are finite.
void require_finite(const NamedView& tensor);

// The dtype of a C++ type: float, std::int32_t, std::uint8_t, std::int8_t, bool. C++20 has no types
// for bf16, f16 and i4: name those by Dtype.
template <class T>
consteval Dtype dtype_of() {
  if constexpr (std::same_as<T, float>)
    return Dtype::F32;
  else if constexpr (std::same_as<T, std::int32_t>)
    return Dtype::I32;
  else if constexpr (std::same_as<T, std::uint8_t>)
    return Dtype::U8;
  else if constexpr (std::same_as<T, std::int8_t>)
    return Dtype::I8;
  else {
    static_assert(std::same_as<T, bool>, "no dtype for this type: give it by fovea::Dtype");
    return Dtype::Bool;
  }
}

// The same with the dtype taken from the pointer; of a pointer to const, a read-only view.
template <class T>
View view(T* pointer, const Shape& shape) {
  return view(pointer, dtype_of<std::remove_const_t<T>>(), shape);
}
template <class T>
View view(T* pointer, const Shape& shape, const Shape& strides) {
  return view(pointer, dtype_of<std::remove_const_t<T>>(), shape, strides);
}

// The memory of a DLPack tensor (github.com/dmlc/dlpack), as a view. The tensor keeps ownership: it
// must outlive the view, and its deleter is the caller's to call. Only CPU memory, one lane, and
// the types float 16 and 32, bfloat 16, int 4, 8 and 32, uint 8 and bool (code 6). Errors:
// Code::unsupported for any other device or type; those of view() besides.
View from_dlpack(const DLManagedTensor* tensor);

// A view as a DLPack tensor for another library; its deleter frees the description, not the memory,
// which must outlive it. Error: Code::unsupported for a read-only view, which DLPack cannot say.
DLManagedTensor* to_dlpack(const View& view);

}  // namespace fovea
