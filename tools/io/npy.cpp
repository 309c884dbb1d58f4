#include "tools/io/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

#include "ir/require.h"

namespace fovea::tools {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct Row {
  std::string_view descr;
  Stored type;
};
// V2 is how ml_dtypes writes bfloat16, which NumPy itself does not know.
constexpr std::array<Row, 16> kRows = {{{"<f8", Stored::F64},
                                        {"<f4", Stored::F32},
                                        {"<f2", Stored::F16},
                                        {"<i8", Stored::I64},
                                        {"<i4", Stored::I32},
                                        {"<i2", Stored::I16},
                                        {"|i1", Stored::I8},
                                        {"<u8", Stored::U64},
                                        {"<u4", Stored::U32},
                                        {"<u2", Stored::U16},
                                        {"|u1", Stored::U8},
                                        {"|b1", Stored::Bool},
                                        {"<V2", Stored::BF16},
                                        {"|V2", Stored::BF16},
                                        {"<i1", Stored::I8},
                                        {"<u1", Stored::U8}}};

struct Header {
  std::string descr;
  bool fortran = false;
  std::vector<std::int64_t> shape;
};

// Reads the Python dictionary of a header: strings, True, False and tuples of integers.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, std::string_view what) : text_(text), what_(what) {}

  Header read() {
    Header header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr")
        header.descr = string(), descr = true;
      else if (key == "fortran_order")
        header.fortran = boolean(), order = true;
      else if (key == "shape")
        header.shape = tuple(), shape = true;
      else
        bad(fmt::format("has the key '{}'", key), "descr, fortran_order and shape");
      if (!accept(',') && !at('}')) bad("is broken", "',' or '}'");
    }
    if (!descr || !order || !shape) bad("is incomplete", "descr, fortran_order and shape");
    return header;
  }

 private:
  [[noreturn]] void bad(std::string_view found, std::string_view expected) const {
    fail(Code::invalid_input, "{}: the .npy header {} at byte {}; expected {}", what_, found, at_,
         expected);
  }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool at(char c) {
    skip();
    return at_ < text_.size() && text_[at_] == c;
  }
  bool accept(char c) {
    if (!at(c)) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) bad("is broken", fmt::format("'{}'", c));
  }
  std::string string() {
    const char quote = at('"') ? '"' : '\'';
    if (at('[')) bad("describes a structured array", "one number type");
    expect(quote);
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) bad("ends inside a string", "a closing quote");
    const std::string value(text_.substr(at_, end - at_));
    at_ = end + 1;
    return value;
  }
  bool boolean() {
    skip();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    bad("is broken", "True or False");
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> values;
    expect('(');
    while (!accept(')')) {
      skip();
      std::int64_t value = 0;
      const auto [end, error] =
          std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
      if (error != std::errc()) bad("is broken", "an extent");
      at_ = static_cast<std::size_t>(end - text_.data());
      values.push_back(value);
      if (!accept(',') && !at(')')) bad("is broken", "',' or ')'");
    }
    return values;
  }

  std::string_view text_, what_;
  std::size_t at_ = 0;
};

// The header's text and where the data begins.
std::pair<std::string_view, std::size_t> split(std::span<const std::byte> file,
                                               std::string_view what) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  require(text.starts_with(kMagic), Code::invalid_input,
          "{} is not a .npy file: it does not begin with \\x93NUMPY", what);
  require(text.size() >= 10, Code::invalid_input, "{}: the .npy file ends after {} bytes", what,
          text.size());
  const int version = text[6];
  require(version >= 1 && version <= 3, Code::unsupported,
          "{}: .npy version {}; expected 1, 2 or 3", what, version);
  const std::size_t begin = version == 1 ? 10 : 12;
  std::size_t length = 0;
  for (std::size_t n = begin; n > 8; --n)
    length = length << 8 | (n <= text.size() ? std::to_integer<std::size_t>(file[n - 1]) : 0);
  require(begin <= text.size() && length <= text.size() - begin, Code::invalid_input,
          "{}: the .npy header of {} bytes is longer than the file of {}", what, length,
          text.size());
  return {text.substr(begin, length), begin + length};
}

Stored type_of(const std::string& descr, std::string_view what) {
  for (const Row& row : kRows)
    if (row.descr == descr) return row.type;
  require(!descr.starts_with('>'), Code::unsupported,
          "{} is big-endian ('{}'); expected little-endian: save it with array.astype('<{}')", what,
          descr, descr.substr(1));
  fail(Code::unsupported,
       "{} holds elements of type '{}'; expected f8, f4, f2, b1 or i and u of 1, "
       "2, 4 or 8 bytes",
       what, descr);
}

// Fortran order is C order of the reversed shape: walks the elements of the C-ordered result.
Bytes transposed(std::span<const std::byte> data, const std::vector<std::int64_t>& shape,
                 int size) {
  Bytes result(data.size());
  std::vector<std::int64_t> index(shape.size(), 0);
  const auto element = static_cast<std::size_t>(size);
  for (std::size_t to = 0; to < result.size(); to += element) {
    std::int64_t from = 0, step = 1;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      from += index[axis] * step;
      step *= shape[axis];
    }
    std::memcpy(&result[to], &data[static_cast<std::size_t>(from) * element], element);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
  return result;
}

}  // namespace

StoredTensor read_npy(std::span<const std::byte> file, std::string_view what,
                      const std::shared_ptr<const void>& keeper) {
  const auto [text, begin] = split(file, what);
  const Header header = HeaderReader(text, what).read();
  const Stored type = type_of(header.descr, what);
  const std::int64_t bytes = element_count(header.shape, type, what) * byte_size(type);
  const std::span<const std::byte> data = file.subspan(begin);
  require(static_cast<std::uint64_t>(bytes) <= data.size(), Code::invalid_input,
          "{}: {}[{}] takes {} bytes; found {}", what, name(type), fmt::join(header.shape, ", "),
          bytes, data.size());
  const auto used = data.first(static_cast<std::size_t>(bytes));
  if (header.fortran && header.shape.size() > 1)
    return {type, header.shape, transposed(used, header.shape, byte_size(type))};
  if (keeper) return {type, header.shape, {}, {used, keeper}};
  return {type, header.shape, Bytes(used.begin(), used.end())};
}

Bytes write_npy(const StoredTensor& tensor) {
  const auto* row = std::ranges::find(kRows, tensor.type, &Row::type);
  const std::string shape =
      fmt::format("{}{}", fmt::join(tensor.shape, ", "), tensor.shape.size() == 1 ? "," : "");
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", row->descr, shape);
  // NumPy wants the data to begin at a multiple of 64.
  header.resize((header.size() + 11 + 63) / 64 * 64 - 11, ' ');
  header += '\n';
  const std::string prefix = std::string(kMagic) + '\1' + '\0' +
                             static_cast<char>(header.size() & 255) +
                             static_cast<char>(header.size() >> 8);
  const std::string text = prefix + header;
  const std::span<const std::byte> data = tensor.data();
  Bytes file(text.size() + data.size());
  std::memcpy(file.data(), text.data(), text.size());
  std::ranges::copy(data, file.begin() + static_cast<std::ptrdiff_t>(text.size()));
  return file;
}

}  // namespace fovea::tools
