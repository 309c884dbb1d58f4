#include "tools/io/files.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "ir/error.h"
#include "tools/io/npy.h"
#include "tools/io/npz.h"
#include "tools/io/safetensors.h"

namespace fovea::tools {
namespace {

using File = std::unique_ptr<std::FILE, decltype([](std::FILE* file) { std::fclose(file); })>;

Bytes read_all(std::FILE* file, const std::string& path) {
  Bytes bytes;
  std::size_t used = 0;
  do {
    bytes.resize(used + (1 << 16) + used / 2);
    used += std::fread(bytes.data() + used, 1, bytes.size() - used, file);
  } while (used == bytes.size());
  require(std::ferror(file) == 0, Code::invalid_input, "cannot read '{}': {}", path,
          std::strerror(errno));
  bytes.resize(used);
  return bytes;
}

}  // namespace

Bytes read_file(const std::string& path) {
  if (path == "-") return read_all(stdin, "standard input");
  const File file(std::fopen(path.c_str(), "rb"));
  require(file != nullptr, Code::invalid_input, "cannot read '{}': {}", path, std::strerror(errno));
  return read_all(file.get(), path);
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  File file(std::fopen(path.c_str(), "wb"));
  bool written =
      file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
  // Closing flushes, and a full disk shows only then.
  if (file != nullptr) written = (std::fclose(file.release()) == 0) && written;
  require(written, Code::invalid_input, "cannot write '{}': {}", path, std::strerror(errno));
}

void write_file(const std::string& path, std::string_view text) {
  write_file(path, std::as_bytes(std::span(text)));
}

StoredTensors read_tensors(const std::string& path) {
  const std::string ending = std::filesystem::path(path).extension();
  require(ending == ".npy" || ending == ".npz" || ending == ".safetensors", Code::invalid_config,
          "'{}' is of no format that is read here; expected .npy, .npz or .safetensors", path);
  const Bytes bytes = read_file(path);
  if (ending == ".npz") return read_npz(bytes, path);
  if (ending == ".safetensors") return read_safetensors(bytes, path);
  StoredTensors tensors;
  tensors[""] = read_npy(bytes, path);
  return tensors;
}

}  // namespace fovea::tools
