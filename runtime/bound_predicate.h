// runtime/bound_predicate.h — a predicate with the sizes and buffers of one run: what can be said
// of it over a whole rectangle of the plane at once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/interval.h"
#include "runtime/program.h"

namespace fovea::runtime {

// A dense buffer, slowest dimension first.
struct BufferRef {
  const void* data;
  Dtype type;
  const std::int64_t* shape;
  int rank;
};

// Least and greatest elements of a buffer over ranges along one dimension, in time that grows with
// the logarithm of the range.
class RangeTable {
 public:
  RangeTable(const BufferRef& buffer, int dimension);
  bool is_of(const BufferRef& buffer, int dimension) const;
  // `offset` is the position of the element 0 along the dimension; the range lies inside.
  Interval range(std::int64_t offset, Interval along) const;

 private:
  struct Bounds {
    std::int32_t low, high;
  };
  struct Level {
    std::int64_t length;         // entries along the dimension
    std::vector<Bounds> bounds;  // [outer][length][inner]
  };
  void scan(int level, std::int64_t outer, std::int64_t inner, Interval along,
            Interval& into) const;

  BufferRef buffer_;
  int dimension_;
  std::int64_t length_, inner_;
  std::vector<Level> levels_;  // above the elements themselves
};
using RangeTables = std::vector<std::shared_ptr<const RangeTable>>;

// Immutable once made. The buffers must stay as they are while it lives.
class BoundPredicate {
 public:
  struct Rectangle {
    std::span<const std::int64_t> batch;  // one coordinate for each batch symbol
    Interval rows, columns;
  };

  // Tables that loads over ranges need are taken from `tables`, or made and added there. An empty
  // predicate is true. One that is not a single well-formed value is unknown.
  BoundPredicate(const Predicate& predicate, std::span<const std::int64_t> symbols,
                 std::span<const BufferRef> buffers, RangeTables& tables);

  // [1, 1] true everywhere in the rectangle, [0, 0] nowhere, else [0, 1].
  Interval operator()(const Rectangle& rectangle) const;

  // Whether it is bound to the same code and data as another.
  bool operator==(const BoundPredicate& other) const;

 private:
  struct Load {
    BufferRef buffer;
    int ranged = -1;  // the dimension that `table` runs along
    std::shared_ptr<const RangeTable> table;
  };
  static constexpr int kStack = 64;
  static constexpr int kRank = 8;  // of buffers that loads look into

  void bind_load(const BufferRef& buffer, std::span<const bool> ranged, RangeTables& tables);
  Interval load(const Load& load, std::span<const Interval> coordinates) const;

  Predicate ops_;  // sizes made constants; the value of a load is an index into loads_
  std::vector<Load> loads_;
};

}  // namespace fovea::runtime
