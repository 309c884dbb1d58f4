// codegen/cache.h — compiled objects kept on disk between processes.
//
// In $FOVEA_CACHE_DIR, else $XDG_CACHE_HOME/fovea, else ~/.cache/fovea. FOVEA_CACHE=off keeps
// nothing; FOVEA_CACHE_MIB bounds the size of all, 256 by default, but for the last few objects, and
// what was longest unused goes first. The directory must belong to this user and be writable by nobody else, since what lies in
// it is run. A file that is damaged is deleted and counts as missing. Any number of threads and
// processes may use one directory at once. Nothing here ever throws for what the disk does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace fovea::codegen {

struct CacheOptions {
  std::filesystem::path directory;         // empty: no cache
  std::uint64_t bytes = 256ULL << 20;      // bound of all files together
  std::string why_off = "no directory";    // for people, where there is no directory
  static CacheOptions from_environment();  // throws invalid_config for a FOVEA_CACHE_MIB or
                                           // FOVEA_CACHE that makes no sense
};

class Cache {
 public:
  // Makes the directory where it is missing.
  explicit Cache(const CacheOptions& options = CacheOptions::from_environment());

  // The bytes last put under the same description. A description says everything that the bytes
  // depend on: the graph, the schedule, compiler_version().
  std::optional<std::string> get(std::string_view description) const;
  void put(std::string_view description, std::string_view bytes) const;

  // "/home/a/.cache/fovea" or "off: ..." with the reason.
  const std::string& status() const { return status_; }
  bool is_on() const { return !directory_.empty(); }

 private:
  std::filesystem::path file(std::string_view description) const;
  bool is_due(std::string_view description, std::string_view bytes) const;
  void evict() const;

  std::filesystem::path directory_;
  std::uint64_t bytes_;
  std::string status_;
};

}  // namespace fovea::codegen
