// Programs that people publish, and those that once went wrong: compiled = interpreted. Each is a
// subcase (`-sc=t5_buckets` by hand), each folder below tests/corpus a test of ctest, and each
// family of published ones.
#include "tests/frontend/programs.h"

#include <doctest/doctest.h>

#include <numeric>

namespace fovea::test {

namespace {

const std::filesystem::path kCorpus = FOVEA_SOURCE_DIR "/tests/corpus";

void check_program(const std::filesystem::path& path, std::optional<std::size_t> turn) {
  const std::string name = path.stem();
  SUBCASE(name.c_str()) {
    const auto differs = program_differs(load_program(path), turn);
    CHECK_MESSAGE(!differs, path.string() << ": " << differs.value_or(""));
  }
}

// They are many, and share the ways that the others are all compiled in. A program keeps its own,
// whatever else is published.
std::size_t turn_of(const std::filesystem::path& path) {
  const std::string name = path.stem();
  return std::accumulate(name.begin(), name.end(), std::size_t{0});
}

}  // namespace

TEST_CASE("programs: compiled = interpreted") {
  for (const auto& folder : std::filesystem::directory_iterator(kCorpus)) {
    const std::string name = folder.path().filename();
    if (name == "published") continue;  // below
    SUBCASE(name.c_str()) {
      for (const std::filesystem::path& path : programs_below(folder)) check_program(path, {});
    }
  }
}

TEST_CASE("published programs: compiled = interpreted") {
  for (const auto& family : std::filesystem::directory_iterator(kCorpus / "published")) {
    const std::string name = family.path().filename();
    SUBCASE(name.c_str()) {
      for (const std::filesystem::path& path : programs_below(family))
        check_program(path, turn_of(path));
    }
  }
}

}  // namespace fovea::test
