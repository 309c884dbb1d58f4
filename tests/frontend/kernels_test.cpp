// Kernels that come with a graph: those of our own passes are taken, whatever else code generation
// is made for gives what the graph means, and everything else is refused as the user's error.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/checks.h"
#include "ir/rewrite.h"
#include "ir/text.h"
#include "ops/mechanism.h"
#include "passes/accept_kernels.h"
#include "passes/fuse.h"
#include "passes/run.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr std::string_view kSoftmax = R"(
axis i, j, d = 8
q : f32[i, d]
k : f32[j, d]
mask = j <= i
other = j < i
p = softmax(j, where(mask, sum(d, q * k), -inf))
out o = sum(j, p * k)
)";
constexpr std::string_view kTwoFolds = R"(
axis i, j
q : f32[i]
k : f32[j]
out a = sum(j, q * k)
out l = max(j, q + k)
)";
constexpr std::string_view kTwoSums = R"(
axis i, j
q : f32[i]
k : f32[j]
out a = sum(j, q * k)
out l = sum(j, exp(q + k))
)";
constexpr std::string_view kHeads = R"(
axis h = 8, g, i, j, d = 16
q : f32[h, i, d]
k : f32[g, j, d]
p = softmax(j, sum(d, q * k[g = h / 4]))
out o = sum(j, p * k[g = h / 4])
)";
constexpr std::string_view kCausalSums = R"(
axis i, j, d = 16, e = 24
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
out o = sum(j, where(j <= i, sum(d, q * k), 0.0) * v)
)";
constexpr std::string_view kBothSides = R"(
axis i, j, d = 16, e = 16
q : f32[i, d]
k : f32[j, d]
g : f32[i, e]
p = sigmoid(sum(d, q * k))
out o = sum(j, p * k)
out w = sum(i, p * g)
)";
struct Refused {
  std::string_view graph, kernel, error;  // the error's beginning
};

std::string with_kernel(std::string_view graph, std::string_view kernel) {
  return fmt::format("{}kernel {}\n", graph, kernel);
}

}  // namespace

TEST_CASE("kernels: what code generation is not made for is refused") {
  for (const auto& [graph, kernel, error] : std::vector<Refused>{
           {kSoftmax, "x(o) over _, j", "unsupported: found 'kernel x(o) over _, j': expected"},
           {kSoftmax, "x(o) over j, i", "unsupported"},
           {kSoftmax, "x(o) over d, j", "unsupported"},
           {kSoftmax, "x(o) over i, i", "unsupported"},
           {kSoftmax, "x(o) over i, d", "unsupported"},
           {kSoftmax, "x(o)", "unsupported"},
           {kSoftmax, "x(q)", "unsupported"},
           {kSoftmax, "x(o, o) over i, j", "unsupported"},
           {kSoftmax, "x(o) over i, j\nkernel y(o) over i, j", "unsupported"},
           {kTwoFolds, "x(a, l) over _, j", "unsupported"},
           {kTwoSums, "x(a, l) over _, j", "unsupported"},
           {kSoftmax, "x(o) over i, j members=4", "syntax_error: 9:1: found members= without"},
           {kSoftmax, "x(o) over i, j share=i", "syntax_error: 9:1: found share= without"},
           {kHeads, "x(o) over i, j rows=48 columns=48 chunk=2 share=h members=4",
            "invalid_config: kernel 'x' says share=h members=4: expected lanes=columns"},
           {kHeads, "x(o) over i, j rows=4 columns=64 chunk=2 lanes=columns share=h members=3",
            "invalid_config: kernel 'x' says share=h members=3: expected"},
           {kSoftmax, "x(o) over i, j rows=2147483647 columns=2147483647 chunk=2147483647",
            "invalid_config: kernel 'x' says rows=2147483647 columns=2147483647"},
           {kSoftmax, "x(o) over i, j rows=96",
            "invalid_config: kernel 'x' says rows=96 columns=0"},
           {kSoftmax, "x(o) over i, j rows=1 columns=2048 chunk=1 lanes=columns",
            "invalid_config: kernel 'x' says rows=1 columns=2048"},
           {kBothSides, "x(o, w) over i, j rows=4 columns=64 chunk=1 lanes=columns",
            "invalid_config: kernel 'x' says lanes=columns"},
           {kCausalSums, "x(o) over i, j rows=96 columns=96 chunk=2",
            "invalid_config: kernel 'x' says rows=96 columns=96"},
           {kCausalSums, "x(o) over i, j rows=4 columns=64 chunk=2 lanes=columns",
            "invalid_config: kernel 'x' says rows=4 columns=64"},
           {kSoftmax, "x(o) over i, j visible=other",
            "invalid_config: kernel 'x' says visible= or solid= of its own: expected"},
           {kSoftmax, "x(o) over i, j solid=other",
            "invalid_config: kernel 'x' says visible= or solid= of its own: expected"},
           {kSoftmax, "x(o) over i, j carry=solid", "invalid_config: kernel 'x' says carry=solid"},
       }) {
    CAPTURE(kernel);
    const std::string found =
        error_of([&] { compile(parse(with_kernel(graph, kernel)), {.threads = 1}); });
    CHECK_MESSAGE(found.starts_with(error), found);
  }
}

