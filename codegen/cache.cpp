#include "codegen/cache.h"

#include <fcntl.h>
#include <llvm/ADT/ArrayRef.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/BLAKE3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <system_error>
#include <utility>
#include <vector>

#include "ir/require.h"

namespace fovea::codegen {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".object";
constexpr std::array<char, 8> kMagic = {'f', 'o', 'v', 'e', 'a', 'o', 'b', '1'};

using Digest = std::array<std::uint8_t, 32>;

Digest digest(std::string_view text) {
  return llvm::BLAKE3::hash<32>(
      llvm::ArrayRef(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

// What each file starts with. The description's digest is in it again, so that a file that was
// renamed is no other kernel.
struct Header {
  std::array<char, 8> magic;
  std::uint64_t length;
  Digest description;
  Digest contents;
};

Header header_of(std::string_view description, std::string_view bytes) {
  return {kMagic, bytes.size(), digest(description), digest(bytes)};
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_;
};

bool read_all(int file, char* to, std::size_t size) {
  while (size > 0) {
    const ssize_t got = read(file, to, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got, size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool write_all(int file, const char* from, std::size_t size) {
  while (size > 0) {
    const ssize_t put = write(file, from, size);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    from += put, size -= static_cast<std::size_t>(put);
  }
  return true;
}

// The bytes of an open cache file, or nothing where it is not what `put` wrote for it.
std::optional<std::string> contents(int file, std::string_view description) {
  struct stat info {};
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode) || info.st_uid != geteuid()) return {};
  if (static_cast<std::uint64_t>(info.st_size) < sizeof(Header)) return {};
  Header header;
  if (!read_all(file, reinterpret_cast<char*>(&header), sizeof header)) return {};
  if (header.length != static_cast<std::uint64_t>(info.st_size) - sizeof header) return {};
  std::string bytes(header.length, '\0');
  if (!read_all(file, bytes.data(), bytes.size())) return {};
  const Header expected = header_of(description, bytes);
  if (std::memcmp(&header, &expected, sizeof header) != 0) return {};
  return bytes;
}

// Why the directory cannot be trusted or used; empty where it can.
std::string fault(const fs::path& directory) {
  struct stat info {};
  if (stat(directory.c_str(), &info) != 0) return std::strerror(errno);
  if (!S_ISDIR(info.st_mode)) return "not a directory";
  if (info.st_uid != geteuid()) return "owned by another user";
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) return "writable by other users";
  if (access(directory.c_str(), R_OK | W_OK | X_OK) != 0) return std::strerror(errno);
  return {};
}

std::string make(const fs::path& directory) {
  std::error_code error;
  if (directory.has_parent_path()) fs::create_directories(directory.parent_path(), error);
  if (mkdir(directory.c_str(), S_IRWXU) != 0 && errno != EEXIST) return std::strerror(errno);
  return fault(directory);
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path directory_from_environment() {
  if (const std::string own = variable("FOVEA_CACHE_DIR"); !own.empty()) return own;
  // The specification of XDG has relative paths ignored.
  if (const fs::path cache = variable("XDG_CACHE_HOME"); cache.is_absolute())
    return cache / "fovea";
  if (const fs::path home = variable("HOME"); home.is_absolute()) return home / ".cache" / "fovea";
  return {};
}

}  // namespace

CacheOptions CacheOptions::from_environment() {
  CacheOptions options;
  const std::string mode = variable("FOVEA_CACHE");
  require(mode.empty() || mode == "on" || mode == "off", Code::invalid_config,
          "FOVEA_CACHE is \"{}\"; expected on or off", mode);
  if (mode == "off") {
    options.why_off = "FOVEA_CACHE=off";
    return options;
  }
  options.directory = directory_from_environment();
  options.why_off = "neither FOVEA_CACHE_DIR nor HOME says where";
  if (const std::string size = variable("FOVEA_CACHE_MIB"); !size.empty()) {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 30;
    std::uint64_t mebibytes = 0;
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), mebibytes);
    require(error == std::errc() && end == size.data() + size.size() && mebibytes <= kMost,
            Code::invalid_config, "FOVEA_CACHE_MIB is \"{}\"; expected a whole number of MiB",
            size);
    options.bytes = mebibytes << 20;
  }
  return options;
}

Cache::Cache(const CacheOptions& options) : bytes_(options.bytes) {
  if (options.directory.empty()) {
    status_ = "off: " + options.why_off;
    return;
  }
  const std::string why = make(options.directory);
  status_ = why.empty() ? options.directory.string()
                        : fmt::format("off: {}: {}", options.directory.string(), why);
  if (why.empty()) directory_ = options.directory;
}

fs::path Cache::file(std::string_view description) const {
  return directory_ / (llvm::toHex(digest(description), true) + std::string(kSuffix));
}

std::optional<std::string> Cache::get(std::string_view description) const {
  if (!is_on()) return {};
  const fs::path path = file(description);
  const Descriptor found(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!found) {
    if (errno == ELOOP) unlink(path.c_str());
    return {};
  }
  std::optional<std::string> bytes = contents(found.number(), description);
  if (bytes) {
    futimens(found.number(), nullptr);  // used now
  } else {
    unlink(path.c_str());
  }
  return bytes;
}

void Cache::put(std::string_view description, std::string_view bytes) const {
  if (!is_on() || bytes.size() + sizeof(Header) > bytes_) return;
  const fs::path path = file(description);
  std::string temporary = path.string() + ".XXXXXX";
  const Descriptor written(mkostemp(temporary.data(), O_CLOEXEC));  // of mode 0600
  if (!written) return;
  const Header header = header_of(description, bytes);
  const bool complete =
      write_all(written.number(), reinterpret_cast<const char*>(&header), sizeof header) &&
      write_all(written.number(), bytes.data(), bytes.size());
  if (!complete || rename(temporary.c_str(), path.c_str()) != 0) {
    unlink(temporary.c_str());
    return;
  }
  if (is_due(description, bytes)) evict();
}

// Asking for the sizes of ten thousand files takes a tenth of what compiling one does. One object
// in sixteen does so, by its digest, and any that is large.
bool Cache::is_due(std::string_view description, std::string_view bytes) const {
  return digest(description).front() % 16 == 0 || bytes.size() > bytes_ / 64;
}

void Cache::evict() const {
  struct File {
    std::pair<std::time_t, long> used;  // seconds, nanoseconds
    std::uint64_t bytes;
    fs::path path;
  };
  const std::time_t abandoned = std::time(nullptr) - 3600;
  std::vector<File> files;
  std::uint64_t total = 0;
  std::error_code error;
  fs::directory_iterator entries(directory_, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const fs::path& path = entries->path();
    if (path.filename().native().find(kSuffix) == std::string::npos) continue;  // none of ours
    struct stat info {};
    if (lstat(path.c_str(), &info) != 0) continue;  // gone since it was listed
    const File file{{info.st_mtim.tv_sec, info.st_mtim.tv_nsec},
                    static_cast<std::uint64_t>(info.st_size),
                    path};
    const bool temporary = path.extension() != kSuffix;
    if (temporary && file.used.first < abandoned) unlink(path.c_str());
    if (temporary) continue;
    total += file.bytes;
    files.push_back(file);
  }
  if (total <= bytes_) return;
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.used < b.used; });
  for (const File& file : files) {
    if (total <= bytes_) return;
    fs::remove(file.path, error);
    total -= file.bytes;
  }
}

}  // namespace fovea::codegen
