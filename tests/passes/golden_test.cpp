// Runs tests/golden/passes/<pass>/<case>.fov: a graph, a line "=>", the graph after the pass.
//
// UPDATE_GOLDEN=1 rewrites what follows "=>". Both graphs are interpreted and must agree, the pass
// must change nothing when run again, and a case called leaves_<reason> must not be changed at all.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "ir/text.h"
#include "ir/verify.h"
#include "passes/pipeline.h"
#include "tests/passes/same_meaning.h"

namespace fovea::passes {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(FOVEA_SOURCE_DIR) / "tests/golden/passes";
constexpr std::string_view kArrow = "\n=>\n";

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator(folder)) all.push_back(entry.path());
  std::ranges::sort(all);
  return all;
}

const Pass* find_pass(std::string_view name) {
  for (const Form& form : forms())
    for (const std::span<const Pass> passes : {pipeline(), passes_after(form)})
      for (const Pass& pass : passes)
        if (pass.name == name) return &pass;
  return nullptr;
}

bool leaves(const fs::path& path) { return path.stem().string().starts_with("leaves_"); }

void check_case(const Pass& pass, const fs::path& path) {
  INFO(path.string());
  const std::string text = read(path);
  CHECK(std::ranges::count(text, '\n') < 40);
  const std::size_t arrow = text.find(kArrow);
  const std::string source = arrow == std::string::npos ? text : text.substr(0, arrow + 1);
  const ir::Target target = ir::targets()[0];
  const ir::Graph before = ir::parse(source);
  const ir::Graph after = pass.run(before, target);
  ir::verify(after, pass.name);
  if (std::getenv("UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << source << kArrow.substr(1) << ir::print(after);
  } else {
    REQUIRE(arrow != std::string::npos);
    CHECK(text.substr(arrow + kArrow.size()) == ir::print(after));
  }
  CHECK((after == before) == leaves(path));
  CHECK(pass.run(after, target) == after);
  const auto differs = difference(before, after);
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

}  // namespace

TEST_CASE("golden: every pass does what its cases say") {
  for (const fs::path& folder : sorted_entries(kFolder)) {
    INFO(folder.string());
    const Pass* pass = find_pass(folder.filename().string());
    REQUIRE_MESSAGE(pass != nullptr, "a folder of cases is called like a pass");
    const std::vector<fs::path> cases = sorted_entries(folder);
    CHECK(std::ranges::any_of(cases, leaves));
    CHECK(!std::ranges::all_of(cases, leaves));
    for (const fs::path& path : cases) check_case(*pass, path);
  }
}

}  // namespace fovea::passes
