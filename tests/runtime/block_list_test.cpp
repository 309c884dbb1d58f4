#include "runtime/block_list.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

namespace fovea::runtime {
namespace {

using Kind = PredicateOp::Kind;

// Predicates are written as sums of parts.
Predicate operator+(Predicate a, const Predicate& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
Predicate one(Kind kind, std::int64_t value = 0) { return {{kind, value}}; }
const Predicate kRow = one(Kind::row), kColumn = one(Kind::column);
Predicate number(std::int64_t value) { return one(Kind::constant, value); }
Predicate apply(Kind kind, const Predicate& a, const Predicate& b) { return a + b + one(kind); }
Predicate both(const Predicate& a, const Predicate& b) { return apply(Kind::logical_and, a, b); }
Predicate load(std::int64_t buffer, const Predicate& at) { return at + one(Kind::load, buffer); }
Predicate causal() { return apply(Kind::le, kColumn, kRow); }
Predicate window(std::int64_t width) {
  return both(causal(), apply(Kind::lt, apply(Kind::sub, kRow, kColumn), number(width)));
}

struct Buffers {
  std::vector<std::vector<std::int32_t>> data;
  std::vector<std::vector<std::int64_t>> shapes;

  std::vector<BufferRef> refs() const {
    std::vector<BufferRef> result;
    for (std::size_t n = 0; n < data.size(); ++n) {
      result.push_back(
          {data[n].data(), Dtype::I32, shapes[n].data(), static_cast<int>(shapes[n].size())});
    }
    return result;
  }
};

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(std::floor(static_cast<double>(a) / static_cast<double>(b)));
}

// What the bytecode means at one point; the definition that intervals must agree with. Moved from
// point to point it allocates nothing, which sanitizers make dear.
struct Point {
  std::vector<std::int64_t> batch, symbols;
  const Buffers& buffers;
  std::int64_t row = 0, column = 0;
  std::vector<std::int64_t> stack = {};

  std::int64_t load(std::int64_t n) {
    const auto& shape = buffers.shapes[static_cast<std::size_t>(n)];
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      const std::int64_t at = stack[stack.size() - shape.size() + d];
      offset = offset * shape[d] + std::clamp<std::int64_t>(at, 0, shape[d] - 1);
    }
    stack.resize(stack.size() - shape.size());
    return buffers.data[static_cast<std::size_t>(n)][static_cast<std::size_t>(offset)];
  }

  std::int64_t operator()(const Predicate& predicate) {
    stack.clear();
    const auto pop = [&] {
      const std::int64_t value = stack.back();
      stack.pop_back();
      return value;
    };
    for (const PredicateOp& op : predicate) {
      switch (op.kind) {
        case Kind::constant: stack.push_back(op.value); continue;
        case Kind::row: stack.push_back(row); continue;
        case Kind::column: stack.push_back(column); continue;
        case Kind::batch: stack.push_back(batch[static_cast<std::size_t>(op.value)]); continue;
        case Kind::size: stack.push_back(symbols[static_cast<std::size_t>(op.value)]); continue;
        case Kind::load: stack.push_back(load(op.value)); continue;
        case Kind::neg: stack.back() = -stack.back(); continue;
        case Kind::abs: stack.back() = std::abs(stack.back()); continue;
        case Kind::logical_not: stack.back() = stack.back() == 0; continue;
        default: break;
      }
      const std::int64_t b = pop(), a = pop();
      switch (op.kind) {
        case Kind::add: stack.push_back(a + b); break;
        case Kind::sub: stack.push_back(a - b); break;
        case Kind::mul: stack.push_back(a * b); break;
        case Kind::div: stack.push_back(floor_div(a, b)); break;
        case Kind::mod: stack.push_back(a - floor_div(a, b) * b); break;
        case Kind::min: stack.push_back(std::min(a, b)); break;
        case Kind::max: stack.push_back(std::max(a, b)); break;
        case Kind::lt: stack.push_back(a < b); break;
        case Kind::le: stack.push_back(a <= b); break;
        case Kind::eq: stack.push_back(a == b); break;
        case Kind::ne: stack.push_back(a != b); break;
        case Kind::logical_and: stack.push_back(a != 0 && b != 0); break;
        case Kind::logical_or: stack.push_back(a != 0 || b != 0); break;
        case Kind::select: {
          const std::int64_t condition = pop();
          stack.push_back(condition != 0 ? a : b);
          break;
        }
        default: FAIL("not a point operation");
      }
    }
    return stack.back();
  }
};

struct Plane {
  std::int64_t rows, columns;
  int row_tile = 48, column_block = 96;
  std::int64_t batches = 1;
  Predicate visible, solid;
  Buffers buffers = {};
  bool has_evaluator = false;