TEST_CASE("kernels: tiles of one's own are walked, of many rows and of few") {
  for (const auto& [graph, kernel] : std::vector<std::pair<std::string_view, std::string_view>>{
           {kSoftmax, "x(o) over i, j"},
           {kSoftmax, "x(o) over i, j slots=3"},
           {kSoftmax, "x(o) over i, j visible=mask solid=mask slots=_"},
           {kSoftmax, "x(o) over i, j rows=48 columns=96 chunk=1"},
           {kSoftmax, "x(o) over i, j rows=96 columns=48 chunk=7"},
           {kSoftmax, "x(o) over i, j rows=4 columns=64 chunk=3 lanes=columns"},
           {kSoftmax, "x(o) over i, j rows=1 columns=512 chunk=1 lanes=columns"},
           {kHeads, "x(o) over i, j rows=4 columns=256 chunk=2 lanes=columns share=h members=4"},
           {kBothSides, "x(o, w) over i, j rows=96 columns=48 chunk=3"},
           {kCausalSums, "x(o) over i, j carry=solid rows=48 columns=48 chunk=3"},
           {kCausalSums, "x(o) over i, j carry=solid"},
       }) {
    CAPTURE(kernel);
    const Graph given = parse(with_kernel(graph, kernel));
    for (const auto& [rows, columns] : {std::pair(130, 150), {3, 301}, {1, 64}}) {
      const Sizes sizes = [&, rows = rows, columns = columns] {
        Sizes all{{"i", rows}, {"j", columns}};
        if (ir::find_axis(given, "g") != ir::kNone) all["g"] = 2;
        return all;
      }();
      const auto differs = compiled_differs(given, random_inputs(given, sizes, 3), sizes);
      CHECK_MESSAGE(!differs, describe(sizes), ": ", differs.value_or(""));
    }
  }
}

TEST_CASE("kernels: without fusing, given planes are not walked") {
  const Graph given = parse(with_kernel(kSoftmax, "x(o) over i, j"));
  const Sizes sizes{{"i", 130}, {"j", 150}};
  CHECK(planes_of(compile(given), sizes).kernels == 1);
  CHECK(planes_of(compile(given, {.fuse = false}), sizes).kernels == 0);
}

namespace {

// What `compile` makes of a printed graph up to where it looks at its kernels.
std::string error_of_checking(const Graph& graph) {
  const ir::Target target = ir::targets().front();
  return error_of([&] {
    const Graph read = parse(print(graph));
    const Graph checked = ir::check_reads(read);
    passes::accept_given_kernels(checked, target);
    passes::accept_kernels(read, target);
  });
}

}  // namespace

TEST_CASE("kernels: those of every mechanism are taken as any pass leaves them") {
  const ir::Target target = ir::targets().front();
  for (const ops::Mechanism* mechanism : ops::all()) {
    CAPTURE(std::string(mechanism->name));
    const Graph graph = mechanism->build(ops::Problem(mechanism->options));
    for (const char* pass : {"fuse", "block_mask", "carry", "tile", "plan_buffers"}) {
      CAPTURE(pass);
      CHECK(error_of_checking(passes::run_pipeline(graph, target, {.stop_after = pass})) == "");
    }
    const Graph fused = passes::run_pipeline(graph, target, {.stop_after = "fuse"});
    const Graph unfused = passes::partition_unfused(ir::with_kernels(fused, {}), target);
    CHECK(error_of_checking(unfused) == "");
  }
}

namespace {

// Statements of kernels, now and then with a word from elsewhere, left out, or twice.
class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  std::string operator()(const Graph& graph) {
    const std::string text = print(graph);
    const std::size_t first = text.find("\nkernel ");
    const std::string values = text.substr(0, first + 1);
    std::string kernels = text.substr(first + 1);
    strip_reasons(kernels);
    for (int times = 1 + static_cast<int>(below(3)); times > 0; times--) mutate(graph, kernels);
    return values + kernels;
  }

