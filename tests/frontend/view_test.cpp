#include "fovea/view.h"

#include <dlpack/dlpack.h>
#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <vector>

#include "ir/tensor.h"

namespace fovea {
namespace {

Code code_of(auto&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  return Code::internal;
}

TEST_CASE("a view is dense with the last axis fastest unless told otherwise") {
  std::vector<float> data(24);
  const View dense = view(data.data(), {2, 3u, std::size_t{4}});
  CHECK(dense.dtype == f32);
  CHECK(dense.strides == Shape{12, 4, 1});
  CHECK_FALSE(dense.read_only);
  CHECK(describe(dense) == "f32[2, 3, 4]");
  const View turned = view(std::as_const(data).data(), {4, 6}, {1, 4});
  CHECK(turned.strides == Shape{1, 4});
  CHECK(turned.read_only);
  CHECK(view(data.data(), {}).shape.rank() == 0);
}

TEST_CASE("the pointer's type is the dtype") {
  alignas(4) unsigned char bytes[4] = {};
  bool flag = false;
  CHECK(view(reinterpret_cast<std::int32_t*>(bytes), {1}).dtype == i32);
  CHECK(view(bytes, {4}).dtype == u8);
  CHECK(view(reinterpret_cast<std::int8_t*>(bytes), {4}).dtype == i8);
  CHECK(view(&flag, {}).dtype == boolean);
  CHECK(view(static_cast<void*>(bytes), bf16, {2}).dtype == bf16);
}

TEST_CASE("i4 packs two to a byte and starts rows at bytes") {
  unsigned char bytes[16] = {};
  CHECK(byte_size(i4, {3, 5}) == 9);
  CHECK(view(static_cast<void*>(bytes), i4, {3, 5}).strides == Shape{6, 1});
  CHECK(code_of([&] { view(static_cast<void*>(bytes), i4, {3, 5}, {5, 1}); }) == Code::unsupported);
  CHECK(code_of([&] { view(static_cast<void*>(bytes), i4, {3, 4}, {4, 2}); }) == Code::unsupported);
}

TEST_CASE("what cannot be a tensor is refused") {
  std::vector<float> data(8);
  float* const p = data.data();
  const std::int64_t huge = std::numeric_limits<std::int64_t>::max() / 2;
  CHECK(code_of([&] { view(p, {-1, 3}); }) == Code::dimension_mismatch);
  CHECK(code_of([&] { view(p, {2, 3}, {3}); }) == Code::dimension_mismatch);
  CHECK(code_of([&] { view(p, {huge, huge}); }) == Code::input_too_large);
  CHECK(code_of([&] { view(p, {std::numeric_limits<std::uint64_t>::max()}); }) ==
        Code::input_too_large);
  CHECK(code_of([&] { view(p, {4, 2}, {huge, 1}); }) == Code::input_too_large);
  CHECK(code_of([&] { view(static_cast<void*>(p), i4, {2 * huge + 1}); }) == Code::input_too_large);
  CHECK(code_of([&] { view(static_cast<float*>(nullptr), {1}); }) == Code::empty_input);
  CHECK(code_of([&] { view(p, {1, 1, 1, 1, 1, 1, 1, 1, 1}); }) == Code::unsupported);
  CHECK(code_of([&] { view(static_cast<void*>(reinterpret_cast<char*>(p) + 2), f32, {1}); }) ==
        Code::invalid_input);
  CHECK_NOTHROW(view(static_cast<float*>(nullptr), {0, huge, huge}));
}

TEST_CASE("DLPack: there and back is the same memory, type, shape and strides") {
  alignas(8) unsigned char bytes[64] = {};
  for (Dtype dtype : {f32, bf16, f16, i32, u8, i8, i4, boolean}) {
    const View out = view(static_cast<void*>(bytes), dtype, {2, 4}, {6, 1});
    DLManagedTensor* tensor = to_dlpack(out);
    const View in = from_dlpack(tensor);
    CHECK(in.data == bytes);
    CHECK(in.dtype == dtype);
    CHECK(in.shape == out.shape);
    CHECK(in.strides == out.strides);
    tensor->deleter(tensor);
  }
}

TEST_CASE("DLPack: offsets count in bytes and missing strides are dense") {
  float data[6] = {};
  std::int64_t shape[] = {2, 2};
  DLManagedTensor tensor = {};
  tensor.dl_tensor = {data, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, nullptr, 8};
  const View in = from_dlpack(&tensor);
  CHECK(in.data == data + 2);
  CHECK(in.strides == Shape{2, 1});
}

TEST_CASE("DLPack: other devices, types and lanes are refused") {
  double data[1] = {};
  std::int64_t shape[] = {1};
  DLManagedTensor tensor = {};
  tensor.dl_tensor = {data, {kDLCPU, 0}, 1, {kDLFloat, 32, 1}, shape, nullptr, 0};
  CHECK_NOTHROW(from_dlpack(&tensor));
  tensor.dl_tensor.device.device_type = kDLCUDA;
  CHECK(code_of([&] { from_dlpack(&tensor); }) == Code::unsupported);
  const std::int32_t unheard_of = 99;
  std::memcpy(&tensor.dl_tensor.device.device_type, &unheard_of, sizeof unheard_of);
  CHECK(code_of([&] { from_dlpack(&tensor); }) == Code::unsupported);
  tensor.dl_tensor.device.device_type = kDLCPU;
  tensor.dl_tensor.dtype = {kDLFloat, 64, 1};
  CHECK(code_of([&] { from_dlpack(&tensor); }) == Code::unsupported);
  tensor.dl_tensor.dtype = {kDLFloat, 32, 4};
  CHECK(code_of([&] { from_dlpack(&tensor); }) == Code::unsupported);
  tensor.dl_tensor.dtype = {kDLFloat, 32, 1};
  tensor.dl_tensor.ndim = 9;
  std::int64_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  tensor.dl_tensor.shape = nine;
  CHECK(code_of([&] { from_dlpack(&tensor); }) == Code::unsupported);
  tensor.dl_tensor = {nullptr, {kDLCPU, 0}, 1, {kDLFloat, 32, 1}, shape, nullptr, 0};
  CHECK(code_of([&] { from_dlpack(&tensor); }) == Code::empty_input);
  CHECK(code_of([&] { from_dlpack(nullptr); }) == Code::empty_input);
  const float constant = 1;
  CHECK(code_of([&] { to_dlpack(view(&constant, {1})); }) == Code::unsupported);
}

}  // namespace
}  // namespace fovea
