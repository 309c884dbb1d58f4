// Programs that people publish, and those that once went wrong: compiled = interpreted. Each is a
// subcase (`-sc=t5_buckets` by hand) and each folder below tests/corpus a test of ctest.
#include <doctest/doctest.h>

#include "tests/frontend/programs.h"

namespace fovea::test {

TEST_CASE("programs: compiled = interpreted") {
  const std::filesystem::path corpus = FOVEA_SOURCE_DIR "/tests/corpus";
  for (const auto& folder : std::filesystem::directory_iterator(corpus)) {
    const std::string name = folder.path().filename();
    SUBCASE(name.c_str()) {
      for (const std::filesystem::path& path : programs_below(folder)) {
        const std::string program = path.stem();
        SUBCASE(program.c_str()) {
          const auto differs = program_differs(load_program(path));
          CHECK_MESSAGE(!differs, path.string() << ": " << differs.value_or(""));
        }
      }
    }
  }
}

}  // namespace fovea::test
