#include "tests/frontend/trial.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "ir/interpret_kernels.h"
#include "ir/query.h"
#include "ir/rounding.h"
#include "ir/text.h"
#include "tests/child.h"
#include "tests/passes/stages.h"

namespace fovea::test {
namespace {

constexpr double kTolerance = 1e-5;  // of the largest element
constexpr double kNarrow = 1e-2;     // the same of 16-bit outputs, whose last bit may differ
constexpr double kRoundings = 32;    // how many times the error of a run that rounds
constexpr unsigned kSamples = 4;     // runs that round, and again as many before something is wrong
constexpr unsigned kMoreSamples = 16;
constexpr unsigned kPatience = 60;   // seconds of computing for one program
constexpr unsigned kAtAll = 600;     // seconds that it may take on a busy machine
constexpr double kSmallest = 1e-37;  // smaller numbers may lose their digits, or be 0

double as_f32(double x) { return static_cast<double>(static_cast<float>(x)); }

// How far the runs that round are off, by element; infinite where they disagree in kind.
std::vector<double> errors_of(const std::string& name, const Expectation& expected) {
  const ir::Array& exact = expected.exact.at(name);
  std::vector<double> errors(exact.data.size(), 0);
  const bool real = ir::is_float(exact.dtype);
  for (const ir::Arrays& sample : expected.rounded) {
    const std::vector<double>& rounded = sample.at(name).data;
    for (std::size_t n = 0; n < errors.size(); ++n) {
      const double a = as_f32(exact.data[n]), b = as_f32(rounded[n]);
      if (a == b || (std::isnan(a) && std::isnan(b))) continue;
      const bool comparable = real && std::isfinite(a) && std::isfinite(b);
      errors[n] = comparable ? std::max(errors[n], std::abs(a - b)) : HUGE_VAL;
    }
  }
  return errors;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

double largest_of(const ir::Array& array) {
  double largest = 0;
  for (const double x : array.data)
    if (std::isfinite(as_f32(x))) largest = std::max(largest, std::abs(x));
  return largest;
}

bool agrees(double found, double expected, double allowed) {
  expected = as_f32(expected);
  found = as_f32(found);  // of the interpreter, too
  if (allowed == HUGE_VAL) return true;
  if (std::isnan(found) || std::isnan(expected)) return std::isnan(found) && std::isnan(expected);
  if (std::isinf(found) || std::isinf(expected)) return found == expected;
  return std::abs(found - expected) <= allowed;
}

std::string place_in(const ir::Array& array, std::size_t n) {
  std::string place;
  for (std::size_t axis = array.shape.size(); axis-- > 0;) {
    const auto extent = static_cast<std::size_t>(array.shape[axis]);
    place = fmt::format("{}{}{}", n % extent, place.empty() ? "" : ", ", place);
    n /= extent;
  }
  return "[" + place + "]";
}

std::optional<std::string> difference_in(const std::string& name, const ir::Array& found,
                                         const Expectation& expected) {
  const ir::Array& wanted = expected.exact.at(name);
  if (found.shape != wanted.shape || found.dtype != wanted.dtype)
    return fmt::format("'{}' has another shape or dtype", name);
  const std::vector<double> errors = errors_of(name, expected);
  const bool real = ir::is_float(wanted.dtype);
  const double largest = largest_of(wanted), usual = median(errors);
  const bool narrow = wanted.dtype == bf16 || wanted.dtype == f16;
  for (std::size_t n = 0; n < wanted.data.size(); ++n) {
    const double rounding = kRoundings * (errors[n] + (std::isfinite(usual) ? usual : 0));
    const double allowed =
        real ? (narrow ? kNarrow : kTolerance) * largest + rounding + kSmallest : errors[n];
    if (agrees(found.data[n], wanted.data[n], allowed)) continue;
    return fmt::format("{}{} is {:.9g}, expected {:.9g} (largest {:.3g}, rounding {:.2g})", name,
                       place_in(wanted, n), found.data[n], wanted.data[n], largest, errors[n]);
  }
  return {};
}

void add_samples(Expectation& expected, const Graph& graph, const ir::Arrays& inputs,
                 const Sizes& sizes, unsigned count) {
  const auto first = static_cast<unsigned>(expected.rounded.size());
  for (unsigned n = first; n < first + count; ++n)
    expected.rounded.push_back(ir::interpret_rounded(graph, inputs, sizes, n + 1));
}

struct Found {
  ir::Arrays arrays;
  std::string error, message;
};

Found run_once(const Kernel& kernel, const Trial& trial, const Graph& graph,
               const ir::Arrays& inputs, const Sizes& sizes) {
  try {
    return {run(kernel, graph, inputs, sizes, trial.layout), "", ""};
  } catch (const Error& error) {
    return {{}, std::string(name(error.code())), error.what()};
  }
}

bool same_bits(const ir::Arrays& a, const ir::Arrays& b) {
  for (const auto& [name, array] : a) {
    const std::vector<double>& other = b.at(name).data;
    for (std::size_t n = 0; n < array.data.size(); ++n)
      if (array.data[n] != other[n] && !(std::isnan(array.data[n]) && std::isnan(other[n])))
        return false;
  }
  return true;
}

// What is wrong at these sizes.
std::string wrong_at(const Kernel& one, const Kernel& several, const Trial& trial,
                     const Graph& graph, const Sizes& sizes) {
  const ir::Arrays inputs = make_inputs(graph, trial.rules, sizes, trial.seed);
  Expectation expected = expect(graph, inputs, sizes);
  const Found found = run_once(one, trial, graph, inputs, sizes);
  if (found.error != expected.error)
    return fmt::format("error '{}' ({}), expected '{}'", found.error, found.message,
                       expected.error);
  if (!found.error.empty()) return "";
  if (difference(found.arrays, expected)) {
    add_samples(expected, graph, inputs, sizes, kMoreSamples);
    if (auto what = difference(found.arrays, expected)) return "wrong: " + *what;
  }
  const Found again = run_once(several, trial, graph, inputs, sizes);
  if (!again.error.empty()) return "threads: error " + again.message;
  if (!same_bits(found.arrays, again.arrays)) return "threads: other bits than on one";
  return "";
}

Sizes known_sizes(const Graph& graph, const Sizes& sizes) {
  Sizes known;
  for (const ir::Axis& axis : graph.axes)
    if (const auto size = sizes.find(axis.name);
        size != sizes.end() && axis.extent.empty() && axis.degree == ir::kNone)
      known.insert(*size);
  return known;
}

ir::Arrays interpret_stage(const Graph& graph, const ir::Arrays& inputs, const Sizes& sizes) {
  ir::Arrays needed;  // passes drop inputs
  for (const ir::Node& node : graph.nodes)
    if (const auto* input = ir::input_of(node)) needed.emplace(input->name, inputs.at(input->name));
  return graph.kernels.empty() ? ir::interpret(graph, needed, sizes)
                               : ir::interpret_kernels(graph, needed, sizes);
}

// What is wrong with one stage on the way to code.
std::string wrong_stage(const Graph& graph, const passes::Stage& stage, const ir::Arrays& inputs,
                        const Sizes& sizes, Expectation& expected) {
  try {
    const ir::Arrays found = interpret_stage(stage.graph, inputs, sizes);
    if (!expected.error.empty()) return "no error, expected " + expected.error;
    if (!difference(found, expected)) return "";
    add_samples(expected, graph, inputs, sizes, kMoreSamples);
    return difference(found, expected).value_or("");
  } catch (const Error& error) {
    return name(error.code()) == expected.error ? "" : error.what();
  }
}

// The first stage that means something else than the program, and how.
std::string find_wrong_stage(const Trial& trial, const Graph& graph) {
  const auto targets = ir::targets();
  const auto stages = passes::stages(graph, targets[trial.seed % targets.size()]);
  std::string first;
  std::size_t at = stages.size();
  for (const Sizes& given : trial.sizes) {
    const Sizes sizes = known_sizes(graph, given);
    const ir::Arrays inputs = make_inputs(graph, trial.rules, sizes, trial.seed);
    Expectation expected = expect(graph, inputs, sizes);
    for (std::size_t n = 0; n < at; ++n) {
      const std::string what = wrong_stage(graph, stages[n], inputs, sizes, expected);
      if (what.empty()) continue;
      first = fmt::format("after {}: {}\nfor {}\n{}", stages[n].name, what, describe(sizes),
                          print(stages[n].graph));
      at = n;
    }
  }
  return first;
}

std::string find_wrong(const Trial& trial) {
  const Graph graph = parse(trial.text);
  if (!trial.compiles) return find_wrong_stage(trial, graph);
  Options one = trial.options;
  one.threads = 1;
  const Kernel kernel = compile(graph, one), several = compile(graph, trial.options);
  for (const Sizes& given : trial.sizes) {
    const Sizes sizes = known_sizes(graph, given);
    const std::string what = wrong_at(kernel, several, trial, graph, sizes);
    if (!what.empty()) return fmt::format("{}\nfor {}", what, describe(sizes));
  }
  return "";
}

// Its exit status.
int be_child(const Trial& trial, int end) {
  const rlimit limit{kPatience, kPatience};
  setrlimit(RLIMIT_CPU, &limit);
  alarm(kAtAll);
  if (trial.asserts) setenv("FOVEA_ASSERTS", "1", 1);
  dup2(end, STDERR_FILENO);  // what an abort says
  std::string said;
  try {
    said = find_wrong(trial);
  } catch (const Error& error) {
    said = fmt::format("error {}: {}", name(error.code()), error.what());
  } catch (const std::exception& error) {
    said = fmt::format("exception: {}", error.what());
  }
  const bool told = write(end, said.data(), said.size()) >= 0;
  return said.empty() && told ? 0 : 1;
}

}  // namespace

Expectation expect(const Graph& graph, const ir::Arrays& inputs, const Sizes& sizes) {
  Expectation expected;
  try {
    expected.exact = ir::interpret(graph, inputs, sizes);
    add_samples(expected, graph, inputs, sizes, kSamples);
  } catch (const Error& error) {
    expected.error = std::string(name(error.code()));
  }
  return expected;
}

std::optional<std::string> difference(const ir::Arrays& found, const Expectation& expected) {
  for (const auto& [name, exact] : expected.exact)
    if (auto what = difference_in(name, found.at(name), expected)) return what;
  return {};
}

std::string verdict(const Trial& trial) {
  const auto& [said, status] = in_child([&](int end) { return be_child(trial, end); });
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
  if (WIFSIGNALED(status)) return fmt::format("{}\nended by signal {}", said, WTERMSIG(status));
  return said.empty() ? fmt::format("ended with status {}", WEXITSTATUS(status)) : said;
}

std::string kind_of(const std::string& verdict) {
  if (verdict.starts_with("wrong: ")) return "wrong";
  if (verdict.starts_with("threads: ")) return "threads";
  if (verdict.starts_with("after ")) return verdict.substr(0, verdict.find(':'));
  std::string kind;
  bool quoted = false;
  for (const char c : verdict.substr(0, verdict.find('\n'))) {
    if (c == '\'') quoted = !quoted;
    if (!quoted && std::isdigit(static_cast<unsigned char>(c)) == 0) kind += c;
  }
  if (const auto at = verdict.find("ended by signal"); at != verdict.npos)
    kind += verdict.substr(at);
  return kind;
}

std::string print(const Trial& trial) {
  const Graph graph = parse(trial.text);
  std::string text;
  for (const Sizes& sizes : trial.sizes) {
    text += "# sizes";
    for (const auto& [name, size] : known_sizes(graph, sizes))
      text += fmt::format(" {}={}", name, size);
    text += "\n";
  }
  for (const auto& [name, rule] : trial.rules)
    if (rule != InputRule{}) text += fmt::format("# input {} = {}\n", name, print(rule));
  return text + trial.text;
}

}  // namespace fovea::test
