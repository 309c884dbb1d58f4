// The same bits from every number of threads, in any company, at any time; and awkward extents.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <future>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/query.h"
#include "ir/text.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

// Every input that begins with axis b has an element of the batch there; so has every output.
struct Subject {
  std::string_view name, text;
  Sizes sizes;  // of a batch of 3
};

constexpr std::string_view kCausal = R"(
axis b, h, g, i, j, d = 32, e = 40
q : f32[b, h, i, d]
k : f32[b, g, j, d]
v : f32[b, g, j, e]
rows : i32[b]
keys : i32[b]
s = where(j <= i && i < rows && j < keys, sum(d, q * k[g = h / 2]) * 0.2, -inf)
out o = sum(j, softmax(j, s) * v[g = h / 2])
out lse = logsumexp(j, s)
)";

constexpr std::string_view kWindow = R"(
axis b, h, i, j, d = 32, e = 24
q : f32[b, h, i, d]
k : f32[b, h, j, d]
v : f32[b, h, j, e]
s = where(j <= i && i - j < 70, sum(d, q * k) * 0.2, -inf)
out o = sum(j, softmax(j, s) * v)
)";

constexpr std::string_view kDense = R"(
axis b, h, i, j, d = 24, e = 32
q : f32[b, h, i, d]
k : f32[b, h, j, d]
v : f32[b, h, j, e]
m : bool[b, i, j]
s = where(m, sum(d, q * k) * 0.2, -inf)
out o = sum(j, softmax(j, s) * v)
out lse = logsumexp(j, s)
)";

constexpr std::string_view kBackward = R"(
axis b, h, i, j, d = 32, e = 32
q : f32[b, h, i, d]
k : f32[b, h, j, d]
v : f32[b, h, j, e]
o : f32[b, h, i, e]
do : f32[b, h, i, e]
lse : f32[b, h, i]
s = sum(d, q * k) * 0.2
p = exp(where(j <= i, s, -inf) - lse)
delta = sum(e, do * o)
ds = p * (sum(e, do * v) - delta)
out dq = sum(j, ds * k) * 0.2
out dk = sum(i, ds * q) * 0.2
out dv = sum(i, p * do)
)";

constexpr std::string_view kProjection = R"(
axis b, h = 2, i, j, c = 70, d = 32, e = 32
x : f32[b, i, c]
w : f32[c, h, d]
k : f32[b, h, j, d]
v : f32[b, h, j, e]
q = sum(c, x * w) * 0.1
out projected[b, h, i, d] = q
out o = sum(j, softmax(j, sum(d, q * k) * 0.2) * v)
)";

constexpr std::string_view kFew = R"(
axis b, h, g, i, j, d = 32, e = 40
q : f32[b, h, i, d]
k : f32[b, g, j, d]
v : f32[b, g, j, e]
keys : i32[b]
s = where(j < keys, sum(d, q * k[g = h / 2]) * 0.2, -inf)
out o = sum(j, softmax(j, s) * v[g = h / 2])
out lse = logsumexp(j, s)
)";

// Every kind of row accumulator, some rows of which see nothing.
constexpr std::string_view kFolds = R"(
axis b, i, j, d = 32, e = 40
q : f32[b, i, d]
k : f32[b, j, d]
v : f32[b, j, e]
keys : i32[b]
s = sum(d, q * k) * 0.2
seen = where(j < keys * ((i + 1) % 2), s, -inf)
out o = sum(j, softmax(j, seen) * v)
out lse = logsumexp(j, seen)
out small = min(j, s)
out many = sum(j, where(s > 0.5, 1.0, 0.0))
out plain = sum(j, sigmoid(s) * v)
)";

// Stored beside what they weigh, when whole rows are known.
constexpr std::string_view kWeights = R"(
axis b, i, j, d = 32, e = 40
q : f32[b, i, d]
k : f32[b, j, d]
v : f32[b, j, e]
out w = softmax(j, where(j % 7 != 3, sum(d, q * k) * 0.2, -inf))
out o = sum(j, w * v)
)";

