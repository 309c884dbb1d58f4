#include "tools/io/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>

#include "ir/require.h"
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

// A regular file in memory as far as it is looked at. It must not shrink meanwhile.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    require(descriptor >= 0, Code::invalid_input, "cannot read '{}': {}", path,
            std::strerror(errno));
    struct stat status {};
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
      const auto size = static_cast<std::size_t>(status.st_size);
      void* memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (memory != MAP_FAILED) bytes_ = {static_cast<const std::byte*>(memory), size};
    }
    close(descriptor);
  }
  ~MappedFile() {
    if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }  // empty if it cannot be mapped

 private:
  std::span<const std::byte> bytes_;
};

// A file, mapped if it can be, and who keeps it.
Elsewhere map_file(const std::string& path) {
  const auto mapped = std::make_shared<const MappedFile>(path);
  if (!mapped->bytes().empty()) return {mapped->bytes(), mapped};
  const auto read = std::make_shared<const Bytes>(read_file(path));
  return {*read, read};
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
  const auto [bytes, keeper] = map_file(path);
  if (ending == ".npz") return read_npz(bytes, path);
  if (ending == ".safetensors") return read_safetensors(bytes, path, keeper);
  StoredTensors tensors;
  tensors[""] = read_npy(bytes, path, keeper);
  return tensors;
}

}  // namespace fovea::tools
