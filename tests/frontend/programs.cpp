#include "tests/frontend/programs.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "codegen/targets.h"
#include "ir/extent.h"
#include "ir/text.h"
#include "tests/codegen/environment.h"
#include "tests/passes/same_meaning.h"

namespace fovea::test {
namespace {

// Extents of the open axes, in turn.
constexpr std::int64_t kUsual[][5] = {{1, 1, 1, 1, 1},      {2, 2, 2, 2, 2},     {7, 7, 7, 7, 7},
                                      {33, 33, 33, 33, 33}, {5, 40, 17, 3, 130}, {65, 2, 9, 34, 7},
                                      {0, 0, 0, 0, 0}};

double number(const std::string& text, const std::filesystem::path& path) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  REQUIRE_MESSAGE((error == std::errc() && end == text.data() + text.size()),
                  path.string() << ": '" << text << "' is no number");
  return value;
}

// "i=33 j=17"
Sizes sizes_of(std::istream& words, const std::filesystem::path& path) {
  Sizes sizes;
  for (std::string word; words >> word;) {
    const auto at = word.find('=');
    REQUIRE_MESSAGE(at != word.npos, path.string() << ": '" << word << "' is no size");
    sizes[word.substr(0, at)] = static_cast<std::int64_t>(number(word.substr(at + 1), path));
  }
  return sizes;
}

void read_directive(ProgramFile& program, const std::string& line,
                    const std::filesystem::path& path) {
  std::istringstream words(line);
  std::string hash, what, name, equals;
  words >> hash >> what;
  if (hash != "#") return;
  if (what == "sizes") program.sizes.push_back(sizes_of(words, path));
  if (what == "seed") {
    words >> name;
    program.seed = static_cast<unsigned>(number(name, path));
  }
  if (what == "tolerance") {
    words >> name;
    program.tolerance = number(name, path);
  }
  if (what == "input" && words >> name >> equals && equals == "=") {
    std::string rule;
    std::getline(words, rule);
    program.inputs[name] = parse_rule(rule);
  }
}

// Five long axes take minutes to interpret: the first of the graph are made short until one can wait.
void shorten(const Graph& graph, Sizes& sizes) {
  constexpr std::int64_t kFew = 5, kPoints = std::int64_t{1} << 21;
  std::int64_t points = 1;
  for (const auto& [name, size] : sizes) points *= std::max<std::int64_t>(size, 1);
  for (const ir::Axis& axis : graph.axes) {
    const auto size = sizes.find(axis.name);
    if (points <= kPoints || size == sizes.end() || size->second <= kFew) continue;
    points = points / size->second * kFew;
    size->second = kFew;
  }
}

std::vector<Sizes> usual_sizes(const Graph& graph) {
  std::vector<Sizes> all;
  for (const auto& extents : kUsual) {
    Sizes sizes;
    for (const ir::Axis& axis : graph.axes)
      if (axis.extent.empty() && axis.degree == ir::kNone)
        sizes[axis.name] = extents[sizes.size() % std::size(extents)];
    shorten(graph, sizes);
    if (std::ranges::find(all, sizes) == all.end()) all.push_back(std::move(sizes));
  }
  return all;
}

Outcome outcome_of(auto&& action) {
  try {
    return {action(), ""};
  } catch (const Error& error) {
    return {{}, std::string(name(error.code()))};
  }
}

struct Example {
  Sizes sizes;
  ir::Arrays inputs;
  Outcome expected;
};

std::optional<std::string> example_differs(const Kernel& kernel, const ProgramFile& program,
                                           const Example& example) {
  const Outcome found =
      outcome_of([&] { return run(kernel, program.graph, example.inputs, example.sizes); });
  if (found.error != example.expected.error)
    return fmt::format("error '{}', expected '{}'", found.error, example.expected.error);
  if (!found.error.empty()) return {};
  return difference(found.arrays, example.expected.arrays, program.tolerance);
}

// Small enough to interpret after every pass; of the open axes in turn.
constexpr std::int64_t kSmall[][4] = {{1, 1, 1, 1}, {4, 5, 3, 6}, {3, 2, 7, 2}};

std::optional<std::string> stage_differs(const ProgramFile& program) {
  std::vector<passes::Example> examples;
  for (const auto& extents : kSmall) {
    Sizes sizes;
    for (const ir::Axis& axis : program.graph.axes)
      if (axis.extent.empty() && axis.degree == ir::kNone)
        sizes[axis.name] = extents[sizes.size() % std::size(extents)];
    examples.push_back({sizes, make_inputs(program.graph, program.inputs, sizes, program.seed)});
  }
  constexpr double kTolerance = 1e-9;
  return passes::differing_stage(program.graph, examples, kTolerance);
}

// How a program is compiled, and on which examples it runs then.
struct Way {
  Options options;
  std::size_t first = 0, step = 1;
  bool asserts = false;  // FOVEA_ASSERTS: kernels check themselves
};

// Fused, and on two threads whichever form the extents choose.
std::vector<Way> best_row() {
  const std::string best(codegen::runnable_targets().front().name);
  return {{{.target = best, .threads = 1, .fuse = true}}, {{.target = best, .threads = 2}}};
}

// Unfused, checking themselves, and the other rows, which share the examples.
std::vector<Way> other_ways() {
  const auto targets = codegen::runnable_targets();
  const std::string best(targets.front().name);
  std::vector<Way> ways{{{.target = best, .threads = 1, .fuse = false}},
                        {{.target = best, .threads = 1, .fuse = true}, 0, 1, true}};
  for (std::size_t n = 1; n < targets.size(); ++n)
    ways.push_back(
        {{.target = std::string(targets[n].name), .threads = 1, .fuse = true}, n % 3, 3});
  return ways;
}

}  // namespace

