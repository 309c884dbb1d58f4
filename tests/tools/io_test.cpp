#include <doctest/doctest.h>
#include <zip.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <string>

#include "ir/error.h"
#include "tools/io/element.h"
#include "tools/io/npy.h"
#include "tools/io/npz.h"
#include "tools/io/safetensors.h"

namespace fovea::tools {
namespace {

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return Bytes(bytes.begin(), bytes.end());
}

template <class T>
StoredTensor stored(Stored type, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  StoredTensor tensor{type, std::move(shape), Bytes(values.size() * sizeof(T))};
  if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

template <class T>
std::vector<T> values_of(const Bytes& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::string npy_text(std::string_view header, std::string_view data, char version = 1) {
  std::string text = "\x93NUMPY";
  text += version;
  text += '\0';
  text += static_cast<char>(header.size() & 255);
  text += static_cast<char>(header.size() >> 8);
  if (version > 1) text += std::string(2, '\0');
  return text + std::string(header) + std::string(data);
}

struct Failure {
  Code code = Code::internal;
  std::string message = "no error";
};
Failure failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {};
}

Bytes zip(const std::vector<std::pair<std::string, Bytes>>& files, int method) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* target = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_source_keep(target);
  zip_t* archive = zip_open_from_source(target, ZIP_TRUNCATE, &error);
  for (const auto& [name, bytes] : files) {
    zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    const zip_int64_t index = zip_file_add(archive, name.c_str(), source, ZIP_FL_ENC_UTF_8);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), method, 9);
  }
  REQUIRE(zip_close(archive) == 0);
  zip_stat_t stat;
  zip_source_stat(target, &stat);
  Bytes result(stat.size);
  zip_source_open(target);
  REQUIRE(zip_source_read(target, result.data(), result.size()) ==
          static_cast<zip_int64_t>(stat.size));
  zip_source_close(target);
  zip_source_free(target);
  return result;
}

Bytes safetensors(std::string_view header, std::string_view data) {
  std::string text;
  for (int byte = 0; byte < 8; ++byte) text += static_cast<char>(header.size() >> (8 * byte) & 255);
  return bytes_of(text + std::string(header) + std::string(data));
}

TEST_CASE("npy: what is written reads back, for every type and for no elements") {
  const StoredTensor floats = stored<float>(Stored::F32, {2, 3}, {1, 2, 3, -4, INFINITY, .5f});
  for (const StoredTensor& tensor :
       {floats, stored<double>(Stored::F64, {}, {1e300}),
        stored<std::int64_t>(Stored::I64, {1}, {std::numeric_limits<std::int64_t>::min()}),
        stored<std::int8_t>(Stored::I8, {3}, {-1, 0, 127}),
        stored<std::uint16_t>(Stored::BF16, {1, 1}, {0x3f80}),
        stored<std::uint8_t>(Stored::Bool, {2}, {0, 1}), stored<float>(Stored::F32, {0, 5}, {})}) {
    const Bytes file = write_npy(tensor);
    const StoredTensor back = read_npy(file, "t");
    CHECK(back.type == tensor.type);
    CHECK(back.shape == tensor.shape);
    CHECK(back.bytes == tensor.bytes);
    CHECK((file.size() - tensor.bytes.size()) % 64 == 0);
  }
}

