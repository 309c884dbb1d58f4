#include "runtime/bound_predicate.h"

#include <array>
#include <functional>

namespace fovea::runtime {
namespace {

using Kind = PredicateOp::Kind;

constexpr std::int64_t kFanOut = 16;
constexpr Interval kNothing{Interval::kHighest, Interval::kLowest};

// Loads over a rectangle of coordinates look at the elements one by one up to this many, enough for
// a block-level layout such as keep[i / 64, j / 64] seen from one block.
constexpr std::int64_t kFewElements = 64;

bool is_loadable(Dtype type) { return !is_float(type) && !is_packed(type); }

std::int32_t element(const BufferRef& buffer, std::int64_t at) {
  switch (buffer.type) {
    case Dtype::I32: return static_cast<const std::int32_t*>(buffer.data)[at];
    case Dtype::U8: return static_cast<const std::uint8_t*>(buffer.data)[at];
    case Dtype::I8: return static_cast<const std::int8_t*>(buffer.data)[at];
    default: return static_cast<const std::uint8_t*>(buffer.data)[at] != 0 ? 1 : 0;
  }
}

std::int64_t product(std::span<const std::int64_t> numbers) {
  std::int64_t result = 1;
  for (const std::int64_t number : numbers) result *= number;
  return result;
}

std::span<const std::int64_t> shape(const BufferRef& buffer) {
  return {buffer.shape, static_cast<std::size_t>(buffer.rank)};
}

Interval clamp(Interval a, std::int64_t extent) {
  return {std::clamp<std::int64_t>(a.low, 0, extent - 1),
          std::clamp<std::int64_t>(a.high, 0, extent - 1)};
}

// How many values an op pops.
int operands(const PredicateOp& op, std::span<const BufferRef> buffers) {
  switch (op.kind) {
    case Kind::constant:
    case Kind::row:
    case Kind::column:
    case Kind::batch:
    case Kind::size:
    case Kind::unknown: return 0;
    case Kind::load: return buffers[static_cast<std::size_t>(op.value)].rank;
    case Kind::neg:
    case Kind::abs:
    case Kind::logical_not: return 1;
    case Kind::select: return 3;
    default: return 2;
  }
}

}  // namespace

RangeTable::RangeTable(const BufferRef& buffer, int dimension)
    : buffer_(buffer), dimension_(dimension) {
  const auto dimensions = shape(buffer);
  const auto at = static_cast<std::size_t>(dimension);
  const std::int64_t outer = product(dimensions.first(at));
  length_ = dimensions[at];
  inner_ = product(dimensions.subspan(at + 1));
  for (std::int64_t below = length_; below > kFanOut;) {
    const int level = static_cast<int>(levels_.size());
    const std::int64_t length = (below + kFanOut - 1) / kFanOut;
    std::vector<Bounds> bounds;
    bounds.reserve(static_cast<std::size_t>(outer * length * inner_));
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t n = 0; n < length; ++n) {
        for (std::int64_t i = 0; i < inner_; ++i) {
          Interval all = kNothing;
          scan(level, o, i, {n * kFanOut, std::min(below, (n + 1) * kFanOut) - 1}, all);
          bounds.push_back(
              {static_cast<std::int32_t>(all.low), static_cast<std::int32_t>(all.high)});
        }
      }
    }
    levels_.push_back({length, std::move(bounds)});
    below = length;
  }
}

bool RangeTable::is_of(const BufferRef& buffer, int dimension) const {
  return buffer_.data == buffer.data && buffer_.type == buffer.type && dimension_ == dimension &&
         std::ranges::equal(shape(buffer_), shape(buffer));
}

// Level 0 is the elements.
void RangeTable::scan(int level, std::int64_t outer, std::int64_t inner, Interval along,
                      Interval& into) const {
  if (level == 0) {
    for (std::int64_t n = along.low; n <= along.high; ++n) {
      into = hull(into, point(element(buffer_, (outer * length_ + n) * inner_ + inner)));
    }
    return;
  }
  const Level& above = levels_[static_cast<std::size_t>(level - 1)];
  for (std::int64_t n = along.low; n <= along.high; ++n) {
    const Bounds& part =
        above.bounds[static_cast<std::size_t>((outer * above.length + n) * inner_ + inner)];
    into = hull(into, {part.low, part.high});
  }
}

