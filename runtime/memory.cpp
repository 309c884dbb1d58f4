#include "runtime/memory.h"

#include <HalideRuntime.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "runtime/strides.h"

namespace fovea::runtime {

std::size_t padded(std::size_t bytes) {
  return (bytes + kPadding + kAlignment - 1) / kAlignment * kAlignment;
}

bool Arena::reserve(std::size_t bytes) {
  if (bytes <= capacity_) return true;
  release();
  data_ =
      static_cast<std::byte*>(::operator new (bytes, std::align_val_t{kAlignment}, std::nothrow));
  capacity_ = data_ ? bytes : 0;
  return data_ != nullptr;
}

void Arena::release() {
  ::operator delete (data_, std::align_val_t{kAlignment});
  data_ = nullptr;
  capacity_ = 0;
}

namespace {

template <std::size_t Bytes>
void copy_row(std::int64_t count, const std::byte* from, std::int64_t from_stride, std::byte* to,
              std::int64_t to_stride) {
  for (std::int64_t n = 0; n < count; ++n) {
    std::memcpy(to + n * to_stride, from + n * from_stride, Bytes);
  }
}

void copy_line(std::int64_t count, std::size_t bytes, const std::byte* from,
               std::int64_t from_stride, std::byte* to, std::int64_t to_stride) {
  const auto size = static_cast<std::int64_t>(bytes);
  from_stride *= size;
  to_stride *= size;
  if (from_stride == size && to_stride == size) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * bytes);
  } else if (bytes == 1) {
    copy_row<1>(count, from, from_stride, to, to_stride);
  } else if (bytes == 2) {
    copy_row<2>(count, from, from_stride, to, to_stride);
  } else if (bytes == 4) {
    copy_row<4>(count, from, from_stride, to, to_stride);
  } else {
    copy_row<8>(count, from, from_stride, to, to_stride);
  }
}

}  // namespace

void copy_strided(std::span<const std::int64_t> shape, std::size_t bytes, const void* from,
                  std::span<const std::int64_t> from_strides, void* to,
                  std::span<const std::int64_t> to_strides) {
  const auto* source = static_cast<const std::byte*>(from);
  auto* target = static_cast<std::byte*>(to);
  if (shape.size() <= 1) {
    const std::int64_t count = shape.empty() ? 1 : shape[0];
    return copy_line(count, bytes, source, shape.empty() ? 1 : from_strides[0], target,
                     shape.empty() ? 1 : to_strides[0]);
  }
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    const auto size = static_cast<std::int64_t>(bytes);
    copy_strided(shape.subspan(1), bytes, source + n * from_strides[0] * size,
                 from_strides.subspan(1), target + n * to_strides[0] * size, to_strides.subspan(1));
  }
}

namespace {

// Calls f(pointer, elements) for every contiguous run of the buffer, until it returns false.
template <class F>
bool for_each_run(const halide_buffer_t& buffer, std::size_t bytes, const F& f) {
  std::int64_t run = 1;
  int inner = 0;
  while (inner < buffer.dimensions &&
         (stride(buffer, inner) == run || buffer.dim[inner].extent == 1)) {
    run *= buffer.dim[inner++].extent;
  }
  const auto visit = [&](const auto& self, int outer, std::uint8_t* at) -> bool {
    if (outer < inner) return f(at, run);
    const std::int64_t step = stride(buffer, outer) * static_cast<std::int64_t>(bytes);
    for (std::int64_t n = 0; n < buffer.dim[outer].extent; ++n)
      if (!self(self, outer - 1, at + n * step)) return false;
    return true;
  };
  return visit(visit, buffer.dimensions - 1, buffer.host);
}

// An exponent of all ones carries into the sign bit when its lowest bit is added: no branches. Four
// vectors of the width that every target has, or the compiler would gather bits after every few
// words; each by its name, or it would keep them in memory.
template <class Word>
struct FiniteRun {
  int mantissa_bits;

  bool operator()(const std::uint8_t* data, std::int64_t count) const {
    using Vector __attribute__((vector_size(16))) = Word;
    constexpr auto kSign = static_cast<Word>(Word{1} << (8 * sizeof(Word) - 1));
    constexpr auto kRest = static_cast<Word>(~kSign);
    const auto step = static_cast<Word>(Word{1} << mantissa_bits);
    constexpr std::int64_t kBlock = 4 * sizeof(Vector) / sizeof(Word);
    const auto carried = [step](const std::uint8_t* from) {
      Vector words;
      std::memcpy(&words, from, sizeof words);
      return (words & kRest) + step;
    };
    Vector a{}, b{}, c{}, d{};
    for (; count >= kBlock; count -= kBlock, data += 4 * sizeof(Vector)) {
      a |= carried(data);
      b |= carried(data + sizeof(Vector));
      c |= carried(data + 2 * sizeof(Vector));
      d |= carried(data + 3 * sizeof(Vector));
    }
    const Vector sum = a | b | c | d;
    Word found = 0;
    for (std::size_t n = 0; n < sizeof(Vector) / sizeof(Word); ++n) found |= sum[n];
    for (; count > 0; --count, data += sizeof(Word)) {
      Word word;
      std::memcpy(&word, data, sizeof word);
      found = static_cast<Word>(found | static_cast<Word>((word & kRest) + step));
    }
    return (found & kSign) == 0;
  }
};

template <class Word>
struct FiniteOrExcludedRun {
  int mantissa_bits;