  std::vector<std::int64_t> symbols() const { return {rows, columns, batches}; }
  Tiled step() const {
    Tiled step;
    step.batch = {2};
    step.rows = 0;
    step.columns = 1;
    step.row_tile = row_tile;
    step.column_block = column_block;
    step.mask.visible = visible;
    step.mask.solid = solid;
    if (has_evaluator) step.mask.evaluate.function = [](void**) { return 0; };
    return step;
  }
  std::int64_t blocks() const { return (columns + column_block - 1) / column_block; }
};

// Per block of one row tile, by brute force.
struct Truth {
  std::vector<std::uint8_t> any, all;
};

Truth brute_force(const Plane& plane, std::int64_t batch, std::int64_t row) {
  const auto blocks = static_cast<std::size_t>(plane.blocks());
  Truth truth{std::vector<std::uint8_t>(blocks, 0), std::vector<std::uint8_t>(blocks, 1)};
  Point point{{batch}, plane.symbols(), plane.buffers};
  for (point.row = row; point.row < std::min(row + plane.row_tile, plane.rows); ++point.row) {
    for (point.column = 0; point.column < plane.columns; ++point.column) {
      const bool visible = plane.visible.empty() || point(plane.visible) != 0;
      const bool solid = plane.solid.empty() || point(plane.solid) != 0;
      const auto block = static_cast<std::size_t>(point.column / plane.column_block);
      truth.any[block] |= visible ? 1 : 0;
      truth.all[block] &= visible && solid ? 1 : 0;
    }
  }
  return truth;
}

bool is_ascending(std::span<const std::int32_t> blocks) {
  return std::ranges::adjacent_find(blocks, std::greater_equal<>()) == blocks.end();
}

// Checks every list of the plane against brute force. Where `tight`, exactly the blocks that have
// something visible are listed and exactly the full ones are clear.
void check(const Plane& plane, bool tight) {
  const Tiled step = plane.step();
  const auto symbols = plane.symbols();
  const auto refs = plane.buffers.refs();
  const BlockLister lister(Program{}, step, symbols, refs);
  BlockList list;
  for (std::int64_t b = 0; b < plane.batches; ++b) {
    for (std::int64_t row = 0; row < plane.rows; row += plane.row_tile) {
      const Truth truth = brute_force(plane, b, row);
      int asked = 0;
      const auto evaluate = [&](std::uint8_t* any, std::uint8_t* all) {
        ++asked;
        std::ranges::copy(truth.any, any);
        std::ranges::copy(truth.all, all);
      };
      lister.list({&b, 1}, row, evaluate, list);
      CHECK(asked <= (plane.has_evaluator ? 1 : 0));
      const std::span<const std::int32_t> blocks(list.blocks);
      const auto clear = blocks.first(static_cast<std::size_t>(list.clear));
      const auto masked = blocks.subspan(static_cast<std::size_t>(list.clear));
      REQUIRE(is_ascending(clear));
      REQUIRE(is_ascending(masked));
      for (std::int32_t n = 0; n < plane.blocks(); ++n) {
        const bool is_clear = std::ranges::find(clear, n) != clear.end();
        const bool is_masked = std::ranges::find(masked, n) != masked.end();
        CAPTURE(row);
        CAPTURE(n);
        const auto k = static_cast<std::size_t>(n);
        if (truth.any[k] != 0) REQUIRE((is_clear || is_masked));
        REQUIRE(!(is_clear && is_masked));
        if (is_clear) REQUIRE(truth.all[k] != 0);
        if (tight) REQUIRE((is_clear || is_masked) == (truth.any[k] != 0));
        if (tight) REQUIRE(is_clear == (truth.all[k] != 0));
      }
    }
  }
}

Plane masked_by(std::int64_t rows, std::int64_t columns, const Predicate& condition) {
  return {.rows = rows, .columns = columns, .visible = condition, .solid = condition};
}

std::vector<std::int32_t> list_of(const Plane& plane, std::int64_t row, BlockList& list) {
  const auto refs = plane.buffers.refs();
  const auto symbols = plane.symbols();
  const BlockLister lister(Program{}, plane.step(), symbols, refs);
  const std::int64_t batch = 0;
  lister.list(
      {&batch, 1}, row, [](std::uint8_t*, std::uint8_t*) {}, list);
  return list.blocks;
}

TEST_CASE("without predicates every block is visited and clear") {
  BlockList list;
  const Plane plane{.rows = 50, .columns = 200, .visible = {}, .solid = {}};
  CHECK(list_of(plane, 0, list) == std::vector<std::int32_t>{0, 1, 2});
  CHECK(list.clear == 3);
}

TEST_CASE("an empty plane has no blocks") {
  BlockList list;
  CHECK(list_of(masked_by(5, 0, causal()), 0, list).empty());
  CHECK(list_of(masked_by(0, 5, causal()), 0, list).empty());
}

TEST_CASE("clear blocks come first") {
  BlockList list;
  Plane plane = masked_by(1000, 1000, window(300));
  CHECK(list_of(plane, 576, list) == std::vector<std::int32_t>{4, 5, 2, 3, 6});
  CHECK(list.clear == 2);
}

TEST_CASE("visible without solid needs a mask everywhere") {
  BlockList list;
  const Plane plane{.rows = 50, .columns = 200, .visible = {}, .solid = number(0)};
  CHECK(list_of(plane, 0, list) == std::vector<std::int32_t>{0, 1, 2});
  CHECK(list.clear == 0);
}

TEST_CASE("index predicates are listed tightly on any size") {
  for (const std::int64_t rows : {1, 7, 48, 129, 300}) {
    for (const std::int64_t columns : {1, 96, 97, 300}) {
      CAPTURE(rows);
      CAPTURE(columns);
      check(masked_by(rows, columns, causal()), true);
      check(masked_by(rows, columns, window(100)), true);
      const Predicate past = apply(Kind::sub, one(Kind::size, 1), one(Kind::size, 0));
      check(masked_by(rows, columns, apply(Kind::le, kColumn, apply(Kind::add, kRow, past))), true);
      const Predicate within =
          apply(Kind::lt, apply(Kind::sub, kRow, kColumn) + one(Kind::abs), number(60));
      check(masked_by(rows, columns, within), true);
      const Predicate sink = apply(Kind::lt, kColumn, number(4));
      check(masked_by(rows, columns, apply(Kind::logical_or, sink, window(50))), true);
      check(masked_by(rows, columns, causal() + one(Kind::logical_not)), true);
      const Predicate dilated = apply(Kind::lt, apply(Kind::mod, kColumn, number(192)), number(96));
      check(masked_by(rows, columns, dilated), true);
      const Predicate blocks = apply(Kind::eq, apply(Kind::div, kRow, number(64)),
                                     apply(Kind::div, kColumn, number(64)));
      check(masked_by(rows, columns, blocks), true);
    }
  }
}

TEST_CASE("documents and lengths are listed tightly") {
  std::mt19937 random(1);
  for (int trial = 0; trial < 5; ++trial) {
    const auto size = static_cast<std::int64_t>(1 + random() % 500);
    Buffers buffers;
    buffers.shapes = {{size}, {3}, {3, size}, {size, 3}};
    buffers.data = {{},
                    {0, static_cast<std::int32_t>(size / 2), static_cast<std::int32_t>(size)},
                    {},
                    std::vector<std::int32_t>(static_cast<std::size_t>(3 * size))};
    for (int b = 0; b < 3; ++b) {
      std::int32_t document = 0;
      for (std::int64_t n = 0; n < size; ++n) {
        if (random() % 40 == 0) document += static_cast<std::int32_t>(1 + random() % 3);
        if (b == 0) buffers.data[0].push_back(document);
        buffers.data[2].push_back(document);
        buffers.data[3][static_cast<std::size_t>(3 * n + b)] = document;
      }
    }
    const Predicate batch = one(Kind::batch, 0);
    const Predicate same = apply(Kind::eq, load(0, kRow), load(0, kColumn));
    const Predicate length = apply(Kind::lt, kColumn, load(1, batch));
    const Predicate outer = apply(Kind::eq, load(2, batch + kRow), load(2, batch + kColumn));
    const Predicate inner = apply(Kind::eq, load(3, kRow + batch), load(3, kColumn + batch));
    for (const Predicate& condition : {same, both(same, causal()), length, both(length, causal()),
                                       outer, both(outer, causal()), inner}) {
      Plane plane = masked_by(size, size, condition);
      plane.buffers = buffers;
      plane.batches = 3;
      check(plane, true);
    }
  }
}

TEST_CASE("a layout of blocks is read block by block") {
  Buffers buffers{.data = {{1, 0, 0, 1, 1, 0, 0, 1, 1}}, .shapes = {{3, 3}}};
  Plane plane = masked_by(
      300, 300,
      load(0, apply(Kind::div, kRow, number(100)) + apply(Kind::div, kColumn, number(100))));
  plane.buffers = buffers;
  plane.row_tile = 50;
  plane.column_block = 50;
  check(plane, true);
}

TEST_CASE("narrow types are read as their numbers") {
  const std::vector<std::int8_t> signs{-1, 5};
  const std::vector<std::uint8_t> bytes{200, 0};
  const std::int64_t two = 2;
  const std::vector<BufferRef> refs{{signs.data(), Dtype::I8, &two, 1},
                                    {bytes.data(), Dtype::U8, &two, 1},
                                    {bytes.data(), Dtype::Bool, &two, 1}};
  const std::vector<std::int64_t> symbols{1, 2};
  const auto value = [&](const Predicate& predicate, std::int64_t column) {
    RangeTables tables;
    return BoundPredicate(predicate, symbols, refs, tables)({{}, {0, 0}, {column, column}});
  };
  CHECK(value(apply(Kind::eq, load(0, kColumn), number(-1)), 0) == point(1));
  CHECK(value(apply(Kind::eq, load(1, kColumn), number(200)), 0) == point(1));
  CHECK(value(apply(Kind::eq, load(2, kColumn), number(1)), 0) == point(1));
  CHECK(value(load(2, kColumn), 1) == point(0));
}

TEST_CASE("what intervals leave open is evaluated once, and only that") {
  Plane plane{.rows = 500, .columns = 500, .visible = {}, .solid = {}, .has_evaluator = true};
  // Unsorted ids: intervals decide little.
  std::mt19937 random(2);
  plane.buffers.shapes = {{500}};
  plane.buffers.data.emplace_back();
  for (int n = 0; n < 500; ++n) plane.buffers.data[0].push_back(static_cast<int>(random() % 200));
  plane.visible = plane.solid = apply(Kind::eq, load(0, kRow), load(0, kColumn));
  check(plane, true);
  plane.visible = plane.solid = both(causal(), plane.visible);
  check(plane, true);

  const Plane decided{
      .rows = 500, .columns = 500, .visible = {}, .solid = number(0), .has_evaluator = true};
  const BlockLister lister(Program{}, decided.step(), decided.symbols(), {});
  BlockList list;
  const std::int64_t batch = 0;
  bool asked = false;
  lister.list(
      {&batch, 1}, 0, [&](std::uint8_t*, std::uint8_t*) { asked = true; }, list);
  CHECK_FALSE(asked);
  CHECK(list.blocks.size() == 6);
}

TEST_CASE("without an evaluator the unknown is visited with its mask") {
  BlockList list;
  const Predicate half = both(apply(Kind::lt, kColumn, number(96)), one(Kind::unknown));
  CHECK(list_of(masked_by(48, 500, half), 0, list) == std::vector<std::int32_t>{0});
  CHECK(list.clear == 0);
}

TEST_CASE("too deep a predicate is unknown") {
  BlockList list;
  Predicate deep;
  for (int n = 0; n < 100; ++n) deep = deep + number(0);
  for (int n = 1; n < 100; ++n) deep = deep + one(Kind::add);
  CHECK(list_of(masked_by(48, 96, deep), 0, list).size() == 1);
  CHECK(list.clear == 0);
}

TEST_CASE("time follows the visited blocks, not the plane") {
  const std::int64_t size = 262144;
  Plane plane = masked_by(size, size, window(256));
  const BlockLister lister(Program{}, plane.step(), plane.symbols(), {});
  BlockList list;
  std::int64_t evaluations = 0, visited = 0;
  const std::int64_t batch = 0;
  for (std::int64_t row = 0; row < size; row += plane.row_tile) {
    lister.list(
        {&batch, 1}, row, [](std::uint8_t*, std::uint8_t*) {}, list);
    evaluations += list.evaluations;
    visited += static_cast<std::int64_t>(list.blocks.size());
  }
  const std::int64_t tiles = (size + plane.row_tile - 1) / plane.row_tile;
  CHECK(visited <= 5 * tiles);
  CHECK(evaluations <= 60 * tiles);  // of 2731 blocks each

  plane = masked_by(1, size, causal());
  BlockList all;
  plane.visible = plane.solid = apply(Kind::lt, kColumn, number(size - 1));
  CHECK(list_of(plane, 0, all).size() == 2731);
  CHECK(all.evaluations <= 40);
}

TEST_CASE("a list that is reused stops allocating") {
  const Plane plane = masked_by(960, 960, causal());
  const BlockLister lister(Program{}, plane.step(), plane.symbols(), {});
  BlockList list;
  const std::int64_t batch = 0;
  lister.list(
      {&batch, 1}, 912, [](std::uint8_t*, std::uint8_t*) {}, list);
  const auto* blocks = list.blocks.data();
  const auto* candidates = list.candidates.data();
  for (std::int64_t row = 0; row < 960; row += 48) {
    lister.list(
        {&batch, 1}, row, [](std::uint8_t*, std::uint8_t*) {}, list);
  }
  CHECK(list.blocks.data() == blocks);
  CHECK(list.candidates.data() == candidates);
}

class RandomPredicate {
 public:
  explicit RandomPredicate(std::uint32_t seed) : random_(seed) {}
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n));
  }

  Predicate integer(int depth) {
    switch (below(depth > 0 ? 11 : 5)) {
      case 0: return kRow;
      case 1: return kColumn;
      case 2: return number(below(200) - 60);
      case 3: return one(Kind::batch, 0);
      case 4: return one(Kind::size, below(2));
      case 5: return load(0, integer(depth - 1));
      case 6: return load(1, one(Kind::batch, 0) + integer(depth - 1));
      case 7: return apply(Kind::div, integer(depth - 1), divisor());
      case 8: return apply(Kind::mod, integer(depth - 1), divisor());
      case 9: return integer(depth - 1) + one(below(2) == 0 ? Kind::neg : Kind::abs);
      default: {
        constexpr Kind kinds[] = {Kind::add, Kind::sub, Kind::mul, Kind::min, Kind::max};
        return apply(kinds[below(5)], integer(depth - 1), integer(depth - 1));
      }
    }
  }
  Predicate divisor() {
    if (below(4) == 0) return apply(Kind::max, integer(1), number(1 + below(9)));
    const std::int64_t value = below(100) + 1;
    return number(below(4) == 0 ? -value : value);
  }
  Predicate boolean(int depth) {
    switch (below(depth > 0 ? 8 : 4)) {
      case 4: return apply(Kind::logical_and, boolean(depth - 1), boolean(depth - 1));
      case 5: return apply(Kind::logical_or, boolean(depth - 1), boolean(depth - 1));
      case 6: return boolean(depth - 1) + one(Kind::logical_not);
      case 7:
        return boolean(depth - 1) + boolean(depth - 1) + boolean(depth - 1) + one(Kind::select);
      default: {
        constexpr Kind kinds[] = {Kind::lt, Kind::le, Kind::eq, Kind::ne};
        return apply(kinds[below(4)], integer(2), integer(2));
      }
    }
  }

 private:
  std::mt19937 random_;
};

