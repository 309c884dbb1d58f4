#include "runtime/memory.h"

#include <HalideRuntime.h>
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "runtime/view.h"

namespace fovea::runtime {

namespace {

// Infinities and NaNs of both signs, and the finite numbers next to them, as bits.
template <class Word>
void check_type(Dtype type, int mantissa_bits) {
  const auto sign = static_cast<Word>(Word{1} << (8 * sizeof(Word) - 1));
  const auto infinity = static_cast<Word>(sign - (Word{1} << mantissa_bits));
  for (const int count : {1, 2, 7, 8, 31, 32, 33, 64, 100}) {
    std::vector<Word> words(static_cast<std::size_t>(count), static_cast<Word>(infinity - 1));
    halide_dimension_t dims[] = {{0, count, 1}, {}};
    halide_buffer_t buffer{};
    buffer.host = reinterpret_cast<std::uint8_t*>(words.data());
    buffer.dimensions = 1;
    buffer.dim = dims;
    CHECK(all_finite(buffer, type));
    bool right = true;
    for (Word& word : words) {
      for (const Word bits :
           {infinity, static_cast<Word>(infinity + 1), static_cast<Word>(sign - 1)}) {
        for (const Word signed_bits : {bits, static_cast<Word>(bits | sign)}) {
          word = signed_bits;
          right &= !all_finite(buffer, type);
        }
      }
      for (const Word bits : {Word{0}, Word{1}, sign, static_cast<Word>(sign | (infinity - 1))}) {
        word = bits;
        right &= all_finite(buffer, type);
      }
    }
    CHECK(right);
  }
}

}  // namespace

TEST_CASE("infinity and NaN are found wherever they are, and nothing else is") {
  check_type<std::uint32_t>(Dtype::F32, 23);
  check_type<std::uint16_t>(Dtype::BF16, 7);
  check_type<std::uint16_t>(Dtype::F16, 10);
}

TEST_CASE("of a crop only its own elements are looked at") {
  std::vector<float> data(4 * 6, 1.f);
  halide_dimension_t dims[] = {{0, 6, 1}, {0, 4, 6}, {}, {}};
  halide_buffer_t buffer{};
  buffer.host = reinterpret_cast<std::uint8_t*>(data.data() + 8);
  buffer.dimensions = 2;
  buffer.dim = dims;
  dims[0].extent = 3;
  dims[1].extent = 2;
  for (std::size_t n = 0; n < data.size(); ++n) {
    const bool inside = n / 6 >= 1 && n / 6 < 3 && n % 6 >= 2 && n % 6 < 5;
    const std::uint32_t infinity = 0x7f800000;
    std::memcpy(&data[n], &infinity, 4);
    CHECK(all_finite(buffer, Dtype::F32) != inside);
    data[n] = 1;
  }
}

TEST_CASE("arrays of every element size and rank are copied between strides") {
  for (const std::size_t bytes : {1, 2, 4, 8}) {
    std::vector<std::uint8_t> from(24 * bytes), to(24 * bytes, 0);
    for (std::size_t n = 0; n < from.size(); ++n) from[n] = static_cast<std::uint8_t>(n + 1);
    const std::int64_t shape[] = {2, 3, 4}, dense[] = {12, 4, 1}, turned[] = {1, 2, 6};
    copy_strided(shape, bytes, from.data(), dense, to.data(), turned);
    for (std::size_t a = 0; a < 2; ++a) {
      for (std::size_t b = 0; b < 3; ++b) {
        for (std::size_t c = 0; c < 4; ++c) {
          const std::uint8_t* source = from.data() + (12 * a + 4 * b + c) * bytes;
          CHECK(std::memcmp(to.data() + (a + 2 * b + 6 * c) * bytes, source, bytes) == 0);
        }
      }
    }
  }
}

}  // namespace fovea::runtime