constexpr std::string_view kGroupedBackward = R"(
axis b, h, g, i, j, d = 32, e = 32
q : f32[b, h, i, d]
k : f32[b, g, j, d]
v : f32[b, g, j, e]
do : f32[b, h, i, e]
lse : f32[b, h, i]
p = exp(where(j <= i, sum(d, q * k[g = h / 2]) * 0.2, -inf) - lse)
dp = sum(e, do * v[g = h / 2])
out dq = sum(j, p * dp * k[g = h / 2])
out dk = sum(i, p * dp * q)
out dv = sum(i, p * do)
)";

// Rows times columns of one element of the batch are beyond what threads are woken for (2^14).
std::vector<Subject> subjects() {
  const auto few = [](std::int64_t rows) {
    return Sizes{{"b", 3}, {"h", 4}, {"g", 2}, {"i", rows}, {"j", 4201}};
  };
  // Whose columns threads share: few tiles of many columns, and tiles that add to the same ones.
  const auto shared = [](std::int64_t rows, std::int64_t columns) {
    return Sizes{{"b", 3}, {"h", 4}, {"g", 2}, {"i", rows}, {"j", columns}};
  };
  return {
      {"1 row of many keys", kFew, shared(1, 30011)},
      {"4 rows of many keys", kFew, shared(4, 20011)},
      {"50 rows of many keys", kFew, shared(50, 4003)},
      {"several folds", kFolds, {{"b", 3}, {"i", 2}, {"j", 30011}}},
      {"weights of few rows", kWeights, {{"b", 3}, {"i", 2}, {"j", 30011}}},
      {"weights of 50 rows", kWeights, {{"b", 3}, {"i", 50}, {"j", 4003}}},
      {"causal of few tiles", kCausal, shared(389, 1501)},
      {"long backward", kBackward, {{"b", 3}, {"h", 1}, {"i", 587}, {"j", 611}}},
      {"backward of grouped heads", kGroupedBackward, shared(291, 523)},
      {"causal", kCausal, {{"b", 3}, {"h", 4}, {"g", 2}, {"i", 197}, {"j", 301}}},
      {"window", kWindow, {{"b", 3}, {"h", 2}, {"i", 261}, {"j", 243}}},
      {"dense mask", kDense, {{"b", 3}, {"h", 2}, {"i", 131}, {"j", 259}}},
      {"backward", kBackward, {{"b", 3}, {"h", 2}, {"i", 187}, {"j", 211}}},
      {"projection", kProjection, {{"b", 3}, {"i", 203}, {"j", 157}}},
      {"1 row", kFew, few(1)},
      {"3 rows", kFew, few(3)},
      {"16 rows", kFew, few(16)},
  };
}

// Random inputs with counts of rows and keys that differ within the batch.
ir::Arrays inputs_of(const Graph& graph, const Sizes& sizes) {
  ir::Arrays inputs = random_inputs(graph, sizes, 23);
  constexpr std::array kShares = {1.0, 0.61, 0.93};
  for (const auto& [name, axis] : {std::pair("rows", "i"), std::pair("keys", "j")}) {
    if (!inputs.contains(name)) continue;
    std::vector<double>& counts = inputs[name].data;
    const auto all = static_cast<double>(sizes.at(axis));
    for (std::size_t n = 0; n < counts.size(); ++n) counts[n] = std::ceil(all * kShares[n % 3]);
  }
  // A row that sees little, and a block that nobody sees.
  if (inputs.contains("m")) {
    const auto columns = static_cast<std::size_t>(sizes.at("j"));
    std::vector<double>& seen = inputs["m"].data;
    for (std::size_t n = 0; n < seen.size(); ++n) {
      const std::size_t column = n % columns;
      if (n / columns == 5 ? column > 2 : column >= 64 && column < 128) seen[n] = 0;
    }
  }
  return inputs;
}