bool has_empty_axis(const Sizes& sizes) {
  return std::ranges::any_of(sizes, [](const auto& size) { return size.second == 0; });
}

ProgramFile load_program(const std::filesystem::path& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path.string());
  ProgramFile program;
  std::string text;
  for (std::string line; std::getline(file, line); text += line + "\n")
    read_directive(program, line, path);
  program.graph = parse(text);
  if (program.sizes.empty()) program.sizes = usual_sizes(program.graph);
  return program;
}

std::vector<std::filesystem::path> programs_below(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".fov") paths.push_back(entry.path());
  std::ranges::sort(paths);
  return paths;
}

std::optional<std::string> program_differs(const ProgramFile& program,
                                           std::optional<std::size_t> turn) {
  if (auto what = stage_differs(program)) return what;
  std::vector<Example> examples;
  for (const Sizes& sizes : program.sizes) {
    Example example{sizes, make_inputs(program.graph, program.inputs, sizes, program.seed), {}};
    example.expected =
        outcome_of([&] { return ir::interpret(program.graph, example.inputs, sizes); });
    examples.push_back(std::move(example));
  }
  const auto points = [](const Example& example) {
    double product = 1;
    for (const auto& [name, extent] : example.sizes) product *= static_cast<double>(extent);
    return product;
  };
  const auto largest =
      static_cast<std::size_t>(std::ranges::max_element(examples, {}, points) - examples.begin());
  const auto check = [&](const Way& way) {
    const Options& options = way.options;
    std::optional<Environment> asserts;
    if (way.asserts) asserts.emplace("FOVEA_ASSERTS", "1");
    const Kernel kernel = compile(program.graph, options);
    for (std::size_t n = way.first; n < examples.size(); n += way.step) {
      if (way.asserts && has_empty_axis(examples[n].sizes)) continue;
      if (auto what = example_differs(kernel, program, examples[n]))
        return std::optional(
            fmt::format("{}\non {} with {} threads{}{}{}, {}", *what, options.target,
                        options.threads, options.fuse.value_or(true) ? "" : ", unfused",
                        way.asserts ? ", checking themselves" : "",
                        options.sizes.empty() ? "" : ", compiled for these extents",
                        describe(examples[n].sizes)));
    }
    return std::optional<std::string>();
  };
  for (const Way& way : best_row())
    if (auto what = check(way)) return what;
  // Once more for the extents of the largest example, as `fovea run --for-sizes` compiles it.
  Way for_sizes{best_row().front().options, largest, examples.size()};
  for_sizes.options.sizes = examples[largest].sizes;
  std::vector<Way> others = other_ways();
  others.push_back(std::move(for_sizes));
  if (turn) {
    Way its = others[*turn % others.size()];
    its.first = examples.size() - 1;
    others = {its};
  }
  for (const Way& way : others)
    if (auto what = check(way)) return what;
  return {};
}

}  // namespace fovea::test