Interval RangeTable::range(std::int64_t offset, Interval along) const {
  const std::int64_t outer = offset / (length_ * inner_), inner = offset % inner_;
  Interval result = kNothing;
  for (int level = 0;; ++level) {
    const bool is_top = level == static_cast<int>(levels_.size());
    if (is_top || along.high - along.low < 2 * kFanOut) {
      scan(level, outer, inner, along, result);
      return result;
    }
    const std::int64_t head = (along.low + kFanOut - 1) / kFanOut;  // whole groups: [head, tail)
    const std::int64_t tail = (along.high + 1) / kFanOut;
    scan(level, outer, inner, {along.low, head * kFanOut - 1}, result);
    scan(level, outer, inner, {tail * kFanOut, along.high}, result);
    along = {head, tail - 1};
  }
}

BoundPredicate::BoundPredicate(const Predicate& predicate, std::span<const std::int64_t> symbols,
                               std::span<const BufferRef> buffers, RangeTables& tables) {
  if (predicate.empty()) {
    ops_ = {{Kind::constant, 1}};
    return;
  }
  std::array<bool, kStack> varies{};  // over the rectangle, for each value on the stack
  int depth = 0;
  bool well_formed = true;
  for (const PredicateOp& op : predicate) {
    const int popped = operands(op, buffers);
    well_formed = depth >= popped && depth - popped < kStack;
    if (!well_formed) break;
    depth -= popped;
    const auto first = varies.begin() + depth;
    PredicateOp bound = op;
    if (op.kind == Kind::size)
      bound = {Kind::constant, symbols[static_cast<std::size_t>(op.value)]};
    if (op.kind == Kind::load) {
      bound.value = static_cast<std::int64_t>(loads_.size());
      bind_load(buffers[static_cast<std::size_t>(op.value)],
                {first, static_cast<std::size_t>(popped)}, tables);
    }
    ops_.push_back(bound);
    const bool is_ranged = op.kind == Kind::row || op.kind == Kind::column ||
                           op.kind == Kind::unknown || std::count(first, first + popped, true) > 0;
    varies[static_cast<std::size_t>(depth++)] = is_ranged;
  }
  if (!well_formed || depth != 1) ops_ = {{Kind::unknown, 0}};
}

void BoundPredicate::bind_load(const BufferRef& buffer, std::span<const bool> ranged,
                               RangeTables& tables) {
  Load load{.buffer = buffer, .ranged = -1, .table = nullptr};
  const bool is_readable = buffer.data != nullptr && is_loadable(buffer.type) &&
                           buffer.rank <= kRank && product(shape(buffer)) > 0;
  if (!is_readable) load.buffer.data = nullptr;
  if (is_readable && std::ranges::count(ranged, true) == 1) {
    load.ranged = static_cast<int>(std::ranges::find(ranged, true) - ranged.begin());
    const auto found = std::ranges::find_if(
        tables, [&](const auto& table) { return table->is_of(buffer, load.ranged); });
    if (found == tables.end()) {
      load.table = std::make_shared<const RangeTable>(buffer, load.ranged);
      tables.push_back(load.table);
    } else {
      load.table = *found;
    }
  }
  loads_.push_back(std::move(load));
}