TEST_CASE("random predicates never lose a visible element nor a mask") {
  for (std::uint32_t seed = 0; seed < 150; ++seed) {
    CAPTURE(seed);
    RandomPredicate random(seed);
    const std::int64_t rows = 1 + random.below(90), columns = 1 + random.below(150);
    Plane plane{.rows = rows,
                .columns = columns,
                .row_tile = static_cast<int>(1 + random.below(20)),
                .column_block = static_cast<int>(1 + random.below(20)),
                .batches = 1 + random.below(3),
                .visible = random.boolean(2),
                .solid = random.boolean(1),
                .has_evaluator = random.below(3) == 0};
    plane.buffers.shapes = {{1 + random.below(100)}, {plane.batches, columns}};
    for (const auto& shape : plane.buffers.shapes) {
      const std::int64_t count = shape[0] * (shape.size() > 1 ? shape[1] : 1);
      auto& data = plane.buffers.data.emplace_back();
      for (std::int64_t n = 0; n < count; ++n) {
        data.push_back(static_cast<std::int32_t>(n / 7 + random.below(9)));
      }
    }
    check(plane, false);
  }
}

TEST_CASE("a range beyond 32 bits wraps around, or is anything") {
  constexpr std::int64_t kRound = std::int64_t{1} << 32;
  CHECK(wrapped({-5, 7}) == Interval{-5, 7});
  CHECK(wrapped({kAnyI32.high + 1, kAnyI32.high + 3}) == Interval{kAnyI32.low, kAnyI32.low + 2});
  CHECK(wrapped({-3 * kRound - 1, -3 * kRound + 1}) == Interval{-1, 1});
  CHECK(wrapped({kAnyI32.high, kAnyI32.high + 1}) == kAnyI32);
  CHECK(wrapped({0, kRound}) == kAnyI32);
  CHECK(wrapped(kAnything) == kAnyI32);
}

TEST_CASE("arithmetic saturates at 64 bits") {
  const Interval top = point(Interval::kHighest), bottom = point(Interval::kLowest);
  CHECK(top + point(1) == top);
  CHECK(bottom - point(1) == bottom);
  CHECK(top * point(-2) == bottom);
  CHECK(divide(bottom, point(-1)) == top);
  CHECK(-bottom == top);
  CHECK(absolute({Interval::kLowest, 3}) == Interval{0, Interval::kHighest});
  CHECK(divide({5, 6}, {-1, 1}) == kAnything);
  CHECK(modulo({-3, -1}, point(5)) == Interval{2, 4});
  CHECK(modulo({64, 127}, point(64)) == Interval{0, 63});
  CHECK(modulo({70, 80}, point(64)) == Interval{6, 16});
  CHECK(modulo({1, 2}, point(-5)) == Interval{-4, -3});
  CHECK(modulo({3, 4}, {5, 9}) == Interval{3, 4});
}

}  // namespace
}  // namespace fovea::runtime
