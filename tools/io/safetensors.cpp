#include "tools/io/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "ir/require.h"

namespace fovea::tools {
namespace {

using nlohmann::json;

// The format's own limit.
constexpr std::uint64_t kLongestHeader = 100'000'000;

struct Row {
  std::string_view name;
  Stored type;
};
constexpr Row kRows[] = {{"F64", Stored::F64},  {"F32", Stored::F32}, {"BF16", Stored::BF16},
                         {"F16", Stored::F16},  {"I64", Stored::I64}, {"I32", Stored::I32},
                         {"I16", Stored::I16},  {"I8", Stored::I8},   {"U64", Stored::U64},
                         {"U32", Stored::U32},  {"U16", Stored::U16}, {"U8", Stored::U8},
                         {"BOOL", Stored::Bool}};

Stored type_of(const std::string& name, std::string_view what) {
  for (const Row& row : kRows)
    if (row.name == name) return row.type;
  fail(Code::unsupported,
       "{} holds elements of type {}; expected F64, F32, BF16, F16, BOOL or I and "
       "U of 8, 16, 32 or 64",
       what, name);
}

json read_header(std::span<const std::byte> file, std::uint64_t length, std::string_view what) {
  const auto* begin = reinterpret_cast<const char*>(file.data()) + 8;
  // Deep nesting would overflow the stack of a recursive reader; a header has three levels.
  bool deep = false;
  const json::parser_callback_t shallow = [&](int depth, json::parse_event_t, json&) {
    deep = deep || depth > 4;
    return !deep;
  };
  json header = json::parse(begin, begin + length, shallow, false);
  require(!deep && header.is_object(), Code::invalid_input,
          "{} is not a .safetensors file: its header is not a JSON object", what);
  return header;
}

bool is_count(const json& value) { return value.is_number_unsigned(); }

bool is_counts(const json& value) {
  return value.is_array() && std::all_of(value.begin(), value.end(), is_count);
}

StoredTensor read_one(const json& entry, std::span<const std::byte> data, std::string_view what,
                      const std::shared_ptr<const void>& keeper) {
  const bool formed = entry.is_object() && entry.contains("dtype") && entry["dtype"].is_string() &&
                      entry.contains("shape") && is_counts(entry["shape"]) &&
                      entry.contains("data_offsets") && is_counts(entry["data_offsets"]) &&
                      entry["data_offsets"].size() == 2;
  require(formed, Code::invalid_input,
          "{}: the header's entry is {}; expected dtype, shape and two data_offsets", what,
          entry.dump(-1, ' ', true, json::error_handler_t::replace).substr(0, 200));
  StoredTensor tensor;
  tensor.type = type_of(entry["dtype"].get<std::string>(), what);
  for (const json& extent : entry["shape"]) {
    const auto value = extent.get<std::uint64_t>();
    require(std::in_range<std::int64_t>(value), Code::input_too_large, "{} has extent {}", what,
            value);
    tensor.shape.push_back(static_cast<std::int64_t>(value));
  }
  const auto begin = entry["data_offsets"][0].get<std::uint64_t>();
  const auto end = entry["data_offsets"][1].get<std::uint64_t>();
  require(begin <= end && end <= data.size(), Code::invalid_input,
          "{} lies at bytes {} to {}; the file has {} bytes of data", what, begin, end,
          data.size());
  const auto bytes = static_cast<std::uint64_t>(element_count(tensor.shape, tensor.type, what) *
                                                byte_size(tensor.type));
  require(bytes == end - begin, Code::invalid_input, "{}: {}[{}] takes {} bytes; found {}", what,
          name(tensor.type), fmt::join(tensor.shape, ", "), bytes, end - begin);
  const auto used = data.subspan(begin, end - begin);
  if (keeper)
    tensor.kept = {used, keeper};
  else
    tensor.bytes.assign(used.begin(), used.end());
  return tensor;
}

}  // namespace

StoredTensors read_safetensors(std::span<const std::byte> file, std::string_view what,
                               const std::shared_ptr<const void>& keeper) {
  require(file.size() >= 8, Code::invalid_input,
          "{} is not a .safetensors file: it has {} bytes; expected at least 8", what, file.size());
  std::uint64_t length = 0;
  for (std::size_t n = 8; n-- > 0;) length = length << 8 | std::to_integer<std::uint64_t>(file[n]);
  require(length <= kLongestHeader && length <= file.size() - 8, Code::invalid_input,
          "{} is not a .safetensors file: its header claims {} bytes of {}", what, length,
          file.size());
  const json header = read_header(file, length, what);
  const std::span<const std::byte> data = file.subspan(8 + static_cast<std::size_t>(length));
  StoredTensors tensors;
  for (const auto& [key, entry] : header.items())
    if (key != "__metadata__")
      tensors[key] = read_one(entry, data, fmt::format("{}: {}", what, key), keeper);
  return tensors;
}

}  // namespace fovea::tools
