// passes/pipeline.cpp — the whole compiler, top to bottom.
#include "passes/pipeline.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ir/require.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "passes/block_mask.h"
#include "passes/carry.h"
#include "passes/compensate_scans.h"
#include "passes/defer_normalization.h"
#include "passes/fuse.h"
#include "passes/order_sums.h"
#include "passes/plan_buffers.h"
#include "passes/reassociate.h"
#include "passes/simplify.h"
#include "passes/spread_scans.h"
#include "passes/tile.h"

namespace fovea::passes {
namespace {

constexpr Pass kPipeline[] = {
    {"simplify", simplify, "fold, share and drop"},
    {"spread_scans", spread_scans, "contract prefix sums on a plane, which `carry` walks once"},
    {"reassociate", reassociate, "order contractions by cost"},
    {"defer_normalization", defer_normalization, "divide per row"},  // before fuse: frees the sum
    {"simplify", simplify, "fold what the two above have opened"},
    {"order_sums", order_sums, "fold planes before what lies beside them"},
    {"compensate_scans", compensate_scans, "keep what prefix sums round away, for differences"},
    {"fuse", fuse, "partition into kernels that store nothing on a pair plane"},
    {"block_mask", block_mask, "find the masks that decide which blocks are visited"},
    {"carry", carry, "sum blocks once that all later rows see"},
    {"tile", tile, "choose tiles, blocks and chunks for the target"},
    {"plan_buffers", plan_buffers, "let what is stored between kernels share memory"},
};

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

std::string names(std::span<const Pass> passes) {
  std::string list;
  for (std::size_t n = 0; n < passes.size(); ++n) {
    bool seen = false;
    for (const Pass& before : passes.first(n)) seen = seen || before.name == passes[n].name;
    if (!seen) list += fmt::format("{}{}", list.empty() ? "" : ", ", passes[n].name);
  }
  return list;
}

bool has(std::span<const Pass> passes, std::string_view name) {
  for (const Pass& pass : passes)
    if (pass.name == name) return true;
  return false;
}

void check(std::span<const Pass> passes, const RunOptions& options) {
  require(options.stop_after.empty() || has(passes, options.stop_after), Code::invalid_config,
          "there is no pass '{}': expected one of {}", options.stop_after, names(passes));
  require(options.dump.empty() || options.dump == "all" || has(passes, options.dump),
          Code::invalid_config, "FOVEA_DUMP={}: expected 'all' or one of {}", options.dump,
          names(passes));
  require(options.limit.value_or(0) >= 0, Code::invalid_config,
          "FOVEA_PASSES={}: expected a number of passes, 0 or more", options.limit.value_or(0));
}

void write(const std::filesystem::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  require(file.good(), Code::invalid_config, "FOVEA_DUMP_DIR: cannot write '{}'", path.string());
}

// Only once per run, so that a directory that cannot be made is told before any pass runs.
void make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  require(!error, Code::invalid_config, "FOVEA_DUMP_DIR={}: cannot make that directory: {}", path,
          error.message());
}

class Runner {
 public:
  Runner(const ir::Target& target, const RunOptions& options)
      : target_(target), options_(options) {}

  void start(const ir::Graph& graph) {
    if (options_.dump_dir.empty()) return;
    make_directory(options_.dump_dir);
    write_files(0, "input", graph);
  }

  ir::Graph step(const Pass& pass, int number, const ir::Graph& before) {
    const auto begin = std::chrono::steady_clock::now();
    ir::Graph after = pass.run(before, target_);
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - begin;
    ir::verify(after, pass.name);
    const PassReport report{pass, number, spent.count(), after != before, after};
    dump(report);
    if (options_.time) add_time(report);
    if (options_.report) options_.report(report);
    return after;
  }

  void finish() {
    if (options_.time) print(fmt::format("{}{:8.3f} ms  in all\n", times_, total_));
  }

 private:
  void dump(const PassReport& report) {
    if (options_.dump == "all" || options_.dump == report.pass.name)
      print(fmt::format("# after {} {}\n{}", report.number, report.pass.name,
                        report.changed ? ir::print(report.graph) : "(unchanged)\n"));
    if (!options_.dump_dir.empty()) write_files(report.number, report.pass.name, report.graph);
  }

  void write_files(int number, std::string_view name, const ir::Graph& graph) {
    const std::filesystem::path directory = options_.dump_dir;
    const std::string stem = fmt::format("{:02}_{}", number, name);
    write(directory / (stem + ".fov"), ir::print(graph));
    write(directory / (stem + ".dot"), ir::dot(graph));
  }

  void add_time(const PassReport& report) {
    total_ += report.milliseconds;
    times_ += fmt::format("{:8.3f} ms  {:2} {:20} {:4} nodes{}\n", report.milliseconds,
                          report.number, report.pass.name, report.graph.nodes.size(),
                          report.changed ? "" : "  (unchanged)");
  }

  void print(const std::string& text) {
    if (options_.print) return options_.print(text);
    fmt::print(stderr, "{}", text);
  }

  const ir::Target& target_;
  const RunOptions& options_;
  std::string times_;
  double total_ = 0;
};

}  // namespace

std::span<const Pass> pipeline() { return kPipeline; }

RunOptions options_from_environment() {
  RunOptions options;
  options.dump = environment("FOVEA_DUMP");
  options.dump_dir = environment("FOVEA_DUMP_DIR");
  const std::string_view time = environment("FOVEA_TIME");
  require(time.empty() || time == "0" || time == "1", Code::invalid_config,
          "FOVEA_TIME={}: expected 0 or 1", time);
  options.time = time == "1";
  if (const std::string_view limit = environment("FOVEA_PASSES"); !limit.empty()) {
    int number = 0;
    const auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), number);
    require(error == std::errc() && end == limit.data() + limit.size() && number >= 0,
            Code::invalid_config, "FOVEA_PASSES={}: expected a number of passes, 0 or more", limit);
    options.limit = number;
  }
  return options;
}

ir::Graph run_passes(std::span<const Pass> passes, const ir::Graph& graph, const ir::Target& target,
                     const RunOptions& options) {
  check(passes, options);
  Runner runner(target, options);
  runner.start(graph);
  ir::Graph current = graph;
  int number = 0;
  for (const Pass& pass : passes) {
    if (options.limit && number >= *options.limit) break;
    current = runner.step(pass, ++number, current);
    if (pass.name == options.stop_after) break;
  }
  runner.finish();
  return current;
}

ir::Graph run_pipeline(const ir::Graph& graph, const ir::Target& target,
                       const RunOptions& options) {
  return run_passes(kPipeline, graph, target, options);
}

}  // namespace fovea::passes
