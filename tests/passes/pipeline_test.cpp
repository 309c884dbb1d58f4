#include "passes/run.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "ir/error.h"
#include "ir/query.h"
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

TEST_CASE("pipeline: two tables of named things with one line of help each") {
  const auto check = [](std::string_view name, std::string_view help) {
    INFO(name);
    CHECK(!name.empty());
    CHECK(name.find('/') == std::string_view::npos);
    CHECK(!help.empty());
    CHECK(help.find('\n') == std::string_view::npos);
  };
  CHECK(!pipeline().empty());
  for (const Pass& pass : pipeline()) check(pass.name, pass.help);
  for (const Specialization& each : specializations()) {
    check(each.name, each.help);
    CHECK((each.fits != nullptr) == (each.choice == Choice::rows));
    for (const Pass& pass : each.then) check(pass.name, pass.help);
    for (const Replacement& replacement : each.instead)
      CHECK(std::ranges::find(pipeline(), replacement.pass, &Pass::run) != pipeline().end());
  }
  const ir::Graph graph = small_graph();
  const ir::Graph compiled = run_pipeline(graph, kTarget, {});
  CHECK(!compiled.kernels.empty());
  CHECK(!difference(graph, compiled));
}

TEST_CASE("pipeline: every form has a path of its own, and the first is the general one") {
  std::set<std::string> paths;
  for (const Form& form : forms()) CHECK(paths.insert(form.path()).second);
  CHECK(forms().front() == Form());
  CHECK(forms().front().path().empty());
  CHECK(paths.contains("decode"));
  CHECK(paths.contains("short_axes/unfused/few_rows"));
}

namespace {

ir::Graph attention() {
  return ir::parse(
      "axis i, j, d = 16\nq : f32[i, d]\nk : f32[j, d]\nv : f32[j]\nspare : i32[i]\n"
      "out o = sum(j, softmax(j, sum(d, q * k)) * v) + spare * 0\n");
}

const Form& form_called(std::string_view path) {
  static const std::vector<Form> all = forms();
  return *std::ranges::find(all, path, &Form::path);
}

std::vector<std::string> paths_of(const Form& form, RunOptions options = {}) {
  std::vector<std::string> paths;
  options.report = [&](const PassReport& report) {
    paths.push_back(fmt::format("{} {}", report.number, report.path));
  };
  run_form(form, attention(), kTarget, options);
  return paths;
}

}  // namespace

TEST_CASE("pipeline: passes of other forms are numbered on, named, dumped and timed") {
  const std::vector<std::string> general = paths_of({}), decode = paths_of(form_called("decode"));
  REQUIRE(general.size() == pipeline().size());
  REQUIRE(decode.size() == general.size() + 3);
  CHECK(general.back() == fmt::format("{} plan_buffers", general.size()));
  CHECK(decode[0] == "1 decode/check_reads");
  CHECK(decode[general.size()] == fmt::format("{} decode/tile_one_row", general.size() + 1));
  std::string printed;
  RunOptions options{.dump = "decode/tile_one_row", .time = true};
  options.print = [&](std::string_view text) { printed += text; };
  const ir::Graph made = run_form({}, attention(), kTarget);
  const ir::Graph one = run_rows(form_called("decode"), made, kTarget, options);
  CHECK(printed.find("decode/tile_one_row") != std::string::npos);
  CHECK(printed.find("rows=1 ") != std::string::npos);
  CHECK(printed.find("# decode\n") != std::string::npos);
  CHECK(one == run_form(form_called("decode"), attention(), kTarget));
  CHECK(one.kernels.at(0).row_tile == 1);
}

TEST_CASE("pipeline: stops after a pass of another form") {
  const ir::Graph fused = run_pipeline(attention(), kTarget, {.stop_after = "fuse"});
  const ir::Graph unfused = run_pipeline(attention(), kTarget, {.stop_after = "unfused/fuse"});
  CHECK(fused.kernels.size() == 1);
  CHECK(unfused.kernels.size() > 1);
  const ir::Graph tiled =
      run_pipeline(attention(), kTarget, {.stop_after = "few_rows/tile_few_rows"});
  CHECK(tiled.kernels.at(0).lanes == ir::Lanes::Columns);
  for (const char* path : {"decode/nothing", "nothing/fuse", "tile_one_row", "decode"}) {
    INFO(path);
    std::string said;
    try {
      run_pipeline(attention(), kTarget, {.stop_after = path});
    } catch (const Error& error) {
      said = error.what();
    }
    CHECK(said.starts_with(
        fmt::format("there is no pass '{}': expected one of check_reads, ", path)));
    CHECK(said.find("decode/") != std::string::npos);
  }
}

TEST_CASE("pipeline: whatever a bisection leaves out, code can be made of what is left") {
  for (const Form& form : forms()) {
    const auto all = static_cast<int>(pipeline().size() + passes_after(form).size());
    for (int limit = 0; limit <= all; limit++) {
      INFO(form.path() << " " << limit);
      CHECK(paths_of(form, {.limit = limit}).size() == static_cast<std::size_t>(limit));
      const ir::Graph made = run_form(form, attention(), kTarget, {.limit = limit});
      CHECK(!difference(attention(), made));
      REQUIRE(!made.kernels.empty());
      for (const ir::Kernel& kernel : made.kernels) {
        CHECK(kernel.slots.size() == kernel.results.size());
        CHECK((kernel.row == ir::kNone || kernel.row_tile > 0));
      }
      CHECK(std::ranges::any_of(made.nodes, [](const ir::Node& node) {
        const auto* input = ir::input_of(node);
        return input != nullptr && input->name == "spare";
      }));
    }
  }
}

TEST_CASE("pipeline: coordinates are bounded once, however often") {
  const ir::Graph graph = ir::parse(
      "axis i, j, n\nk : f32[j]\nlist : i32[i, n]\nout o = sum(n, softmax(n, k[j = list]))\n");
  const ir::Graph made = run_pipeline(graph, kTarget, {});
  CHECK(made.outputs.size() == 3);
  const ir::Graph again = run_pipeline(ir::parse(ir::print(made)), kTarget, {});
  CHECK(again.outputs.size() == 3);
  CHECK(again.kernels.size() == made.kernels.size());
}

TEST_CASE("pipeline: outputs that are called like bounds of coordinates are the user's error") {
  const std::string reads = "axis i, n\nx : f32[i]\na : i32[n]\nb = x[i = a]\nout o = b\n";
  for (const std::string& text :
       {std::string("axis i\nx : f32[i]\nout __low_0_1i_a = x + 1\n"),
        std::string("axis i\nx : f32[i]\nout __low_0_1i_a = x\nout __high_0_1i_a = x + 1\n"),
        reads + "out __low_0_1i_b = min(n, a)\n", reads + "out __high_0_1i_b = max(n, a)\n",
        reads + "out __bound = max(n, a)\n"}) {
    INFO(text);
    std::string said;
    try {
      run_pipeline(ir::parse(text), kTarget, {});
    } catch (const Error& error) {
      CHECK(error.code() == Code::invalid_config);
      said = error.what();
    }
    CHECK(said.find("names that begin with two underscores are the compiler's") !=
          std::string::npos);
  }
}

}  // namespace fovea::passes
