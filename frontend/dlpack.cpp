#include <dlpack/dlpack.h>

#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "fovea/view.h"
#include "ir/require.h"

namespace fovea {
namespace {

// DLPack 0.8 added bool, with code 6, which is fixed by the ABI, whichever header we were built with.
static_assert(runtime::row(Dtype::F32).dlpack_code == kDLFloat &&
              runtime::row(Dtype::BF16).dlpack_code == kDLBfloat &&
              runtime::row(Dtype::I4).dlpack_code == kDLInt &&
              runtime::row(Dtype::U8).dlpack_code == kDLUInt);

Dtype dtype_of(const DLDataType& type) {
  require(type.lanes == 1, Code::unsupported, "a DLPack tensor has {} lanes; expected 1",
          type.lanes);
  for (const runtime::DtypeRow& row : runtime::kDtypes)
    if (row.dlpack_code == type.code && row.bits == type.bits) return row.dtype;
  fail(Code::unsupported,
       "a DLPack tensor has type code {} with {} bits; expected float 32 or 16, bfloat 16, int 32, "
       "8 "
       "or 4, uint 8 or bool",
       type.code, type.bits);
}

// What a DLManagedTensor points to; freed by its deleter.
struct Exported {
  DLManagedTensor tensor = {};
  std::vector<std::int64_t> shape, strides;
};

}  // namespace

View from_dlpack(const DLManagedTensor* managed) {
  require(managed != nullptr, Code::empty_input, "from_dlpack was given a null tensor");
  const DLTensor& tensor = managed->dl_tensor;
  // As a number: other versions of DLPack have devices that this enumeration lacks.
  std::int32_t device = 0;
  static_assert(sizeof device == sizeof tensor.device.device_type);
  std::memcpy(&device, &tensor.device.device_type, sizeof device);
  require(device == kDLCPU, Code::unsupported,
          "a DLPack tensor lies on device type {}; expected {} (CPU)", device,
          static_cast<int>(kDLCPU));
  require(tensor.ndim >= 0 && (tensor.ndim == 0 || tensor.shape != nullptr),
          Code::dimension_mismatch, "a DLPack tensor has {} axes and {} shape; expected both",
          tensor.ndim, tensor.shape == nullptr ? "no" : "a");
  const Dtype dtype = dtype_of(tensor.dtype);
  const auto rank = static_cast<std::size_t>(tensor.ndim);
  const Shape shape(std::span<const std::int64_t>(tensor.shape, rank));
  void* data =
      tensor.data == nullptr ? nullptr : static_cast<std::byte*>(tensor.data) + tensor.byte_offset;
  if (tensor.strides == nullptr) return view(data, dtype, shape);
  return view(data, dtype, shape, Shape(std::span<const std::int64_t>(tensor.strides, rank)));
}

DLManagedTensor* to_dlpack(const View& view) {
  require(
      !view.read_only, Code::unsupported,
      "to_dlpack was given a read-only view of {}; DLPack has no way to say so: expected a view "
      "of a pointer to data that may be written",
      describe(view));
  auto exported = std::make_unique<Exported>();
  exported->shape.assign(view.shape.begin(), view.shape.end());
  exported->strides.assign(view.strides.begin(), view.strides.end());
  DLTensor& tensor = exported->tensor.dl_tensor;
  tensor.data = view.data;
  tensor.device = {kDLCPU, 0};
  tensor.ndim = view.shape.rank();
  tensor.shape = exported->shape.data();
  tensor.strides = exported->strides.data();
  const runtime::DtypeRow& row = runtime::row(view.dtype);
  tensor.dtype = {static_cast<std::uint8_t>(row.dlpack_code), static_cast<std::uint8_t>(row.bits),
                  1};
  exported->tensor.manager_ctx = exported.get();
  exported->tensor.deleter = [](DLManagedTensor* self) {
    delete static_cast<Exported*>(self->manager_ctx);
  };
  return &exported.release()->tensor;
}

}  // namespace fovea