Interval BoundPredicate::load(const Load& load, std::span<const Interval> coordinates) const {
  const Interval unknown = load.buffer.type == Dtype::Bool ? kMaybe : kAnything;
  if (load.buffer.data == nullptr) return unknown;
  // The offset of the rectangle's first element, and its extents and strides from the last
  // dimension.
  std::array<std::int64_t, kRank> extent, stride, at{};
  std::int64_t offset = 0, step = 1, count = 1;
  const int rank = load.buffer.rank;
  for (int d = rank - 1; d >= 0; --d) {
    const auto k = static_cast<std::size_t>(d);
    const Interval inside = clamp(coordinates[k], load.buffer.shape[d]);
    if (d == load.ranged) {
      extent[k] = 1;
      count = 1;
    } else {
      offset += inside.low * step;
      extent[k] = inside.high - inside.low + 1;
    }
    stride[k] = step;
    step *= load.buffer.shape[d];
    if (count <= kFewElements) count *= extent[k];
  }
  if (load.table != nullptr) {
    const auto k = static_cast<std::size_t>(load.ranged);
    return load.table->range(offset, clamp(coordinates[k], load.buffer.shape[load.ranged]));
  }
  if (count > kFewElements) return unknown;
  Interval result = kNothing;
  for (std::int64_t n = 0; n < count; ++n) {
    result = hull(result, point(element(load.buffer, offset)));
    for (int d = rank - 1; d >= 0; --d) {
      const auto k = static_cast<std::size_t>(d);
      offset += stride[k];
      if (++at[k] < extent[k]) break;
      offset -= stride[k] * extent[k];
      at[k] = 0;
    }
  }
  return result;
}

bool BoundPredicate::operator==(const BoundPredicate& other) const {
  const auto same_op = [](const PredicateOp& a, const PredicateOp& b) {
    return a.kind == b.kind && a.value == b.value;
  };
  const auto same_load = [](const Load& a, const Load& b) {
    return a.buffer.data == b.buffer.data && a.buffer.type == b.buffer.type &&
           a.ranged == b.ranged && std::ranges::equal(shape(a.buffer), shape(b.buffer));
  };
  return std::ranges::equal(ops_, other.ops_, same_op) &&
         std::ranges::equal(loads_, other.loads_, same_load);
}

// One flat switch: this runs some thirty times to a row tile, and is seen in the profile of narrow
// windows.
Interval BoundPredicate::operator()(const Rectangle& rectangle) const {
  std::array<Interval, kStack> stack;
  Interval* top = stack.data();  // one past the last value
  const auto push = [&](Interval value) { *top++ = value; };
  const auto binary = [&](auto op) {
    --top;
    top[-1] = op(top[-1], top[0]);
  };
  const auto wrapping = [&](auto op) {
    binary(op);
    top[-1] = wrapped(top[-1]);
  };
  for (const PredicateOp& op : ops_) {
    switch (op.kind) {
      case Kind::constant:
      case Kind::size: push(point(op.value)); break;
      case Kind::row: push(rectangle.rows); break;
      case Kind::column: push(rectangle.columns); break;
      case Kind::batch: push(point(rectangle.batch[static_cast<std::size_t>(op.value)])); break;
      case Kind::unknown: push(kMaybe); break;
      case Kind::load: {
        const Load& from = loads_[static_cast<std::size_t>(op.value)];
        top -= from.buffer.rank;
        push(load(from, {top, static_cast<std::size_t>(from.buffer.rank)}));
        break;
      }
      case Kind::neg: top[-1] = wrapped(-top[-1]); break;
      case Kind::abs: top[-1] = wrapped(absolute(top[-1])); break;
      case Kind::logical_not: top[-1] = logical_not(top[-1]); break;
      case Kind::select:
        top -= 2;
        top[-1] = select(top[-1], top[0], top[1]);
        break;
      case Kind::add: wrapping(std::plus<>()); break;
      case Kind::sub: wrapping(std::minus<>()); break;
      case Kind::mul: wrapping(std::multiplies<>()); break;
      case Kind::div: wrapping(divide); break;
      case Kind::mod: binary(modulo); break;
      case Kind::min: binary(minimum); break;
      case Kind::max: binary(maximum); break;
      case Kind::lt: binary(less); break;
      case Kind::le: binary(less_equal); break;
      case Kind::eq: binary(equal); break;
      case Kind::ne: binary(not_equal); break;
      case Kind::logical_and: binary(logical_and); break;
      case Kind::logical_or: binary(logical_or); break;
    }
  }
  return truth(stack[0].certainly_true(), !stack[0].certainly_false());
}

}  // namespace fovea::runtime
