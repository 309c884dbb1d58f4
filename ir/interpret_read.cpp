// Reading at other coordinates.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "ir/checks.h"
#include "ir/infer.h"
#include "ir/interpret_machine.h"
#include "ir/query.h"
#include "ir/require.h"

namespace fovea::ir {

// One Read while it is evaluated: where its coordinates come from, and what the present block
// found.
struct Machine::Reading {
  struct Coordinate {
    AxisId axis;
    bool checked;  // of a ragged axis: outside is the user's error where the result has an element
    Source where;
    std::optional<Source> otherwise;
    const double* at = nullptr;
  };
  int value;
  std::vector<Coordinate> coordinates;
  std::vector<Loop> loops;  // of the array, along the axes that are not substituted
  Live live;
  std::vector<std::int64_t> address;
  std::vector<int> outside;  // the first coordinate that is, or -1
  std::int64_t start = 0;
  std::size_t count = 0;
};

namespace {

// The offsets of a block's points in an array, along the axes that keep their coordinates.
void load_addresses(const std::vector<Loop>& loops, std::int64_t start, std::size_t count,
                    std::vector<std::int64_t>& address) {
  address.resize(count);
  for_runs(loops, start, count,
           [&](std::int64_t offset, std::int64_t stride, std::size_t position, std::size_t run) {
             for (std::size_t n = position; n < position + run; ++n, offset += stride) {
               address[n] = offset;
             }
           });
}

std::vector<std::int64_t> without(std::vector<std::int64_t> stride, const Read& op) {
  for (const Read::Coordinate& at : op.at) stride[static_cast<std::size_t>(at.axis)] = 0;
  return stride;
}

}  // namespace

void Machine::evaluate_read(int v, const Read& op) {
  allocate(v, 0);
  const Value& value = this->value(v);
  Reading reading{v, {}, {}, live(value.domain), {}, {}};
  reading.loops = make_loops(value.domain, local_, without(view(value.inputs[0]).stride, op));
  std::size_t next = 1;
  for (const Read::Coordinate& at : op.at) {
    const int where = value.inputs[next++];
    const bool checked =
        checked_[static_cast<std::size_t>(this->value(where).node)] && !at.otherwise;
    const bool ends_by_degree = plan_.degrees[static_cast<std::size_t>(at.axis)] >= 0;
    if (checked && !ends_by_degree) check_inside(v, where, at.axis);
    Reading::Coordinate coordinate{at.axis, checked && ends_by_degree, source(where, value.domain),
                                   std::nullopt};
    if (at.otherwise) coordinate.otherwise = source(value.inputs[next++], value.domain);
    reading.coordinates.push_back(std::move(coordinate));
  }
  const std::int64_t total = points(value.domain);
  for (std::int64_t start = 0; start < total; start += static_cast<std::int64_t>(kBlock)) {
    const std::size_t count =
        static_cast<std::size_t>(std::min(total - start, static_cast<std::int64_t>(kBlock)));
    read_block(reading, start, count, slot(v).own.data() + start);
  }
}

// All of a coordinate's elements must be inside, also where the result, with axes of its own, has
// none.
void Machine::check_inside(int read, int where, AxisId axis) {
  const std::vector<AxisId>& domain = value(where).axes;
  Live alive = live(domain);
  Source source = this->source(where, domain);
  const std::int64_t total = points(domain), extent = local(axis);
  for (std::int64_t start = 0; start < total; start += static_cast<std::int64_t>(kBlock)) {
    const std::size_t count =
        static_cast<std::size_t>(std::min(total - start, static_cast<std::int64_t>(kBlock)));
    const double* at = source.load(start, count);
    const std::vector<char>& is_live = alive.load(start, count);
    for (std::size_t n = 0; n < count; ++n)
      if (is_live[n] != 0 && !(at[n] >= 0 && at[n] < static_cast<double>(extent)))
        fail_outside(read, axis, at[n], extent);
  }
}

void Machine::read_block(Reading& reading, std::int64_t start, std::size_t count, double* out) {
  reading.start = start;
  reading.count = count;
  reading.outside.assign(count, -1);
  load_addresses(reading.loops, start, count, reading.address);
  const View& x = view(value(reading.value).inputs[0]);
  for (std::size_t c = 0; c < reading.coordinates.size(); ++c) {
    Reading::Coordinate& coordinate = reading.coordinates[c];
    coordinate.at = coordinate.where.load(start, count);
    const std::int64_t extent = local(coordinate.axis);
    const std::int64_t stride = x.stride[static_cast<std::size_t>(coordinate.axis)];
    for (std::size_t n = 0; n < count; ++n) {
      const double at = coordinate.at[n];
      if (at >= 0 && at < static_cast<double>(extent)) {
        reading.address[n] += static_cast<std::int64_t>(at) * stride;
      } else {
        leave(reading, c, n, at, extent);
      }
    }
  }
  limit_ragged(reading, start, count);
  for (std::size_t n = 0; n < count; ++n) {
    if (reading.outside[n] < 0) out[n] = x.data[reading.address[n]];
  }
  for (std::size_t c = 0; c < reading.coordinates.size(); ++c) {
    if (!reading.coordinates[c].otherwise) continue;
    const double* otherwise = reading.coordinates[c].otherwise->load(start, count);
    for (std::size_t n = 0; n < count; ++n) {
      if (reading.outside[n] == static_cast<int>(c)) out[n] = otherwise[n];
    }
  }
}

// Along a ragged axis the end is the degree at the place that is read.
void Machine::limit_ragged(Reading& reading, std::int64_t start, std::size_t count) {
  const Read& op = std::get<Read>(graph_.node(value(reading.value).node).op);
  std::vector<std::int64_t> address;
  for (std::size_t c = 0; c < reading.coordinates.size(); ++c) {
    const AxisId axis = reading.coordinates[c].axis;
    const int degree = plan_.degrees[static_cast<std::size_t>(axis)];
    if (degree < 0) continue;
    const View& ends = view(degree);
    load_addresses(make_loops(value(reading.value).domain, local_, without(ends.stride, op)), start,
                   count, address);
    for (std::size_t n = 0; n < count; ++n) {
      if (reading.outside[n] >= 0) continue;
      for (const Reading::Coordinate& other : reading.coordinates) {
        address[n] += static_cast<std::int64_t>(other.at[n]) *
                      ends.stride[static_cast<std::size_t>(other.axis)];
      }
      const double end = ends.data[address[n]];
      const double at = reading.coordinates[c].at[n];
      if (!(at < end)) leave(reading, c, n, at, static_cast<std::int64_t>(end));
    }
  }
}

void Machine::leave(Reading& reading, std::size_t coordinate, std::size_t at, double found,
                    std::int64_t extent) {
  if (reading.outside[at] < 0) reading.outside[at] = static_cast<int>(coordinate);
  const Reading::Coordinate& of = reading.coordinates[coordinate];
  if (of.checked && reading.live.load(reading.start, reading.count)[at] != 0)
    fail_outside(reading.value, of.axis, found, extent);
}

void Machine::fail_outside(int read, AxisId axis, double found, std::int64_t extent) const {
  const Known known{graph_.axes, graph_.nodes};
  const Node& node = graph_.node(value(read).node);
  const std::vector<Read::Coordinate>& all = std::get<Read>(node.op).at;
  std::size_t input = 1;
  for (std::size_t n = 0; all[n].axis != axis; ++n) input += all[n].otherwise ? 2 : 1;
  const auto* own = input_of(graph_.node(node.inputs[input]));
  fail(
      Code::out_of_bounds,
      "a read of {} is at {} along axis {}{}; expected 0 to {}, or a value for outside with 'else'",
      known.call(node.inputs[0]), static_cast<std::int64_t>(found), known.axis(axis).name,
      own ? fmt::format(" (from input '{}')", own->name) : from_inputs(graph_, node.inputs[input]),
      extent - 1);
}

}  // namespace fovea::ir
