// What a mask hides stays hidden, whatever it is: NaN in keys and values reaches exactly the rows
// that see them.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "ops/mechanism.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Subject {
  std::string name;
  std::map<std::string, double> options;
  bool by_scores = false;  // keys choose who sees them: only values can be hidden
};

const std::vector<Subject> kSubjects{
    {"strided", {{"window", 3}, {"stride", 5}}},
    {"dilated", {{"window", 4}, {"stride", 3}}},
    {"block_sparse", {{"block", 16}}},
    {"coo", {}},
    {"big_bird", {{"block", 8}, {"window", 1}, {"global", 1}, {"random", 1}}},
    {"random_blocks", {{"block", 8}, {"random", 2}}},
    {"prefix_lm", {{"start", 1}}},
    {"top_k", {{"k", 4}}, true},
    {"local_global", {{"window", 6}, {"global", 2}}},
};

// A mechanism of one head on rows x columns, its inputs, and who sees whom.
struct Scene {
  Graph graph;
  ir::Arrays inputs;
  std::vector<std::vector<bool>> sees;  // [row][column]
};

Scene scene_of(const Subject& subject, std::int64_t rows, std::int64_t columns) {
  const ops::Mechanism& mechanism = ops::find(subject.name);
  const auto made = [&](double width, ir::Arrays& inputs) {
    std::map<std::string, double> given{{"d", 8}, {"e", width}};
    for (const ops::Option& option : mechanism.options)
      if (const auto own = subject.options.find(std::string(option.name));
          own != subject.options.end())
        given.insert(*own);
    const ops::Problem problem(mechanism.options, given);
    Graph graph = mechanism.build(problem);
    const Sizes sizes = ops::example_sizes(graph, rows, columns, 1);
    inputs = ops::example_inputs(mechanism, problem, graph, sizes, 1);
    return graph;
  };
  Scene scene;
  scene.graph = made(16, scene.inputs);
  if (scene.inputs.contains("prefix")) scene.inputs.at("prefix").data = {5};
  // Weights are what a row makes of unit vectors.
  ir::Arrays unit;
  const Graph wide = made(static_cast<double>(columns), unit);
  for (const auto& [name, array] : scene.inputs)
    if (name != "v") unit.at(name) = array;
  std::vector<double>& values = unit.at("v").data;
  for (std::size_t n = 0; n < values.size(); n++)
    values[n] = n / static_cast<std::size_t>(columns) == n % static_cast<std::size_t>(columns);
  const std::vector<double> weights = ir::interpret(wide, unit).at("o").data;
  for (std::size_t n = 0; n < weights.size(); n += static_cast<std::size_t>(columns)) {
    scene.sees.emplace_back();
    for (std::size_t j = 0; j < static_cast<std::size_t>(columns); j++)
      scene.sees.back().push_back(weights[n + j] > 0);
  }
  return scene;
}

void poison(const Subject& subject, ir::Arrays& inputs, std::size_t key, double with) {
  for (const char* name : {"k", "v"}) {
    if (subject.by_scores && name[0] == 'k') continue;
    ir::Array& array = inputs.at(name);
    const auto width = static_cast<std::size_t>(array.shape.back());
    std::fill_n(array.data.begin() + static_cast<std::ptrdiff_t>(key * width), width, with);
  }
}

void check(const Kernel& kernel, const Scene& scene, const ir::Arrays& inputs,
           const ir::Arrays& expected) {
  const auto meant = difference(ir::interpret(scene.graph, inputs), expected, 1e-12);
  CHECK_MESSAGE(!meant, meant.value_or(""));
  const auto differs = difference(run(kernel, scene.graph, inputs), expected);
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

}  // namespace

TEST_CASE("NaN in keys and values reaches the rows that see them, and no other") {
  for (const Subject& subject : kSubjects) {
    INFO(subject.name);
    for (const auto& [rows, columns] : {std::pair{3, 200}, {1, 300}, {70, 130}}) {
      CAPTURE(rows);
      const Scene scene = scene_of(subject, rows, columns);
      const Kernel kernel = compile(scene.graph);
      const ir::Arrays right = ir::interpret(scene.graph, scene.inputs);
      ir::Arrays hidden = scene.inputs;
      std::size_t unseen = 0, partly = scene.sees.front().size();
      for (std::size_t j = 0; j < scene.sees.front().size(); j++) {
        const auto sees = [&](const std::vector<bool>& row) { return bool(row[j]); };
        const auto seen = static_cast<std::size_t>(std::ranges::count_if(scene.sees, sees));
        if (seen == 0) poison(subject, hidden, j, unseen++ % 2 == 0 ? kNan : kInfinity);
        if (seen > 0 && seen < scene.sees.size()) partly = j;
      }
      if (rows <= 3) CHECK(unseen > 0);
      check(kernel, scene, hidden, right);
      if (partly == scene.sees.front().size()) continue;
      // Rows that do not see it have its scores behind their mask.
      poison(subject, hidden, partly, kNan);
      ir::Arrays spoilt = right;
      ir::Array& o = spoilt.at("o");
      const auto width = static_cast<std::size_t>(o.shape.back());
      for (std::size_t i = 0; i < scene.sees.size(); i++)
        if (scene.sees[i][partly])
          std::fill_n(o.data.begin() + static_cast<std::ptrdiff_t>(i * width), width, kNan);
      check(kernel, scene, hidden, spoilt);
    }
  }
}

}  // namespace fovea::test
