#include "codegen/cache.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "ir/error.h"
#include "tests/codegen/environment.h"

using namespace fovea;
using codegen::Cache;
using codegen::CacheOptions;
namespace fs = std::filesystem;

namespace {

// A directory for a test, gone after it. The cache's own lies in it.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "fovea_cache_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    root = name;
  }
  ~Scratch() { fs::remove_all(root); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  fs::path cache() const { return root / "a" / "cache"; }
  Cache open(std::uint64_t bytes = 1 << 20) const { return Cache({cache(), bytes, ""}); }
  std::vector<fs::path> files() const {
    std::vector<fs::path> result;
    for (const auto& entry : fs::directory_iterator(cache())) result.push_back(entry.path());
    return result;
  }

  fs::path root;
};

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void spill(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

mode_t mode(const fs::path& path) {
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

void age(const fs::path& path, int hours) {
  fs::last_write_time(path, fs::last_write_time(path) - std::chrono::hours(hours));
}

const std::string kObject(1000, '\7');

}  // namespace

TEST_CASE("what was put is got back, by another cache on the same directory too") {
  const Scratch scratch;
  CHECK_FALSE(scratch.open().get("one"));
  scratch.open().put("one", kObject);
  scratch.open().put("two", "");
  CHECK(scratch.open().get("one") == kObject);
  CHECK(scratch.open().get("two") == "");
  CHECK_FALSE(scratch.open().get("three"));
  CHECK(scratch.open().status() == scratch.cache().string());
}

TEST_CASE("the cache is private to the user") {
  const Scratch scratch;
  const mode_t old = umask(0);
  scratch.open().put("one", kObject);
  umask(old);
  CHECK(mode(scratch.cache()) == 0700);
  REQUIRE(scratch.files().size() == 1);
  CHECK(mode(scratch.files()[0]) == 0600);
}

TEST_CASE("a damaged object is a miss and is deleted") {
  const Scratch scratch;
  const Cache cache = scratch.open();
  cache.put("one", kObject);
  const fs::path path = scratch.files().at(0);
  const std::string good = slurp(path);

  std::vector<std::string> damaged = {"", good.substr(0, 20), good.substr(0, good.size() - 1),
                                      good + "x", std::string(good.size(), 'x')};
  for (std::size_t at = 0; at < good.size(); at += 13) {  // also everywhere in the header
    damaged.push_back(good);
    damaged.back()[at] = static_cast<char>(damaged.back()[at] ^ 0x10);
  }
  for (const std::string& bytes : damaged) {
    spill(path, bytes);
    CHECK_FALSE(cache.get("one"));
    CHECK_FALSE(fs::exists(path));
  }
  spill(path, good);
  CHECK(cache.get("one") == kObject);
}

TEST_CASE("the object of one description is not taken for that of another") {
  const Scratch scratch;
  const Cache cache = scratch.open();
  cache.put("one", kObject);
  const fs::path one = scratch.files().at(0);
  const std::string bytes = slurp(one);
  cache.put("two", "other");
  for (const fs::path& path : scratch.files())
    if (path != one) spill(path, bytes);
  CHECK_FALSE(cache.get("two"));
  CHECK(cache.get("one") == kObject);
}

TEST_CASE("a link in place of an object is not followed") {
  const Scratch scratch;
  const Cache cache = scratch.open();
  cache.put("one", kObject);
  const fs::path path = scratch.files().at(0);
  fs::rename(path, scratch.root / "elsewhere");
  fs::create_symlink(scratch.root / "elsewhere", path);
  CHECK_FALSE(cache.get("one"));
  CHECK(fs::exists(scratch.root / "elsewhere"));
}

TEST_CASE("the least recently used goes when the cache is full") {
  const Scratch scratch;
  const Cache cache = scratch.open(3500);
  for (const char* name : {"one", "two", "three"}) {
    cache.put(name, kObject);
    for (const fs::path& path : scratch.files()) age(path, 1);
  }
  CHECK(cache.get("one") == kObject);  // and so used last
  cache.put("four", kObject);
  CHECK(cache.get("one"));
  CHECK_FALSE(cache.get("two"));
  CHECK(cache.get("three"));
  CHECK(cache.get("four"));
  cache.put("large", std::string(4000, 'x'));
  CHECK_FALSE(cache.get("large"));
  CHECK(cache.get("four"));
}

TEST_CASE("many small objects stay within the bound, but for the last few") {
  const Scratch scratch;
  constexpr std::uint64_t bound = 200'000;  // one object is too little of it to look at all
  const Cache cache = scratch.open(bound);
  std::uint64_t most = 0, all = 0;
  for (int n = 0; n < 1000; n++) {
    cache.put("object " + std::to_string(n), kObject);
    all += kObject.size();
    std::uint64_t total = 0;
    for (const fs::path& path : scratch.files()) total += fs::file_size(path);
    most = std::max(most, total);
  }
  CHECK(all > 4 * bound);
  CHECK(most < bound + bound / 2);
  CHECK(cache.get("object 999"));
  CHECK_FALSE(cache.get("object 0"));
}

TEST_CASE("what an interrupted process left is cleared away, and a stranger's file is not") {
  const Scratch scratch;
  const Cache cache = scratch.open(10'000);
  cache.put("one", kObject);
  const fs::path left = scratch.files().at(0).string() + ".Abc123";
  const fs::path fresh = scratch.files().at(0).string() + ".Def456";
  const fs::path foreign = scratch.cache() / "notes.txt";
  for (const fs::path& path : {left, fresh, foreign}) spill(path, "x");
  age(left, 2), age(foreign, 2);
  cache.put("two", kObject);
  CHECK_FALSE(fs::exists(left));
  CHECK(fs::exists(fresh));
  CHECK(fs::exists(foreign));
}

TEST_CASE("a directory that others can write to is not used") {
  const Scratch scratch;
  scratch.open().put("one", kObject);
  fs::permissions(scratch.cache(), fs::perms::group_write, fs::perm_options::add);
  const Cache cache = scratch.open();
  CHECK_FALSE(cache.is_on());
  CHECK(cache.status() == "off: " + scratch.cache().string() + ": writable by other users");
  CHECK_FALSE(cache.get("one"));
}

TEST_CASE("a directory that cannot be made is no cache and no error") {
  const Scratch scratch;
  spill(scratch.root / "a", "a file");
  const Cache cache = scratch.open();
  CHECK_FALSE(cache.is_on());
  CHECK(cache.status().find("off: ") == 0);
  cache.put("one", kObject);
  CHECK_FALSE(cache.get("one"));
}

TEST_CASE("the environment says where, how much and whether") {
  const Environment mode("FOVEA_CACHE", ""), size("FOVEA_CACHE_MIB", ""),
      own("FOVEA_CACHE_DIR", "");
  const Environment home("HOME", "/home/someone");
  {
    const Environment xdg("XDG_CACHE_HOME", "");
    CHECK(CacheOptions::from_environment().directory == "/home/someone/.cache/fovea");
    CHECK(CacheOptions::from_environment().bytes == 256 << 20);
  }
  const Environment xdg("XDG_CACHE_HOME", "/x");
  CHECK(CacheOptions::from_environment().directory == "/x/fovea");
  const Environment directory("FOVEA_CACHE_DIR", "/y");
  CHECK(CacheOptions::from_environment().directory == "/y");
  {
    const Environment small("FOVEA_CACHE_MIB", "3");
    CHECK(CacheOptions::from_environment().bytes == 3 << 20);
  }
  for (const char* wrong : {"3x", "-1", "99999999999999999999", "much"}) {
    const Environment bad("FOVEA_CACHE_MIB", wrong);
    CHECK_THROWS_AS(CacheOptions::from_environment(), Error);
  }
  const Environment off("FOVEA_CACHE", "off");
  CHECK(Cache().status() == "off: FOVEA_CACHE=off");
  const Environment wrong("FOVEA_CACHE", "never");
  CHECK_THROWS_AS(CacheOptions::from_environment(), Error);
}

TEST_CASE("threads and processes that write and read one key see whole objects") {
  const Scratch scratch;
  const auto work = [&scratch] {
    const Cache cache = scratch.open(4000);
    bool whole = true;
    for (int n = 0; n < 200; n++) {
      cache.put("one", kObject);
      cache.put("other" + std::to_string(n % 5), kObject);  // so that there is evicting, too
      const auto bytes = cache.get("one");
      whole = whole && (!bytes || *bytes == kObject);
    }
    return whole;
  };
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(work() ? 0 : 1);
  bool first = false, second = false;
  std::thread a([&] { first = work(); }), b([&] { second = work(); });
  a.join(), b.join();
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(first);
  CHECK(second);
  CHECK(status == 0);
  std::uintmax_t total = 0;
  for (const fs::path& path : scratch.files()) total += fs::file_size(path);
  CHECK(total <= 4000);
}
