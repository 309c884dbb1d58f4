#include "passes/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "ir/query.h"
#include "ir/require.h"
#include "ir/rewrite.h"
#include "ir/text.h"
#include "ir/verify.h"

namespace fovea::passes {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

// What a pass is called in a form.
std::string path_of(std::string_view form, std::string_view pass) {
  return form.empty() ? std::string(pass) : fmt::format("{}/{}", form, pass);
}

// Every pass of `passes` in the form called so, once.
void add_paths(std::string_view form, std::span<const Pass> passes,
               std::vector<std::string>& into) {
  for (const Pass& pass : passes)
    if (std::string path = path_of(form, pass.name); std::ranges::find(into, path) == into.end())
      into.push_back(std::move(path));
}

// The paths of all passes of all forms.
const std::vector<std::string>& all_paths() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> paths;
    for (const Form& form : forms()) {
      add_paths(form.path(), pipeline(), paths);
      add_paths(form.path(), passes_after(form), paths);
    }
    return paths;
  }();
  return all;
}

// For messages: the passes of the general form, then the names of the other forms.
std::string expected(const std::vector<std::string>& paths) {
  std::string list;
  for (const std::string& path : paths)
    if (path.find('/') == std::string::npos)
      list += fmt::format("{}{}", list.empty() ? "" : ", ", path);
  return list;
}

std::string expected_forms(const std::vector<std::string>& paths) {
  std::string list;
  if (std::ranges::none_of(paths, [](const auto& path) { return path.find('/') != path.npos; }))
    return list;
  for (const Specialization& each : specializations())
    list += fmt::format("{}{}/", list.empty() ? ", or after " : ", ", each.name);
  return list;
}

