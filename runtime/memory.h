// runtime/memory.h — blocks of memory, and passing over arrays in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/program.h"

struct halide_buffer_t;

namespace fovea::runtime {

// Every buffer of ours begins on this boundary, and this many bytes follow its end: kernels may
// read whole vectors there.
inline constexpr std::size_t kAlignment = 128, kPadding = 256;
std::size_t padded(std::size_t bytes);

// An aligned block that only grows.
class Arena {
 public:
  Arena() = default;
  ~Arena() { release(); }
  Arena(const Arena&) = delete;
  Arena(Arena&& other) noexcept : data_(other.data_), capacity_(other.capacity_) {
    other.data_ = nullptr;
    other.capacity_ = 0;
  }
  Arena& operator=(const Arena&) = delete;
  Arena& operator=(Arena&&) = delete;

  // Room for so many bytes; what was there is lost if it grows. False: there is no such memory.
  bool reserve(std::size_t bytes);
  std::byte* data() const { return data_; }

 private:
  void release();
  std::byte* data_ = nullptr;
  std::size_t capacity_ = 0;
};

// Copies an array between two layouts. Strides are in elements of `bytes` bytes.
void copy_strided(std::span<const std::int64_t> shape, std::size_t bytes, const void* from,
                  std::span<const std::int64_t> from_strides, void* to,
                  std::span<const std::int64_t> to_strides);

// Whether no element of a (cropped) buffer is infinite or NaN. True for types that have neither.
bool all_finite(const halide_buffer_t& buffer, Dtype type);
// The same, but -inf, by which masks exclude, counts as finite.
bool all_finite_or_excluded(const halide_buffer_t& buffer, Dtype type);

// The elements of a (cropped) buffer of floats, to put back those that were finite. No elements for
// types that have no other.
std::vector<std::byte> copy_of(const halide_buffer_t& buffer, Dtype type);
void put_back_finite(std::span<const std::byte> copy, const halide_buffer_t& buffer, Dtype type);

// Sets every element of a (cropped) buffer of f32, i32 or bool; integers saturate.
void fill(const halide_buffer_t& buffer, Dtype type, float value);

}  // namespace fovea::runtime
