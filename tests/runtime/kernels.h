// Programs made by hand: sizes, buffers and functions in plain C++ that stand for compiled ones.
#pragma once

#include <HalideRuntime.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "runtime/executor.h"

namespace fovea::runtime {

inline Size number(std::int64_t value) { return {{SizeTerm::Kind::number, value}}; }
inline Size extent(int symbol) { return {{SizeTerm::Kind::symbol, symbol}}; }
inline Size combine(SizeTerm::Kind kind, Size a, const Size& b) {
  a.insert(a.end(), b.begin(), b.end());
  a.push_back({kind, 0});
  return a;
}
inline Argument buffer(int index) { return {Argument::Kind::buffer, index}; }
inline Argument size(int symbol) { return {Argument::Kind::size, symbol}; }
inline Argument batch(int index) { return {Argument::Kind::batch, index}; }
inline constexpr Argument kRow{Argument::Kind::row, 0}, kBlocks{Argument::Kind::blocks, 0},
    kHere{Argument::Kind::here, 0}, kClear{Argument::Kind::clear, 0}, kAny{Argument::Kind::any, 0},
    kAll{Argument::Kind::all, 0};

inline const halide_buffer_t& array(void** arguments, int n) {
  return *static_cast<halide_buffer_t*>(arguments[n]);
}
inline std::int32_t integer(void** arguments, int n) {
  return *static_cast<std::int32_t*>(arguments[n]);
}
// The element at absolute coordinates, slowest first: min is where host points.
template <class T = float>
T& at(const halide_buffer_t& buffer, std::initializer_list<std::int32_t> coordinates) {
  T* place = reinterpret_cast<T*>(buffer.host);
  int d = buffer.dimensions;
  for (const std::int32_t coordinate : coordinates) {
    --d;
    place += static_cast<std::int64_t>(coordinate - buffer.dim[d].min) * buffer.dim[d].stride;
  }
  return *place;
}

// A tensor of the caller's, dense.
template <class T>
struct Numbers {
  std::vector<std::int64_t> shape;
  std::vector<T> data;
  Numbers(std::vector<std::int64_t> extents, T value = T(0)) : shape(std::move(extents)) {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    data.assign(static_cast<std::size_t>(count), value);
  }
  View view(Dtype type = sizeof(T) == 4 ? (T(0.5) != T(0) ? Dtype::F32 : Dtype::I32) : Dtype::U8) {
    return {data.data(), type, shape, {}};
  }
};

inline Buffer input(std::string name, Dtype type, std::vector<Size> shape) {
  return {std::move(name), Buffer::Role::input, type, std::move(shape), -1};
}
inline Buffer output(std::string name, Dtype type, std::vector<Size> shape) {
  return {std::move(name), Buffer::Role::output, type, std::move(shape), -1};
}
inline Buffer stored(std::string name, Dtype type, std::vector<Size> shape, int slot) {
  return {std::move(name), Buffer::Role::stored, type, std::move(shape), slot};
}
inline Buffer scratch(std::string name, Dtype type, std::vector<Size> shape) {
  return {std::move(name), Buffer::Role::scratch, type, std::move(shape), -1};
}
inline Step plain(std::string name, Function function, std::vector<Argument> arguments,
                  std::vector<int> results, bool divisible = false) {
  Step step;
  step.name = std::move(name);
  step.work = Plain{{function, std::move(arguments)}, std::move(results), divisible};
  return step;
}

// c[i, d] = a[i, d] + b[i, d], whatever is cropped of c.
inline int add_arrays(void** arguments) {
  const halide_buffer_t &a = array(arguments, 0), &b = array(arguments, 1),
                        &c = array(arguments, 2);
  for (std::int32_t i = c.dim[1].min; i < c.dim[1].min + c.dim[1].extent; ++i) {
    for (std::int32_t d = 0; d < c.dim[0].extent; ++d)
      at(c, {i, d}) = at(a, {i, d}) + at(b, {i, d});
  }
  return 0;
}

// Axes i and d of f32; c = a + b.
inline Program addition(bool divisible = false) {
  Program program;
  program.symbols = {{"i", {}, -1}, {"d", {}, -1}};
  for (const char* name : {"a", "b"}) {
    program.buffers.push_back(input(name, Dtype::F32, {extent(0), extent(1)}));
  }
  program.buffers.push_back(output("c", Dtype::F32, {extent(0), extent(1)}));
  program.steps = {plain("add", add_arrays, {buffer(0), buffer(1), buffer(2)}, {2}, divisible)};
  return program;
}

}  // namespace fovea::runtime