void check(const std::vector<std::string>& paths, const RunOptions& options) {
  const auto is_known = [&](const std::string& path) {
    return std::ranges::find(paths, path) != paths.end();
  };
  require(options.stop_after.empty() || is_known(options.stop_after), Code::invalid_config,
          "there is no pass '{}': expected one of {}{}", options.stop_after, expected(paths),
          expected_forms(paths));
  require(options.dump.empty() || options.dump == "all" || is_known(options.dump),
          Code::invalid_config, "FOVEA_DUMP={}: expected 'all' or one of {}{}", options.dump,
          expected(paths), expected_forms(paths));
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

// The passes of one form.
class Runner {
 public:
  Runner(std::string form, const ir::Target& target, const RunOptions& options)
      : form_(std::move(form)), target_(target), options_(options) {}

  // `number`: of the passes that were run before.
  ir::Graph operator()(std::span<const Pass> passes, const ir::Graph& graph, int number = 0) {
    start(graph, number);
    ir::Graph current = graph;
    for (const Pass& pass : passes) {
      ++number;
      const bool beyond = options_.limit && number > *options_.limit;
      if (beyond && (pass.least == nullptr || !options_.stop_after.empty())) continue;
      current = beyond ? least(pass, current) : step(pass, number, current);
      if (path_of(form_, pass.name) == options_.stop_after) break;
    }
    if (options_.time) print(fmt::format("{}{:8.3f} ms  in all\n", times_, total_));
    return current;
  }

 private:
  void start(const ir::Graph& graph, int number) {
    if (options_.time && !form_.empty()) times_ = fmt::format("# {}\n", form_);
    if (options_.dump_dir.empty()) return;
    make_directory(directory().string());
    if (number == 0) write_files(0, "input", graph);
  }

  ir::Graph least(const Pass& pass, const ir::Graph& before) {
    ir::Graph after = pass.least(before, target_);
    ir::verify(after, pass.name);
    return after;
  }

  ir::Graph step(const Pass& pass, int number, const ir::Graph& before) {
    const auto begin = std::chrono::steady_clock::now();
    ir::Graph after = pass.run(before, target_);
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - begin;
    ir::verify(after, pass.name);
    const std::string path = path_of(form_, pass.name);
    const PassReport report{pass, path, number, spent.count(), after != before, after};
    dump(report);
    if (options_.time) add_time(report);
    if (options_.report) options_.report(report);
    return after;
  }

  void dump(const PassReport& report) {
    if (options_.dump == "all" || options_.dump == report.path)
      print(fmt::format("# after {} {}\n{}", report.number, report.path,
                        report.changed ? ir::print(report.graph) : "(unchanged)\n"));
    if (!options_.dump_dir.empty()) write_files(report.number, report.pass.name, report.graph);
  }

  std::filesystem::path directory() const {
    return std::filesystem::path(options_.dump_dir) / form_;
  }

  void write_files(int number, std::string_view name, const ir::Graph& graph) {
    const std::string stem = fmt::format("{:02}_{}", number, name);
    write(directory() / (stem + ".fov"), ir::print(graph));
    write(directory() / (stem + ".dot"), ir::dot(graph));
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

  const std::string form_;
  const ir::Target& target_;
  const RunOptions& options_;
  std::string times_;
  double total_ = 0;
};

// Inputs that the passes found needless are inputs still: callers bind them, and they may be all
// that tells an extent.
ir::Graph with_inputs_of(const ir::Graph& source, ir::Graph graph) {
  std::vector<ir::Node> lost;
  for (const ir::Node& node : source.nodes) {
    const auto* input = ir::input_of(node);
    const auto is_same = [&](const ir::Node& other) {
      const auto* kept = ir::input_of(other);
      return kept && kept->name == input->name;
    };
    if (input && std::ranges::none_of(graph.nodes, is_same)) lost.push_back(node);
  }
  graph.nodes.insert(graph.nodes.end(), lost.begin(), lost.end());
  return graph;
}

// Without what that has added, which passes need not know.
ir::Graph without_spare_inputs(ir::Graph graph) {
  const std::vector<int> uses = ir::count_uses(graph);
  while (!graph.nodes.empty() && ir::is_input(graph.nodes.back()) &&
         uses[graph.nodes.size() - 1] == 0)
    graph.nodes.pop_back();
  return graph;
}

// All passes of a form, as far as the options say.
ir::Graph run_all(const Form& form, const ir::Graph& graph, const ir::Target& target,
                  const RunOptions& options) {
  std::vector<Pass> passes = pipeline_of(form);
  passes.insert(passes.end(), passes_after(form).begin(), passes_after(form).end());
  return Runner(form.path(), target, options)(passes, graph);
}

}  // namespace

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

ir::Graph run_pipeline(const ir::Graph& graph, const ir::Target& target,
                       const RunOptions& options) {
  check(all_paths(), options);
  const std::size_t end = options.stop_after.rfind('/');
  const std::string path = end == std::string::npos ? "" : options.stop_after.substr(0, end);
  const std::vector<Form> all = forms();
  const auto form = std::ranges::find(all, path, &Form::path);
  invariant(form != all.end(), "a pass is of no form");
  return run_all(*form, graph, target, options);
}

ir::Graph run_form(const Form& form, const ir::Graph& graph, const ir::Target& target,
                   const RunOptions& options) {
  check(all_paths(), options);
  return with_inputs_of(graph, run_all(form, graph, target, options));
}

ir::Graph run_rows(const Form& form, const ir::Graph& made, const ir::Target& target,
                   const RunOptions& options) {
  Runner runner(form.path(), target, options);
  const auto before = static_cast<int>(pipeline().size());
  return with_inputs_of(made, runner(passes_after(form), without_spare_inputs(made), before));
}

ir::Graph run_passes(std::span<const Pass> passes, const ir::Graph& graph, const ir::Target& target,
                     const RunOptions& options) {
  std::vector<std::string> paths;
  add_paths("", passes, paths);
  check(paths, options);
  return Runner("", target, options)(passes, graph);
}

}  // namespace fovea::passes