  bool operator()(const std::uint8_t* data, std::int64_t count) const {
    constexpr auto kSign = static_cast<Word>(Word{1} << (8 * sizeof(Word) - 1));
    const auto infinity = static_cast<Word>(kSign - (Word{1} << mantissa_bits));
    bool found = false;
    for (std::int64_t n = 0; n < count; ++n) {
      Word word;
      std::memcpy(&word, data + n * static_cast<std::int64_t>(sizeof word), sizeof word);
      const auto size = static_cast<Word>(word & static_cast<Word>(~kSign));
      found |= size > infinity || word == infinity;
    }
    return !found;
  }
};

template <class Word>
bool is_finite(const std::byte* element, int mantissa_bits) {
  Word word;
  std::memcpy(&word, element, sizeof word);
  const auto exponent = static_cast<Word>((Word{1} << (8 * sizeof(Word) - 1)) - 1) &
                        static_cast<Word>(~((Word{1} << mantissa_bits) - 1));
  return (word & exponent) != exponent;
}

template <class T>
void fill_buffer(const halide_buffer_t& buffer, T value) {
  for_each_run(buffer, sizeof(T), [&](std::uint8_t* at, std::int64_t count) {
    std::fill_n(reinterpret_cast<T*>(at), count, value);
    return true;
  });
}

}  // namespace

namespace {

// Calls f.operator()<Word>(bits of the mantissa) for a float type. True for others.
template <class F>
bool for_floats(Dtype type, const F& f) {
  if (!is_float(type)) return true;
  const int mantissa_bits = row(type).digits - 1;
  return row(type).bits == 32 ? f.template operator()<std::uint32_t>(mantissa_bits)
                              : f.template operator()<std::uint16_t>(mantissa_bits);
}

// True if Run holds for every contiguous run of a buffer of floats.
template <template <class> class Run>
bool holds_of_all(const halide_buffer_t& buffer, Dtype type) {
  return for_floats(type, [&]<class Word>(int mantissa_bits) {
    return for_each_run(buffer, sizeof(Word), Run<Word>{mantissa_bits});
  });
}

}  // namespace

bool all_finite(const halide_buffer_t& buffer, Dtype type) {
  return holds_of_all<FiniteRun>(buffer, type);
}

bool all_finite_or_excluded(const halide_buffer_t& buffer, Dtype type) {
  return holds_of_all<FiniteOrExcludedRun>(buffer, type);
}

std::vector<std::byte> copy_of(const halide_buffer_t& buffer, Dtype type) {
  std::vector<std::byte> copy;
  for_floats(type, [&]<class Word>(int) {
    return for_each_run(buffer, sizeof(Word), [&](const std::uint8_t* run, std::int64_t count) {
      const auto* first = reinterpret_cast<const std::byte*>(run);
      copy.insert(copy.end(), first, first + count * static_cast<std::int64_t>(sizeof(Word)));
      return true;
    });
  });
  return copy;
}

void put_back_finite(std::span<const std::byte> copy, const halide_buffer_t& buffer, Dtype type) {
  for_floats(type, [&]<class Word>(int mantissa_bits) {
    const std::byte* kept = copy.data();
    return for_each_run(buffer, sizeof(Word), [&](std::uint8_t* run, std::int64_t count) {
      for (std::int64_t n = 0; n < count; ++n, run += sizeof(Word), kept += sizeof(Word))
        if (is_finite<Word>(kept, mantissa_bits)) std::memcpy(run, kept, sizeof(Word));
      return true;
    });
  });
}

void fill(const halide_buffer_t& buffer, Dtype type, float value) {
  if (type == Dtype::F32) return fill_buffer<float>(buffer, value);
  if (type == Dtype::Bool) return fill_buffer<std::uint8_t>(buffer, value > 0 ? 1 : 0);
  constexpr float kBeyond = 2147483648.F;
  fill_buffer<std::int32_t>(buffer, value >= kBeyond    ? INT32_MAX
                                    : value <= -kBeyond ? INT32_MIN
                                                        : static_cast<std::int32_t>(value));
}

}  // namespace fovea::runtime
