#include <HalideRuntime.h>

#include <algorithm>

#include "runtime/strides.h"
#include "runtime/workspace.h"

namespace fovea::runtime {

namespace {

// As what elements lie in memory (codegen/emit.h).
halide_type_t halide_type(Dtype type) {
  const DtypeRow& of = row(type);
  const auto bits = static_cast<std::uint8_t>(std::max(of.bits, 8));
  if (of.kind == DtypeKind::real && bits == 32) return {halide_type_float, bits};
  const bool is_signed = of.min < 0 && !is_packed(type);
  return {is_signed ? halide_type_int : halide_type_uint, bits};
}

}  // namespace

Lane::Lane(const Program& program, const Workspace& workspace, int index)
    : program_(program),
      workspace_(workspace),
      index_(index),
      blocks_(static_cast<int>(program.buffers.size())) {
  std::vector<Description> wanted;
  for (const Buffer& buffer : program.buffers) wanted.push_back({buffer.type, buffer.shape.size()});
  wanted.push_back({Dtype::I32, 1});  // blocks, any, all
  wanted.push_back({Dtype::Bool, 1});
  wanted.push_back({Dtype::Bool, 1});
  std::vector<int> first_crops;
  std::size_t most_batch = 0;
  for (const Step& step : program.steps) {
    first_crops.push_back(static_cast<int>(wanted.size()));
    for (const int result : workspace.layout().results[first_crops.size() - 1]) {
      wanted.push_back(wanted[static_cast<std::size_t>(result)]);
    }
    if (const Tiled* tiled = step.tiled()) most_batch = std::max(most_batch, tiled->batch.size());
  }
  coordinates.resize(most_batch);
  batch.resize(most_batch);
  make_descriptors(wanted);
  for (std::size_t n = 0; n < program.steps.size(); ++n) {
    Calls calls;
    calls.first_crop = first_crops[n];
    point_all(program.steps[n], calls);
    calls_.push_back(std::move(calls));
  }
}

Lane::~Lane() = default;

void Lane::make_descriptors(std::span<const Description> wanted) {
  std::size_t rank = 0;
  for (const Description& description : wanted) rank += description.rank;
  dims_.resize(2 * rank);
  descriptors_.resize(wanted.size());
  halide_dimension_t* dim = dims_.data();
  for (std::size_t n = 0; n < wanted.size(); ++n) {
    descriptors_[n] = {};
    descriptors_[n].type = halide_type(wanted[n].type);
    descriptors_[n].dimensions = static_cast<std::int32_t>(wanted[n].rank);
    descriptors_[n].dim = dim;
    for (std::size_t d = 0; d < wanted[n].rank; ++d) dim[d].stride = 1;
    dim += 2 * wanted[n].rank;
  }
}

void Lane::point_all(const Step& step, Calls& calls) {
  if (const Plain* plain = step.plain())
    point(plain->call, plain->results, calls.first_crop, calls.step);
  const Tiled* tiled = step.tiled();
  if (!tiled) return;
  point(tiled->prepare, {}, 0, calls.prepare);
  point(tiled->step, {}, 0, calls.step);
  point(tiled->revisit, {}, 0, calls.revisit);
  point(tiled->finish, {}, 0, calls.finish);
  point(tiled->mask.evaluate, {}, 0, calls.evaluate);
  point(tiled->absorb, {}, 0, calls.absorb);
  point(tiled->recall, {}, 0, calls.recall);
}

halide_buffer_t& Lane::descriptor(int index) {
  return descriptors_[static_cast<std::size_t>(index)];
}

void Lane::point(const Call& call, const std::vector<int>& cropped, int first_crop,
                 std::vector<void*>& into) {
  using Kind = Argument::Kind;
  const auto argument_of = [&](const Argument& argument) -> const void* {
    switch (argument.kind) {
      case Kind::buffer: {
        const auto result = std::ranges::find(cropped, argument.index);
        if (result == cropped.end()) return &descriptor(argument.index);
        return &descriptor(first_crop + static_cast<int>(result - cropped.begin()));
      }
      case Kind::size: return &workspace_.number(argument.index);
      case Kind::batch: return &batch[static_cast<std::size_t>(argument.index)];
      case Kind::row: return &row;
      case Kind::blocks: return &descriptor(blocks_);
      case Kind::here: return &here;
      case Kind::clear: return &clear;
      case Kind::any: return &descriptor(blocks_ + 1);
      case Kind::all: return &descriptor(blocks_ + 2);
      case Kind::from: return &from;
    }
    return nullptr;
  };
  into.clear();
  // Functions take void**, and write through none of the numbers.
  for (const Argument& argument : call.arguments)
    into.push_back(const_cast<void*>(argument_of(argument)));
}

void* Lane::data(int buffer) const { return descriptors_[static_cast<std::size_t>(buffer)].host; }

void Lane::describe(int buffer) {
  const Extents& extents = workspace_.buffer(buffer);
  halide_buffer_t& into = descriptor(buffer);
  into.host = static_cast<std::uint8_t*>(extents.data) +
              static_cast<std::size_t>(index_) * extents.lane_step;
  const bool packed = is_packed(program_.buffers[static_cast<std::size_t>(buffer)].type);
  const bool input = program_.buffers[static_cast<std::size_t>(buffer)].role == Buffer::Role::input;
  std::int64_t stride = 1;
  for (std::int32_t d = 0; d < into.dimensions; ++d) {
    std::int64_t extent = extents.shape[static_cast<std::size_t>(into.dimensions - 1 - d)];
    if (packed && d == 0) extent = (extent + 1) / 2;
    into.dim[d] = {0, static_cast<std::int32_t>(extent), 0};
    set_stride(into, d, stride);
    const auto there = static_cast<std::int32_t>(std::max<std::int64_t>(extent, 1));
    if (extents.elements > 0 || static_cast<std::size_t>(d) + 1 < extents.row_rank) {
      stride *= there;
      continue;
    }
    // An empty tensor has one row at all coordinates, and kernels may look into that of an input.
    stride = 0;
    if (input) into.dim[d].extent = there;
  }
}

void Lane::refresh() {
  if (shapes_version_ != workspace_.shapes_version()) {
    for (int buffer = 0; buffer < blocks_; ++buffer) {
      if (workspace_.buffer(buffer).data) describe(buffer);
    }
    shapes_version_ = workspace_.shapes_version();
    data_version_ = workspace_.data_version();
  }
  if (data_version_ == workspace_.data_version()) return;
  for (const Bound& bound : workspace_.bound()) {
    descriptor(bound.buffer).host =
        static_cast<std::uint8_t*>(workspace_.buffer(bound.buffer).data);
  }
  data_version_ = workspace_.data_version();
}

halide_buffer_t& Lane::crop(const Calls& calls, int result) {
  return descriptor(calls.first_crop + result);
}

void Lane::reset_crop(const Calls& calls, int result, int buffer) {
  const halide_buffer_t& whole = descriptor(buffer);
  halide_buffer_t& into = crop(calls, result);
  into.host = whole.host;
  std::copy_n(whole.dim, 2 * whole.dimensions, into.dim);
}

void Lane::narrow(const Calls& calls, int result, int dimension, std::int64_t first,
                  std::int64_t count) {
  halide_buffer_t& into = crop(calls, result);
  const int inner = into.dimensions - 1 - dimension;
  halide_dimension_t& dim = into.dim[inner];
  dim.min += static_cast<std::int32_t>(first);
  dim.extent = static_cast<std::int32_t>(count);
  into.host += first * stride(into, inner) * into.type.bytes();
}

void Lane::set_blocks(const std::int32_t* blocks, std::int32_t count) {
  halide_buffer_t& into = descriptor(blocks_);
  into.host = reinterpret_cast<std::uint8_t*>(const_cast<std::int32_t*>(blocks));
  into.dim[0].extent = count;
}

void Lane::set_decisions(std::uint8_t* any, std::uint8_t* all, std::int32_t blocks) {
  for (int n = 1; n <= 2; ++n) {
    descriptor(blocks_ + n).host = n == 1 ? any : all;
    descriptor(blocks_ + n).dim[0].extent = blocks;
  }
}

Status Lane::call_exact(const Call& call, int step) {
  const auto index = static_cast<std::size_t>(step);
  point(call, workspace_.layout().results[index], calls_[index].first_crop, exact_);
  const int code = call.function(exact_.data());
  if (code == 0) return {};
  return failure(Code::internal, "the exact form of step '", program_.steps[index].name,
                 "' returned ", code);
}

Status Lane::call_exact_but_for_finite(const Call& call, int step) {
  const std::vector<int>& results = workspace_.layout().results[static_cast<std::size_t>(step)];
  const Calls& of_step = calls(step);
  std::vector<std::vector<std::byte>> copies;
  const auto type = [&](std::size_t r) {
    return program_.buffers[static_cast<std::size_t>(results[r])].type;
  };
  for (std::size_t r = 0; r < results.size(); ++r)
    copies.push_back(copy_of(crop(of_step, static_cast<int>(r)), type(r)));
  Status status = call_exact(call, step);
  for (std::size_t r = 0; r < results.size(); ++r)
    put_back_finite(copies[r], crop(of_step, static_cast<int>(r)), type(r));
  return status;
}

}  // namespace fovea::runtime
