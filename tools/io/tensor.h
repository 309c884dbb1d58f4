// tools/io/tensor.h — tensors that own their memory, as files hold them and as graphs want them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/view.h"
#include "ir/interpret.h"

namespace fovea::tools {

// Memory aligned to cache lines, as kernels like it best.
template <class T>
struct CacheAligned {
  using value_type = T;
  CacheAligned() = default;
  template <class U>
  CacheAligned(const CacheAligned<U>&) {}
  T* allocate(std::size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64)));
  }
  void deallocate(T* pointer, std::size_t) { ::operator delete(pointer, std::align_val_t(64)); }
  bool operator==(const CacheAligned&) const { return true; }
};
using Bytes = std::vector<std::byte, CacheAligned<std::byte>>;

// The element types of files; more than graphs have.
enum class Stored : std::uint8_t {
  F64,
  F32,
  BF16,
  F16,
  I64,
  I32,
  I16,
  I8,
  U64,
  U32,
  U16,
  U8,
  Bool
};
std::string_view name(Stored type);
int byte_size(Stored type);

// Elements in memory that others keep, such as a mapped file.
struct Elsewhere {
  std::span<const std::byte> bytes = {};
  std::shared_ptr<const void> keeper = {};
};

// A tensor as a file holds it: dense, last axis fastest, little endian.
struct StoredTensor {
  Stored type = Stored::F32;
  std::vector<std::int64_t> shape;
  Bytes bytes;  // its own elements, if there is no keeper
  Elsewhere kept = {};

  std::span<const std::byte> data() const { return kept.keeper ? kept.bytes : std::span(bytes); }
};
using StoredTensors = std::map<std::string, StoredTensor>;

// How many elements such a tensor has; Code::input_too_large if its bytes cannot be counted, and
// Code::invalid_input for a negative extent. `what` names the tensor in the message.
std::int64_t element_count(const std::vector<std::int64_t>& shape, Stored type,
                           std::string_view what);

// A tensor as a graph wants it, dense, i4 packed as fovea/view.h says.
struct Tensor {
  Dtype dtype = Dtype::F32;
  std::vector<std::int64_t> shape;
  Bytes bytes;          // its own elements, if there is no keeper
  Elsewhere kept = {};  // these are only read

  std::span<const std::byte> data() const { return kept.keeper ? kept.bytes : std::span(bytes); }
};
using Tensors = std::map<std::string, Tensor, std::less<>>;

Tensor make_tensor(Dtype dtype, std::vector<std::int64_t> shape);  // zeros
View view(Tensor& tensor);
View view(const Tensor& tensor);

// The tensor in another dtype: floats take the nearest number, integers and bool only what they
// hold exactly. Code::invalid_input names the first element that does not fit, such as a finite one
// that would be infinite. `what` names the tensor in the message. `rounded`, if given, is set to
// how many elements are not what they were. Nothing is copied that somebody keeps and that lies
// right.
Tensor convert(const StoredTensor& stored, Dtype dtype, std::string_view what,
               std::int64_t* rounded = nullptr);

// For files: types that no file format of ours has are widened (bf16 to f32, i4 to i8).
StoredTensor to_stored(const Tensor& tensor);

// To and from the interpreter's arrays; `from_array` rounds to the array's dtype.
ir::Array to_array(const Tensor& tensor);
Tensor from_array(const ir::Array& array);

}  // namespace fovea::tools
