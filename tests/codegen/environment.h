// tests/codegen/environment.h — an environment variable, or a cache on disk, for the length of a
// scope.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    setenv(name, value.c_str(), 1);
  }
  ~Environment() {
    if (old_) {
      setenv(name_, old_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

// An empty folder in which compiled objects are kept.
class OwnCache {
 public:
  OwnCache() : root_(made()), directory_("FOVEA_CACHE_DIR", (root_ / "cache").string()) {}
  ~OwnCache() { std::filesystem::remove_all(root_); }
  OwnCache(const OwnCache&) = delete;
  OwnCache& operator=(const OwnCache&) = delete;

  std::vector<std::filesystem::path> files() const {
    std::vector<std::filesystem::path> all;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(root_ / "cache", none))
      all.push_back(entry.path());
    return all;
  }

 private:
  static std::filesystem::path made() {
    std::string name = (std::filesystem::temp_directory_path() / "fovea_cache_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    return name;
  }

  std::filesystem::path root_;
  Environment directory_, on_{"FOVEA_CACHE", "on"};
};
