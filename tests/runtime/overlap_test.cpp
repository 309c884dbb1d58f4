#include "runtime/overlap.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace fovea::runtime {

namespace {

struct Array {
  std::int64_t address = 0;  // of element 0, in the memory of a test
  std::size_t bytes = 1;
  std::vector<std::int64_t> shape, strides;

  Footprint footprint() const {
    return {static_cast<std::uintptr_t>(address), bytes, shape, strides};
  }
  // Every byte that it has.
  void mark(std::vector<int>& memory) const { mark(memory, 0, address); }

 private:
  void mark(std::vector<int>& memory, std::size_t axis, std::int64_t at) const {
    if (axis == shape.size()) {
      for (std::size_t n = 0; n < bytes; ++n) memory.at(static_cast<std::size_t>(at) + n) = 1;
      return;
    }
    for (std::int64_t n = 0; n < shape[axis]; ++n)
      mark(memory, axis + 1, at + n * strides[axis] * static_cast<std::int64_t>(bytes));
  }
};

bool overlap(const Array& one, const Array& other) {
  constexpr std::size_t kMemory = 8192;
  std::vector<int> here(kMemory), there(kMemory);
  one.mark(here);
  other.mark(there);
  for (std::size_t n = 0; n < kMemory; ++n)
    if (here[n] != 0 && there[n] != 0) return true;
  return false;
}

}  // namespace

TEST_CASE("overlap: arrays that interleave share nothing") {
  constexpr std::int64_t kRows = 1'000'000, kMiddle = std::int64_t{1} << 40;
  const Array even{kMiddle, 4, {kRows, 32}, {64, 2}};
  Array other{kMiddle + 4, 4, {kRows, 32}, {64, 2}};
  CHECK(!may_overlap(even.footprint(), other.footprint()));
  CHECK(!may_overlap(other.footprint(), even.footprint()));
  // The other direction of rows; every fourth column; halves of each row.
  other = {kMiddle + 4 + (kRows - 1) * 256, 4, {kRows, 32}, {-64, 2}};
  CHECK(!may_overlap(even.footprint(), other.footprint()));
  other = {kMiddle + 12, 4, {kRows, 16}, {64, 4}};
  CHECK(!may_overlap(even.footprint(), other.footprint()));
  other = {kMiddle + 128, 4, {kRows, 32}, {64, 1}};
  const Array half{kMiddle, 4, {kRows, 32}, {64, 1}};
  CHECK(!may_overlap(half.footprint(), other.footprint()));
  // One column too many, though it meets but the first of the next row.
  other = {kMiddle + 128, 4, {2, 33}, {64, 1}};
  CHECK(may_overlap(half.footprint(), other.footprint()));
}

TEST_CASE("overlap: one element, or one byte of it") {
  const Array column{1024, 4, {10}, {8}};
  CHECK(may_overlap(column.footprint(), Array{1024 + 9 * 32, 4, {}, {}}.footprint()));
  CHECK(may_overlap(column.footprint(), Array{1024 + 9 * 32 + 3, 1, {}, {}}.footprint()));
  CHECK(!may_overlap(column.footprint(), Array{1024 + 9 * 32 + 4, 1, {}, {}}.footprint()));
  CHECK(!may_overlap(column.footprint(), Array{1024 + 10 * 32, 4, {}, {}}.footprint()));
  // 12 n and 8 m + 4 meet where n = 1.
  const Array twelves{0, 4, {2}, {3}}, eights{4, 4, {2}, {2}};
  CHECK(may_overlap(twelves.footprint(), eights.footprint()));
}

TEST_CASE("overlap: what would take long to find out counts as overlapping") {
  // Many sums of these are near, none is equal.
  const std::vector<std::int64_t> shape(7, 40), strides{1009, 1013, 1019, 1021, 1031, 1033, 1039};
  const Array one{0, 8, shape, strides}, other{4, 1, {100000}, {8}};
  CHECK(may_overlap(one.footprint(), one.footprint()));
  CHECK(may_overlap(one.footprint(), other.footprint()));
}

TEST_CASE("overlap: as marking every byte finds") {
  std::mt19937 random(7);
  const auto from = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  int overlapping = 0, disjoint = 0;
  for (int n = 0; n < 3000; ++n) {
    Array arrays[2];
    for (Array& array : arrays) {
      array.address = 4000 + from(0, 40);
      array.bytes = std::size_t{1} << from(0, 2);
      for (int axis = from(0, 3); axis > 0; --axis) {
        array.shape.push_back(from(1, 4));
        array.strides.push_back(from(0, 3) == 0 ? from(-30, 30) : 4 * from(-10, 10));
      }
    }
    const bool expected = overlap(arrays[0], arrays[1]);
    (expected ? overlapping : disjoint) += 1;
    CHECK(may_overlap(arrays[0].footprint(), arrays[1].footprint()) == expected);
    CHECK(may_overlap(arrays[1].footprint(), arrays[0].footprint()) == expected);
  }
  CHECK(overlapping > 500);
  CHECK(disjoint > 500);
}

}  // namespace fovea::runtime
