// The table of mechanisms in ops/README.md, which `fovea gallery --measure` writes.
#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <string>

#include "ops/mechanism.h"

namespace fovea::ops::test {
namespace {

constexpr std::string_view kBar = " | ";

// By mechanism: what its row says of formula and paper.
std::map<std::string, std::string> rows_of_readme() {
  std::ifstream file(FOVEA_SOURCE_DIR "/ops/README.md");
  REQUIRE(file.good());
  std::map<std::string, std::string> rows;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `")) continue;
    const std::size_t end = line.find('`', 3), last = line.rfind(kBar);
    REQUIRE(last != line.npos);
    const std::size_t limit = line.rfind(kBar, last - 1);
    const std::size_t begin = end + 1 + kBar.size();
    REQUIRE_MESSAGE(begin < limit, line);
    rows[line.substr(3, end - 3)] = line.substr(begin, limit - begin);
  }
  return rows;
}

std::string row_of(const Mechanism& mechanism) {
  std::string formula;
  for (const char c : mechanism.formula)
    formula += c == '|' ? std::string("\\|") : std::string(1, c);
  return formula + std::string(kBar) + std::string(mechanism.paper);
}

}  // namespace

TEST_CASE("ops/README.md lists every mechanism with its formula and paper") {
  std::map<std::string, std::string> rows = rows_of_readme();
  for (const Mechanism* mechanism : all()) {
    const std::string name(mechanism->name);
    CAPTURE(name);
    CHECK(rows[name] == row_of(*mechanism));
    rows.erase(name);
  }
  for (const auto& [name, row] : rows) FAIL_CHECK(name << " is no mechanism");
}

}  // namespace fovea::ops::test