 private:
  std::uint32_t below(std::size_t n) { return random_() % static_cast<std::uint32_t>(n); }

  static void strip_reasons(std::string& kernels) {
    for (std::size_t at = 0; (at = kernels.find(" because ", at)) != std::string::npos;)
      kernels.erase(at, kernels.find('\n', at) - at);
  }

  std::string axis(const Graph& graph) { return graph.axes[below(graph.axes.size())].name; }
  std::string number() {
    constexpr std::array kNumbers{0, 1, 2, 3, 4, 7, 8, 10, 48, 64, 96, 100, 128, 1024, 2147483647};
    return std::to_string(kNumbers[below(kNumbers.size())]);
  }
  std::string value(const Graph& graph) {
    std::vector<std::string> names;
    for (const ir::Node& node : graph.nodes)
      if (!node.name.empty()) names.push_back(node.name);
    for (const ir::Output& output : graph.outputs) names.push_back(output.name);
    for (int n = 1; n < 6; n++) names.push_back(fmt::format("_{}", n));
    return names[below(names.size())];
  }
  std::string setting(const Graph& graph) {
    switch (below(10)) {
      case 0: return " visible=" + value(graph);
      case 1: return " solid=" + value(graph);
      case 2: return " carry=solid";
      case 3: return " rows=" + number();
      case 4: return " columns=" + number();
      case 5: return " chunk=" + number();
      case 6: return " lanes=columns rows=4 columns=64 chunk=" + number();
      case 7: return fmt::format(" share={} members={}", axis(graph), number());
      case 8: return " slots=" + std::to_string(below(3));
      default: return "";
    }
  }

  // Replaces the statement of one kernel.
  void mutate(const Graph& graph, std::string& kernels) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < kernels.size(); at = kernels.find('\n', at) + 1)
      lines.push_back(kernels.substr(at, kernels.find('\n', at) - at));
    if (lines.empty()) return;
    const std::size_t n = below(lines.size());
    switch (below(7)) {
      case 0: lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(n)); break;
      case 1: lines.push_back(lines[n]); break;
      case 2: std::swap(lines[n], lines[below(lines.size())]); break;
      case 3:
        lines[n] =
            fmt::format("kernel x({}) over {}, {}", results_of(lines[n]), axis(graph), axis(graph));
        break;
      case 4:
        lines[n] = fmt::format("kernel x({}) over _, {}", results_of(lines[n]), axis(graph));
        break;
      case 5: lines[n].insert(lines[n].find(')'), ", " + value(graph)); break;
      default: lines[n] += setting(graph); break;
    }
    kernels.clear();
    for (const std::string& line : lines) kernels += line + "\n";
  }

  static std::string results_of(const std::string& line) {
    const std::size_t open = line.find('(') + 1;
    return line.substr(open, line.find(')') - open);
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("kernels: whatever is written of them, a graph is refused or means what it says") {
  int taken = 0;
  for (const char* name : {"sliding_window", "grouped_query", "causal_linear", "talking_heads",
                           "gat", "differential"}) {
    const ops::Mechanism& mechanism = ops::find(name);
    const ops::Problem problem(mechanism.options);
    const Graph graph = mechanism.build(problem);
    Sizes sizes = ops::example_sizes(graph, 70, 110);
    const ir::Arrays inputs = ops::example_inputs(mechanism, problem, graph, sizes, 1);
    std::erase_if(sizes, [open = all_sizes(graph, 0)](const auto& size) {
      return !open.contains(size.first);
    });
    const Graph kernels[] = {
        passes::run_pipeline(graph, ir::targets().front(), {.stop_after = "fuse"}),
        passes::run_pipeline(graph, ir::targets().front(), {})};
    for (std::uint32_t seed = 0; seed < 120; seed++) {
      const std::string text = Mutator(seed)(kernels[seed % 2]);
      CAPTURE(text);
      try {
        const Graph mutated = parse(text);
        const auto differs = compiled_differs(mutated, inputs, sizes);
        CHECK_MESSAGE(!differs, differs.value_or(""));
        taken++;
      } catch (const Error& error) {
        CHECK_MESSAGE(error.code() != Code::internal, error.what());
      }
    }
  }
  CHECK(taken > 0);
}

}  // namespace fovea::test
