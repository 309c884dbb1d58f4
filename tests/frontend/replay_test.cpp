// Code that is only moved must not change what is compiled. Golden files hold, for each row of the
// target table, a number for the code of every mechanism in every form; no machine has to run it.
//
//   FOVEA_REPLAY=all      compares all x86 rows; without it the best alone
//   FOVEA_REPLAY=rewrite  writes the files anew, after a change that is meant
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/fingerprint.h"
#include "codegen/lower_program.h"
#include "ops/mechanism.h"
#include "tests/child.h"
#include "tests/frontend/support.h"
#include "tests/passes/stages.h"

namespace fovea::test {
namespace {

using Lines = std::map<std::string, std::string>;  // "causal decode" and the number of its code

std::filesystem::path golden(const ir::Target& target) {
  return std::filesystem::path(FOVEA_SOURCE_DIR) / "tests/golden/replay" /
         fmt::format("{}.txt", target.name);
}

// What is compiled, by the form's name: each graph once.
std::map<std::string, Graph> forms(const Graph& graph, const ir::Target& target) {
  std::map<std::string, Graph> all;
  for (passes::Stage& form : passes::made_forms(graph, target)) {
    const auto is_same = [&](const auto& known) { return known.second == form.graph; };
    if (std::ranges::none_of(all, is_same))
      all.emplace(form.name.empty() ? "general" : form.name, std::move(form.graph));
  }
  return all;
}

std::string code_of(const Graph& graph, const ir::Target& target) {
  std::uint64_t all = 0;
  for (const codegen::Bitcode& function : codegen::lower_program(graph, target).functions)
    all = all * 31 + codegen::fingerprint(function);
  return fmt::format("{:016x}", all);
}

// What `make` returns in a process of its own: Halide numbers what it makes, and orders by name.
template <class Make>
std::string apart(const Make& make) {
  const Ended ended = in_child([&](int end) {
    const std::string text = make();
    return write(end, text.data(), text.size()) == ssize_t(text.size()) ? 0 : 1;
  });
  REQUIRE_MESSAGE(ended.status == 0, "it ended by itself, after ", ended.said);
  return ended.said;
}

Lines compiled(const ir::Target& target) {
  Lines lines;
  for (const ops::Mechanism* mechanism : ops::all()) {
    const Graph graph = mechanism->build(ops::Problem(mechanism->options, {}));
    for (const auto& [name, form] : forms(graph, target))
      lines[fmt::format("{} {}", mechanism->name, name)] =
          apart([&] { return code_of(form, target); });
  }
  return lines;
}

Lines read_lines(const std::filesystem::path& path) {
  std::ifstream file(path);
  Lines lines;
  for (std::string mechanism, form, code; file >> mechanism >> form >> code;)
    lines[mechanism + " " + form] = code;
  return lines;
}

void write_lines(const std::filesystem::path& path, const Lines& lines) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path);
  for (const auto& [name, code] : lines) file << name << " " << code << "\n";
}

}  // namespace

TEST_CASE("replay: every mechanism is compiled to the code that it was compiled to") {
  const char* wish = std::getenv("FOVEA_REPLAY");
  const std::string_view what = wish == nullptr ? "" : wish;
  for (const ir::Target& target : ir::targets()) {
    if (target.arch != ir::Arch::X86) continue;
    const Lines found = compiled(target);
    if (what == "rewrite") write_lines(golden(target), found);
    const Lines expected = read_lines(golden(target));
    CHECK_MESSAGE(found.size() == expected.size(), golden(target));
    for (const auto& [name, code] : found) {
      const auto known = expected.find(name);
      CHECK_MESSAGE((known != expected.end() && known->second == code), target.name,
                    ": the code of ", name, " changed");
    }
    if (what.empty()) break;
  }
}

}  // namespace fovea::test