TEST_CASE("npy: the bytes are NumPy's own") {
  const Bytes file = write_npy(stored<float>(Stored::F32, {2}, {1, 2}));
  const std::string text(reinterpret_cast<const char*>(file.data()), file.size());
  CHECK(text.substr(0, 10) == std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  CHECK(text.substr(10, 57) == "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }");
  CHECK(text[127] == '\n');
}

TEST_CASE("npy: versions 2 and 3, other spacing and quotes") {
  const std::string data(4, '\0');
  for (char version : {1, 2, 3}) {
    const StoredTensor tensor =
        read_npy(bytes_of(npy_text("{\"shape\":(2 , 2),'fortran_order' :False,'descr':'|u1'}\n",
                                   data, version)),
                 "t");
    CHECK(tensor.shape == std::vector<std::int64_t>{2, 2});
    CHECK(tensor.type == Stored::U8);
  }
}

TEST_CASE("npy: Fortran order is transposed") {
  const Bytes file = bytes_of(
      npy_text("{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }", "\1\4\2\5\3\6"));
  CHECK(values_of<std::int8_t>(read_npy(file, "t").bytes) ==
        std::vector<std::int8_t>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("npy: files that cannot be read say why") {
  const auto failure = [](std::string_view header, std::string_view data = "12345678") {
    return failure_of([&] { read_npy(bytes_of(npy_text(header, data)), "q.npy"); });
  };
  const Failure big = failure("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }");
  CHECK(big.code == Code::unsupported);
  CHECK(big.message.find("q.npy is big-endian ('>f4'); expected little-endian") == 0);
  const Failure complex = failure("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }");
  CHECK(complex.code == Code::unsupported);
  CHECK(complex.message.find("'<c8'") != std::string::npos);
  const Failure small = failure("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }");
  CHECK(small.code == Code::invalid_input);
  CHECK(small.message == "q.npy: f32[3] takes 12 bytes; found 8");
  CHECK(failure("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }").code ==
        Code::invalid_input);
  CHECK(failure("{'descr': '<f4', 'fortran_order': False, 'shape': "
                "(4611686018427387904, 4611686018427387904), }")
            .code == Code::input_too_large);
  CHECK(failure("{'descr': '<f4', 'fortran_order': False, }").message.find("incomplete") !=
        std::string::npos);
  CHECK(failure("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }")
            .message.find("structured") != std::string::npos);
  CHECK(failure("{'descr': '<f4").message.find("ends inside a string") != std::string::npos);
  CHECK(failure_of([] { read_npy(bytes_of("hello"), "x"); }).message.find("is not a .npy") !=
        std::string::npos);
  CHECK(failure_of([] { read_npy(bytes_of(std::string("\x93NUMPY\x09\0\0\0", 10)), "x"); }).code ==
        Code::unsupported);
}

TEST_CASE("npz: stored and deflated members by name") {
  const StoredTensor q = stored<float>(Stored::F32, {100}, std::vector<float>(100, 2));
  const StoredTensor k = stored<std::int32_t>(Stored::I32, {1}, {7});
  for (int method : {ZIP_CM_STORE, ZIP_CM_DEFLATE}) {
    const StoredTensors read =
        read_npz(zip({{"q.npy", write_npy(q)}, {"k.npy", write_npy(k)}}, method), "all.npz");
    REQUIRE(read.size() == 2);
    CHECK(std::ranges::equal(read.at("q").data(), q.bytes));
    CHECK(std::ranges::equal(read.at("k").data(), k.bytes));
  }
}

TEST_CASE("npz: archives that cannot be read say why") {
  const Failure text = failure_of([] { read_npz(bytes_of("no zip"), "all.npz"); });
  CHECK(text.code == Code::invalid_input);
  CHECK(text.message.find("all.npz is not an .npz archive: ") == 0);
  const Bytes other = zip({{"readme.txt", bytes_of("hello")}}, ZIP_CM_STORE);
  CHECK(failure_of([&] { read_npz(other, "all.npz"); }).message.find("holds 'readme.txt'") !=
        std::string::npos);
  const StoredTensor q = stored<float>(Stored::F32, {4}, {1, 2, 3, 4});
  Bytes damaged = zip({{"q.npy", write_npy(q)}}, ZIP_CM_STORE);
  const auto at = std::search(damaged.begin(), damaged.end(), q.bytes.begin(), q.bytes.end());
  REQUIRE(at != damaged.end());
  at[5] ^= std::byte{1};
  CHECK(failure_of([&] { read_npz(damaged, "all.npz"); }).code == Code::invalid_input);
}

TEST_CASE("safetensors: tensors by name, metadata ignored") {
  const StoredTensors read =
      read_safetensors(safetensors(R"({"__metadata__":{"format":"pt"},)"
                                   R"("q":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                                   R"("m":{"dtype":"BOOL","shape":[1,2],"data_offsets":[8,10]},)"
                                   R"("w":{"dtype":"BF16","shape":[],"data_offsets":[10,12]}}  )",
                                   std::string("\0\0\x80\x3f\0\0\0\x40\1\0\x80\x3f", 12)),
                       "all");
  REQUIRE(read.size() == 3);
  CHECK(values_of<float>(read.at("q").bytes) == std::vector<float>{1, 2});
  CHECK(read.at("m").shape == std::vector<std::int64_t>{1, 2});
  CHECK(to_array(convert(read.at("w"), Dtype::BF16, "w")).data == std::vector<double>{1});
}

TEST_CASE("safetensors: files that cannot be read say why") {
  const auto failure = [](std::string_view header) {
    return failure_of([&] { read_safetensors(safetensors(header, "12345678"), "all"); });
  };
  CHECK(failure("[1]").message.find("not a JSON object") != std::string::npos);
  CHECK(failure(std::string(100000, '[')).code == Code::invalid_input);
  CHECK(failure(R"({"q":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})").message ==
        "all: q: f32[3] takes 12 bytes; found 8");
  CHECK(failure(R"({"q":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})").code ==
        Code::invalid_input);
  CHECK(failure(R"({"q":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})").code ==
        Code::invalid_input);
  CHECK(failure(R"({"q":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}})").code ==
        Code::unsupported);
  CHECK(failure(R"({"q":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})").code ==
        Code::invalid_input);
  CHECK(failure(R"({"q":3})").message.find("expected dtype, shape") != std::string::npos);
  CHECK(failure_of([] { read_safetensors(bytes_of("abc"), "all"); }).code == Code::invalid_input);
  CHECK(failure_of([] { read_safetensors(bytes_of(std::string(20, '\xff')), "all"); }).code ==
        Code::invalid_input);
}

TEST_CASE("floats are rounded, integers are exact, and what does not fit is refused") {
  std::int64_t rounded = 0;
  const auto convert_one = [&](auto value, Stored from, Dtype to) {
    return to_array(convert(stored<decltype(value)>(from, {1}, {value}), to, "q", &rounded))
        .data.at(0);
  };
  const auto exactly = [&](auto value, Stored from, Dtype to) {
    const double result = convert_one(value, from, to);
    CHECK(rounded == 0);
    return result;
  };
  CHECK(exactly(0.5, Stored::F64, Dtype::F32) == 0.5);
  CHECK(exactly(std::int64_t{-7}, Stored::I64, Dtype::I32) == -7);
  CHECK(exactly(std::int64_t{-2147483648}, Stored::I64, Dtype::I32) == -2147483648.0);
  CHECK(exactly(1.0f, Stored::F32, Dtype::BF16) == 1);
  CHECK(exactly(-65504.0f, Stored::F32, Dtype::F16) == -65504);
  CHECK(exactly(std::ldexp(1.0f, -24), Stored::F32, Dtype::F16) == std::ldexp(1.0, -24));
  CHECK(exactly(std::int8_t{-8}, Stored::I8, Dtype::I4) == -8);
  CHECK(std::isnan(exactly(std::nan(""), Stored::F64, Dtype::F16)));
  CHECK(exactly(-INFINITY, Stored::F32, Dtype::BF16) == -INFINITY);
  CHECK(exactly(std::uint64_t{1} << 63, Stored::U64, Dtype::F32) == 0x1p63);
  CHECK(exactly(std::numeric_limits<std::int64_t>::min(), Stored::I64, Dtype::BF16) == -0x1p63);

  const auto nearly = [&](auto value, Stored from, Dtype to) {
    const double result = convert_one(value, from, to);
    CHECK(rounded == 1);
    return result;
  };
  CHECK(nearly(0.1, Stored::F64, Dtype::F32) == 0.1f);
  CHECK(nearly(1e-60, Stored::F64, Dtype::F32) == 0);
  CHECK(nearly(0.1f, Stored::F32, Dtype::BF16) == 0.10009765625);
  CHECK(nearly((std::int64_t{1} << 60) + 1, Stored::I64, Dtype::F32) == 0x1p60);
  CHECK(nearly(~std::uint64_t{0}, Stored::U64, Dtype::F32) == 0x1p64);
  CHECK(nearly(std::int32_t{2049}, Stored::I32, Dtype::F16) == 2048);

  const Failure far = failure_of([&] { convert_one(1e300, Stored::F64, Dtype::F32); });
  CHECK(far.code == Code::invalid_input);
  CHECK(far.message ==
        "q holds 1e+300 of f64, which f32 cannot hold (element 0); expected f32: convert it first");
  CHECK_THROWS_AS(convert_one(65520.0, Stored::F64, Dtype::F16), Error);
  CHECK_THROWS_AS(convert_one(0.5, Stored::F64, Dtype::I32), Error);
  CHECK_THROWS_AS(convert_one(std::int64_t{2147483648}, Stored::I64, Dtype::I32), Error);
  CHECK_THROWS_AS(convert_one(std::int64_t{-2147483649}, Stored::I64, Dtype::I32), Error);
  CHECK_THROWS_AS(convert_one(std::int8_t{8}, Stored::I8, Dtype::I4), Error);
  CHECK_THROWS_AS(convert_one(std::uint8_t{2}, Stored::Bool, Dtype::Bool), Error);
  CHECK_THROWS_AS(convert_one(std::nan(""), Stored::F64, Dtype::I32), Error);
  CHECK_THROWS_AS(convert_one(0.5f, Stored::F32, Dtype::Bool), Error);
}

TEST_CASE("elements that somebody keeps are not copied, but where they lie askew") {
  const auto file =
      std::make_shared<const Bytes>(write_npy(stored<float>(Stored::F32, {3}, {1, 2, 3})));
  const StoredTensor read = read_npy(*file, "q", file);
  CHECK(read.data().data() > file->data());
  CHECK(read.data().data() < file->data() + file->size());
  const Tensor same = convert(read, Dtype::F32, "q");
  CHECK(same.data().data() == read.data().data());
  CHECK(to_array(same).data == std::vector<double>{1, 2, 3});
  Bytes moved(read.data().size() + 1);
  std::ranges::copy(read.data(), moved.begin() + 1);
  const auto keeper = std::make_shared<const Bytes>(std::move(moved));
  const StoredTensor askew{Stored::F32, {3}, {}, {std::span(*keeper).subspan(1), keeper}};
  const Tensor copied = convert(askew, Dtype::F32, "q");
  CHECK(!copied.kept.keeper);
  CHECK(to_array(copied).data == std::vector<double>{1, 2, 3});
}

TEST_CASE("every bf16 and f16 comes back, and is what the interpreter rounds to") {
  for (const Dtype dtype : {Dtype::BF16, Dtype::F16}) {
    CAPTURE(ir::name(dtype));
    for (unsigned bits = 0; bits < 1U << 16; ++bits) {
      std::byte memory[2], again[2];
      std::memcpy(memory, &bits, 2);
      const double value = tools::load(dtype, memory, 0);
      tools::store(dtype, again, 0, value);
      if (std::isnan(value)) {
        CHECK(std::isnan(tools::load(dtype, again, 0)));
        continue;
      }
      REQUIRE(std::memcmp(memory, again, 2) == 0);
      REQUIRE(ir::round_to(dtype, value) == value);
    }
  }
  const std::uint16_t one_bf16 = 0x3f80, one_f16 = 0x3c00, least_f16 = 1, infinity_f16 = 0x7c00;
  const auto bytes = [](const std::uint16_t& bits) {
    return reinterpret_cast<const std::byte*>(&bits);
  };
  CHECK(tools::load(Dtype::BF16, bytes(one_bf16), 0) == 1);
  CHECK(tools::load(Dtype::F16, bytes(one_f16), 0) == 1);
  CHECK(tools::load(Dtype::F16, bytes(least_f16), 0) == 0x1p-24);
  CHECK(std::isinf(tools::load(Dtype::F16, bytes(infinity_f16), 0)));
}

TEST_CASE("arrays and back: rounding, and i4 rows at whole bytes") {
  const ir::Array array{Dtype::I4, {2, 3}, {-8, -1, 0, 1, 6, 7}};
  const Tensor packed = from_array(array);
  CHECK(packed.bytes.size() == 4);
  CHECK(to_array(packed) == array);
  CHECK(values_of<std::int8_t>(to_stored(packed).bytes) ==
        std::vector<std::int8_t>{-8, -1, 0, 1, 6, 7});
  const Tensor half = from_array({Dtype::F16, {4}, {1 + std::ldexp(1.0, -11), 1e9, -2e-8, 0.1}});
  CHECK(to_array(half).data == std::vector<double>{1, INFINITY, -0.0, 0.0999755859375});
  const Tensor brain = from_array({Dtype::BF16, {2}, {0.1, -3e38}});
  CHECK(to_stored(brain).type == Stored::F32);
  CHECK(values_of<float>(to_stored(brain).bytes)[0] == 0.10009765625f);
}

// Flips, cuts, repeats and inserts a few bytes.
Bytes mutated(Bytes file, std::mt19937& random) {
  const auto pick = [&](std::size_t below) { return random() % std::max<std::size_t>(below, 1); };
  for (std::size_t edits = 1 + pick(4); edits > 0 && !file.empty(); --edits) {
    const std::size_t at = pick(file.size());
    switch (pick(4)) {
      case 0: file[at] ^= static_cast<std::byte>(1 + pick(255)); break;
      case 1: file.resize(at); break;
      case 2:
        file.insert(file.begin() + static_cast<std::ptrdiff_t>(at), std::byte('0' + pick(10)));
        break;
      default: file.erase(file.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  return file;
}

// Whatever the bytes: tensors whose bytes fit their shapes, or an Error.
template <class Read>
void fuzz(const Bytes& seed, Read&& read) {
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    const Bytes file = mutated(seed, random);
    try {
      for (const auto& [name, tensor] : read(file)) {
        const auto bytes = static_cast<std::size_t>(element_count(tensor.shape, tensor.type, name) *
                                                    byte_size(tensor.type));
        REQUIRE(tensor.data().size() == bytes);
      }
    } catch (const Error& error) {
      ++refused;
      REQUIRE(error.code() != Code::internal);
    }
  }
  CHECK(refused > 0);
}

TEST_CASE("mutated files are refused or read, never read past their end") {
  const StoredTensor q = stored<float>(Stored::F32, {2, 3}, {1, 2, 3, 4, 5, 6});
  fuzz(write_npy(q), [](const Bytes& file) { return StoredTensors{{"q", read_npy(file, "q")}}; });
  for (int method : {ZIP_CM_STORE, ZIP_CM_DEFLATE})
    fuzz(zip({{"q.npy", write_npy(q)}, {"k.npy", write_npy(q)}}, method),
         [](const Bytes& file) { return read_npz(file, "all"); });
  fuzz(safetensors(R"({"q":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                   R"("m":{"dtype":"BOOL","shape":[1,2],"data_offsets":[8,10]}})",
                   "0123456789"),
       [](const Bytes& file) { return read_safetensors(file, "all"); });
}

}  // namespace
}  // namespace fovea::tools