// The first element whose bits differ.
std::optional<std::string> bits_differ(const ir::Arrays& found, const ir::Arrays& expected) {
  for (const auto& [name, wanted] : expected) {
    const ir::Array& got = found.at(name);
    if (got.shape != wanted.shape) return name + " has another shape";
    for (std::size_t n = 0; n < wanted.data.size(); ++n) {
      const double x = got.data[n], y = wanted.data[n];
      if (std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y)) continue;
      return fmt::format("{} is {} at element {} of {}, expected {}", name, x, n,
                         wanted.data.size(), y);
    }
  }
  return {};
}

bool has_batch(const Graph& graph, const std::string& input) {
  for (const ir::Node& node : graph.nodes) {
    const auto* found = ir::input_of(node);
    if (found == nullptr || found->name != input) continue;
    return !node.type.axes.empty() && graph.axis(node.type.axes[0]).name == "b";
  }
  return false;
}

ir::Array element(const ir::Array& array, std::int64_t at) {
  ir::Array one{array.dtype, array.shape, {}};
  one.shape[0] = 1;
  const auto size = static_cast<std::ptrdiff_t>(array.data.size()) / array.shape[0];
  one.data.assign(array.data.begin() + at * size, array.data.begin() + (at + 1) * size);
  return one;
}

ir::Arrays element_of_inputs(const Graph& graph, ir::Arrays inputs, std::int64_t at) {
  for (auto& [name, array] : inputs) {
    if (has_batch(graph, name)) array = element(array, at);
  }
  return inputs;
}

ir::Arrays element_of_outputs(ir::Arrays outputs, std::int64_t at) {
  for (auto& [name, array] : outputs) array = element(array, at);
  return outputs;
}

// Every float of one element of the batch becomes this value.
ir::Arrays with_element(const Graph& graph, ir::Arrays inputs, std::int64_t at, double value) {
  for (auto& [name, array] : inputs) {
    if (!ir::is_float(array.dtype) || !has_batch(graph, name)) continue;
    const auto size = static_cast<std::ptrdiff_t>(array.data.size()) / array.shape[0];
    std::fill_n(array.data.begin() + at * size, size, value);
  }
  return inputs;
}

void check_bits(const ir::Arrays& found, const ir::Arrays& expected) {
  const auto differs = bits_differ(found, expected);
  CHECK_MESSAGE(!differs, differs.value_or(""));
}

}  // namespace

TEST_CASE("determinism: subjects are what they are said to be") {
  for (const Subject& subject : subjects()) {
    INFO(subject.name);
    const Report report = compile(parse(subject.text)).explain(subject.sizes);
    const auto on_plane = [](const KernelReport& each) { return each.row_tile > 0; };
    const auto kernel = std::ranges::find_if(report.kernels, on_plane);
    REQUIRE(kernel != report.kernels.end());
    CHECK(kernel->lanes == (subject.sizes.at("i") <= 16 ? "columns" : "rows"));
    CHECK(kernel->rows * kernel->columns * kernel->batch / 3 >= 16384);
    if (subject.text == kProjection) CHECK(!std::ranges::all_of(report.kernels, on_plane));
  }
}

TEST_CASE("determinism: any number of threads gives the same bits") {
  for (const Subject& subject : subjects()) {
    INFO(subject.name);
    const Graph graph = parse(subject.text);
    const ir::Arrays inputs = inputs_of(graph, subject.sizes);
    const ir::Arrays one = run(compile(graph, {.threads = 1}), graph, inputs, subject.sizes);
    for (const int threads : {2, 3, 4, 5, 7}) {
      CAPTURE(threads);
      check_bits(run(compile(graph, {.threads = threads}), graph, inputs, subject.sizes), one);
    }
  }
}

