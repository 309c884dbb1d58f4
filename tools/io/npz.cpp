#include "tools/io/npz.h"

#include <zip.h>

#include <fmt/format.h>

#include <memory>

#include "ir/require.h"
#include "tools/io/npy.h"

namespace fovea::tools {
namespace {

// Deflate cannot do better than about 1032 to 1; what claims to is no real array.
constexpr std::uint64_t kBestRatio = 1100;

std::string message(zip_error_t& error) {
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

using Archive = std::unique_ptr<zip_t, decltype([](zip_t* archive) { zip_discard(archive); })>;
using Member = std::unique_ptr<zip_file_t, decltype([](zip_file_t* file) { zip_fclose(file); })>;

Archive open(std::span<const std::byte> file, std::string_view what) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(file.data(), file.size(), 0, &error);
  zip_t* archive = source == nullptr
                       ? nullptr
                       : zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
  if (archive == nullptr) {
    if (source != nullptr) zip_source_free(source);
    fail(Code::invalid_input, "{} is not an .npz archive: {}", what, message(error));
  }
  zip_error_fini(&error);
  return Archive(archive);
}

Bytes read_member(zip_t* archive, zip_uint64_t index, std::size_t file_size,
                  std::string_view what) {
  zip_stat_t stat;
  zip_stat_init(&stat);
  const bool known =
      zip_stat_index(archive, index, 0, &stat) == 0 && (stat.valid & ZIP_STAT_SIZE) != 0;
  require(known && stat.size / kBestRatio <= file_size, Code::invalid_input,
          "{}: the archive does not tell its size, or one that cannot be ({} bytes)", what,
          known ? stat.size : 0);
  const Member member(zip_fopen_index(archive, index, 0));
  require(member != nullptr, Code::invalid_input, "{} cannot be unpacked: {}", what,
          zip_strerror(archive));
  Bytes bytes(stat.size);
  const zip_int64_t got = zip_fread(member.get(), bytes.data(), bytes.size());
  require(got >= 0 && static_cast<zip_uint64_t>(got) == stat.size, Code::invalid_input,
          "{} is damaged: expected {} bytes, got {}", what, stat.size, got);
  // The checksum is only compared at the end of the member, one read past its last byte.
  std::byte beyond{};
  require(zip_fread(member.get(), &beyond, 1) == 0, Code::invalid_input,
          "{} is damaged: its checksum does not match", what);
  return bytes;
}

}  // namespace

StoredTensors read_npz(std::span<const std::byte> file, std::string_view what) {
  const Archive archive = open(file, what);
  StoredTensors tensors;
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t index = 0; index < count; ++index) {
    const char* raw = zip_get_name(archive.get(), static_cast<zip_uint64_t>(index), 0);
    std::string name = raw == nullptr ? "" : raw;
    require(name.ends_with(".npy"), Code::invalid_input,
            "{} holds '{}'; expected only .npy files, as numpy.savez writes them", what, name);
    const std::string label = fmt::format("{}: {}", what, name);
    const auto bytes = std::make_shared<const Bytes>(
        read_member(archive.get(), static_cast<zip_uint64_t>(index), file.size(), label));
    name.resize(name.size() - 4);
    tensors[name] = read_npy(*bytes, label, bytes);
  }
  return tensors;
}

}  // namespace fovea::tools
