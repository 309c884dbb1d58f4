#include "passes/pipeline.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "ir/error.h"
#include "ir/rewrite.h"
#include "ir/text.h"
#include "tests/passes/same_meaning.h"

namespace fovea::passes {
namespace {

namespace fs = std::filesystem;

ir::Graph keep(const ir::Graph& graph, const ir::Target&) { return graph; }

// Adds an exp to every output.
ir::Graph grow(const ir::Graph& graph, const ir::Target&) {
  return ir::rewrite(graph,
                     [&](ir::Builder& into, ir::NodeId id, const ir::Node& old,
                         const std::vector<ir::NodeId>& inputs) -> std::optional<ir::NodeId> {
                       if (id != graph.outputs.at(0).node) return {};
                       return into.map(ir::Fn::Exp, {into.copy(old, inputs)});
                     });
}

constexpr Pass kPasses[] = {
    {"keep", keep, "does nothing"}, {"grow", grow, "adds an exp"}, {"grow", grow, "adds another"}};

const ir::Target kTarget = ir::targets()[0];

ir::Graph small_graph() { return ir::parse("axis i\nx : f32[i]\nout o = x + 1.0\n"); }

struct Ran {
  ir::Graph graph;
  std::vector<std::string> passes;
  std::string printed;
};

Ran run(RunOptions options) {
  Ran ran;
  options.print = [&](std::string_view text) { ran.printed += text; };
  options.report = [&](const PassReport& report) {
    ran.passes.push_back(fmt::format("{} {} {}", report.number, report.pass.name, report.changed));
    CHECK(report.milliseconds >= 0);
  };
  ran.graph = run_passes(kPasses, small_graph(), kTarget, options);
  return ran;
}

std::string error_of(const RunOptions& options) {
  try {
    run_passes(kPasses, small_graph(), kTarget, options);
  } catch (const Error& error) {
    CHECK(error.code() == Code::invalid_config);
    return error.what();
  }
  return "no error";
}

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Sets an environment variable for the length of a scope.
class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Setting() { unsetenv(name_); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
};

std::string environment_error() {
  try {
    options_from_environment();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("pipeline: runs all passes in order and reports each") {
  const Ran ran = run({});
  CHECK(ran.passes == std::vector<std::string>{"1 keep false", "2 grow true", "3 grow true"});
  CHECK(ran.printed.empty());
  CHECK(ran.graph == grow(grow(small_graph(), kTarget), kTarget));
}

TEST_CASE("pipeline: stops after a pass, at its first appearance, or after so many") {
  CHECK(run({.stop_after = "grow"}).passes.size() == 2);
  CHECK(run({.stop_after = "keep"}).graph == small_graph());
  CHECK(run({.limit = 0}).graph == small_graph());
  CHECK(run({.limit = 2}).passes.size() == 2);
  CHECK(run({.limit = 12}).passes.size() == 3);
}

TEST_CASE("pipeline: dumps the graph after a pass, or that it has not changed") {
  const std::string grown = ir::print(grow(small_graph(), kTarget));
  CHECK(run({.dump = "keep"}).printed == "# after 1 keep\n(unchanged)\n");
  CHECK(run({.limit = 2, .dump = "all"}).printed ==
        "# after 1 keep\n(unchanged)\n# after 2 grow\n" + grown);
}

TEST_CASE("pipeline: prints a table of times") {
  const std::string table = run({.time = true}).printed;
  CHECK(table.find(" 1 keep") != std::string::npos);
  CHECK(table.find(" 3 grow") != std::string::npos);
  CHECK(table.find("ms  in all\n") != std::string::npos);
}

TEST_CASE("pipeline: writes numbered files") {
  const fs::path folder = fs::temp_directory_path() / fmt::format("fovea_pipeline_{}", rand());
  run({.dump_dir = (folder / "deep").string()});
  CHECK(read(folder / "deep/00_input.fov") == ir::print(small_graph()));
  CHECK(read(folder / "deep/01_keep.fov") == ir::print(small_graph()));
  CHECK(ir::parse(read(folder / "deep/02_grow.fov")) == grow(small_graph(), kTarget));
  CHECK(read(folder / "deep/03_grow.dot").find("digraph") != std::string::npos);
  std::ofstream(folder / "file") << "in the way";
  CHECK(error_of({.dump_dir = (folder / "file").string()}).find("cannot make that directory") !=
        std::string::npos);
  fs::remove_all(folder);
}

TEST_CASE("pipeline: what makes no sense is the user's error") {
  CHECK(error_of({.stop_after = "fold"}) == "there is no pass 'fold': expected one of keep, grow");
  CHECK(error_of({.limit = -1}) == "FOVEA_PASSES=-1: expected a number of passes, 0 or more");
  CHECK(error_of({.dump = "fold"}) == "FOVEA_DUMP=fold: expected 'all' or one of keep, grow");
}

TEST_CASE("pipeline: the environment sets the options") {
  const Setting dump("FOVEA_DUMP", "simplify"), folder("FOVEA_DUMP_DIR", "/tmp/somewhere"),
      passes("FOVEA_PASSES", "12"), time("FOVEA_TIME", "1");
  const RunOptions options = options_from_environment();
  CHECK(options.dump == "simplify");
  CHECK(options.dump_dir == "/tmp/somewhere");
  CHECK(options.limit == 12);
  CHECK(options.time);
}

TEST_CASE("pipeline: the environment is empty by default, and checked") {
  const RunOptions options = options_from_environment();
  CHECK(options.dump.empty());
  CHECK(!options.limit);
  CHECK(!options.time);
  for (const char* bad : {"twelve", "-1", "1.5", "3 ", "99999999999"}) {
    const Setting passes("FOVEA_PASSES", bad);
    CHECK(environment_error() ==
          fmt::format("FOVEA_PASSES={}: expected a number of passes, 0 or more", bad));
  }
  const Setting time("FOVEA_TIME", "yes");
  CHECK(environment_error() == "FOVEA_TIME=yes: expected 0 or 1");
}

TEST_CASE("pipeline: is a list of named passes with one line of help each") {
  CHECK(!pipeline().empty());
  for (const Pass& pass : pipeline()) {
    CHECK(!pass.name.empty());
    CHECK(!pass.help.empty());
    CHECK(pass.help.find('\n') == std::string_view::npos);
  }
  const ir::Graph graph = small_graph();
  const ir::Graph compiled = run_pipeline(graph, kTarget, {});
  CHECK(!compiled.kernels.empty());
  CHECK(!difference(graph, compiled));
}

}  // namespace fovea::passes