TEST_CASE("determinism: an element of a batch has the same bits alone, and beside NaN or inf") {
  for (const Subject& subject : subjects()) {
    INFO(subject.name);
    const Graph graph = parse(subject.text);
    const Kernel kernel = compile(graph, {.threads = 3});
    const ir::Arrays inputs = inputs_of(graph, subject.sizes);
    Sizes one = subject.sizes;
    one["b"] = 1;
    std::vector<ir::Arrays> alone;
    for (const std::int64_t at : {0, 1, 2}) {
      alone.push_back(run(kernel, graph, element_of_inputs(graph, inputs, at), one));
    }
    const ir::Arrays together = run(kernel, graph, inputs, subject.sizes);
    for (const std::int64_t at : {0, 1, 2}) {
      CAPTURE(at);
      check_bits(element_of_outputs(together, at), alone[static_cast<std::size_t>(at)]);
    }
    for (const double value : {std::numeric_limits<double>::quiet_NaN(), HUGE_VAL}) {
      CAPTURE(value);
      const ir::Arrays beside =
          run(kernel, graph, with_element(graph, inputs, 1, value), subject.sizes);
      CHECK(std::isnan(element_of_outputs(beside, 1).begin()->second.data[0]));
      check_bits(element_of_outputs(beside, 0), alone[0]);
      check_bits(element_of_outputs(beside, 2), alone[2]);
    }
  }
}

TEST_CASE("determinism: nor does NaN touch other elements where the batch is the fastest axis") {
  const Graph graph = parse(R"(
axis b, i, c = 70, d = 32
x : f32[b, i, c]
w : f32[c, d]
out projected[i, d, b] = sum(c, x * w)
)");
  const Sizes sizes = {{"b", 3}, {"i", 203}};
  const Kernel kernel = compile(graph, {.threads = 3});
  const ir::Arrays inputs = inputs_of(graph, sizes);
  ir::Array whole = run(kernel, graph, inputs, sizes).at("projected");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const ir::Array beside =
      run(kernel, graph, with_element(graph, inputs, 1, nan), sizes).at("projected");
  for (std::size_t n = 1; n < whole.data.size(); n += 3) {
    REQUIRE(std::isnan(beside.data[n]));
    whole.data[n] = beside.data[n];
  }
  check_bits({{"projected", beside}}, {{"projected", whole}});
}

TEST_CASE("determinism: again, and from several threads at once") {
  for (const Subject& subject : subjects()) {
    INFO(subject.name);
    const Graph graph = parse(subject.text);
    const Kernel kernel = compile(graph, {.threads = 3});
    const ir::Arrays inputs = inputs_of(graph, subject.sizes);
    const auto once = [&] { return run(kernel, graph, inputs, subject.sizes); };
    const ir::Arrays first = once();
    for (int time = 1; time < 3; ++time) check_bits(once(), first);
    std::vector<std::future<ir::Arrays>> runs;
    for (int n = 0; n < 4; ++n) runs.push_back(std::async(std::launch::async, once));
    for (std::future<ir::Arrays>& each : runs) check_bits(each.get(), first);
  }
}

TEST_CASE("determinism: awkward extents are what the interpreter says") {
  constexpr std::array<std::int64_t, 7> kExtents = {1, 2, 7, 64, 65, 129, 1000};
  for (const std::string_view text : {kCausal, kDense, kBackward}) {
    const Graph graph = parse(text);
    const Kernel kernel = compile(graph);
    INFO(text);
    for (const std::int64_t rows : kExtents) {
      for (const std::int64_t columns : kExtents) {
        Sizes sizes = all_sizes(graph, 1);
        sizes["i"] = rows;
        sizes["j"] = columns;
        INFO(describe(sizes));
        const ir::Arrays inputs = inputs_of(graph, sizes);
        const auto differs =
            difference(run(kernel, graph, inputs, sizes), ir::interpret(graph, inputs, sizes));
        CHECK_MESSAGE(!differs, differs.value_or(""));
      }
    }
  }
}

}  // namespace fovea::test
