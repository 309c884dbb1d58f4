// Few rows: columns across the lanes, against the interpreter.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "codegen/targets.h"
#include "fovea/fovea.h"
#include "ir/query.h"
#include "tests/frontend/support.h"

namespace fovea {
namespace {

struct Example {
  const char* name;
  const char* text;  // D and E stand for the features
};

constexpr Example kExamples[] = {
    {"plain", R"(
axis i, j, d = D, e = E
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
out o = sum(j, softmax(j, sum(d, q * k) * 0.3) * v)
)"},
    {"causal with lse", R"(
axis h, i, j, d = D, e = E
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
s = where(j <= i + 60, sum(d, q * k) * 0.3, -inf)
m = max(j, s)
l = sum(j, exp(s - m))
out o = sum(j, exp(s - m) / l * v)
out lse = m + log(l)
)"},
    {"window", R"(
axis i, j, d = D, e = E
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
far = j - i - 30
out o = sum(j, softmax(j, where(far < 40 && far > -40, sum(d, q * k) * 0.3, -inf)) * v)
)"},
    {"bias and softcap", R"(
axis i, j, d = D, e = E
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
b : f32[i, j]
out o = sum(j, softmax(j, 5 * tanh(sum(d, q * k) * 0.06 + b * 0.2)) * v)
)"},
    {"grouped heads", R"(
axis b, h, g, i, j, d = D, e = E
q : f32[b, h, i, d]
k : f32[b, g, j, d]
v : f32[b, g, j, e]
s = sum(d, q * k[g = h / 2]) * 0.3
out o = sum(j, softmax(j, s) * v[g = h / 2])
)"},
    {"members of a group", R"(
axis g, m, i, j, d = D, e = E
q : f32[g, m, i, d]
k : f32[g, j, d]
v : f32[g, j, e]
s = where(j <= i + (size(j) - size(i)), sum(d, q * k) * 0.3, -inf)
out o[i, g, m, e] = sum(j, softmax(j, s) * v)
out lse[m, g, i] = logsumexp(j, s)
)"},
    {"one key head", R"(
axis b, h, i, j, d = D, e = E
q : f32[b, h, i, d]
k : f32[b, j, d]
v : f32[b, j, e]
slope : f32[h]
bias : f32[h, j]
s = sum(d, q * k) * 0.3 - slope * (i - j) * 0.01 + bias
out o = sum(j, softmax(j, where(i < 5, s, -inf)) * v)
)"},
    {"differential", R"(
axis i, j, d = D, e = E
q1 : f32[i, d]
k1 : f32[j, d]
q2 : f32[i, d]
k2 : f32[j, d]
v : f32[j, e]
p = softmax(j, sum(d, q1 * k1) * 0.3) - 0.4 * softmax(j, sum(d, q2 * k2) * 0.2)
out o = sum(j, p * v)
)"},
    {"sigmoid", R"(
axis i, j, d = D, e = E
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
out o = sum(j, sigmoid(sum(d, q * k) * 0.3 - 2) * v)
)"},
    {"dense mask", R"(
axis i, j, d = D, e = E
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
m : bool[i, j]
out o = sum(j, softmax(j, where(m, sum(d, q * k) * 0.3, -inf)) * v)
)"},
    {"distance", R"(
axis i, j, d = D, e = E
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
out o = sum(j, softmax(j, 0 - sum(d, (q - k) * (q - k)) * 0.1) * v)
)"},
    {"talking heads", R"(
axis h, g, i, j, d = D, e = E
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[g, j, e]
w : f32[h, g]
s = sum(h, sum(d, q * k) * 0.1 * w)
out o = sum(j, softmax(j, s) * v)
)"},
    {"transposed", R"(
axis i, j, d = D, e = E
q : f32[i, d]
k : f32[d, j]
v : f32[e, j]
out o = sum(j, softmax(j, sum(d, q * k) * 0.3) * v)
)"},
    {"folds", R"(
axis i, j, d = D
q : f32[i, d]
k : f32[j, d]
s = sum(d, q * k)
out top = max(j, s)
out low = min(j, s)
out many = sum(j, where(s > 0.5, 1.0, 0.0))
out any = max(j, s > 3)
out all = min(j, s > -30)
)"},
    {"half keys", R"(
axis i, j, d = D, e = E
q : f32[i, d]
k : bf16[j, d]
v : f16[j, e]
out o = sum(j, softmax(j, sum(d, q * k) * 0.3) * v)
)"},
    {"gathered", R"(
axis n, i, j, d = D, e = E
q : f32[i, d]
k : f32[n, d]
v : f32[n, e]
at : i32[j]
out o = sum(j, softmax(j, sum(d, q * k[n = at]) * 0.3) * v[n = at])
)"},
};

std::string with_features(std::string text, int d, int e) {
  for (const auto& [from, to] : {std::pair{"= D", d}, {"= E", e}})
    for (std::size_t at; (at = text.find(from)) != std::string::npos;)
      text.replace(at, 3, "= " + std::to_string(to));
  return text;
}

// Tensors in memory and the same for the interpreter.
struct Tensor {
  std::vector<std::byte> bytes;
  Dtype dtype = f32;
  Shape shape;
  ir::Array array;
};

class Run {
 public:
  Run(const Graph& graph, const Sizes& sizes, unsigned seed) : graph_(graph), random_(seed) {
    for (const ir::Node& node : graph.nodes)
      if (const auto* input = ir::input_of(node))
        inputs.emplace_back(input->name, make(node, sizes));
    for (const ir::Output& output : graph.outputs) {
      Tensor tensor = shaped(graph.node(output.node).type.dtype, output.layout, sizes);
      outputs.emplace_back(output.name, std::move(tensor));
    }
  }

  void operator()(const Kernel& kernel, const Sizes& sizes) {
    const std::vector<NamedView> in = views();
    std::vector<NamedView> out;
    for (auto& [name, tensor] : outputs) out.push_back({name, view_of(tensor)});
    kernel.run(in, out, sizes);
  }

  std::vector<NamedView> views() {
    std::vector<NamedView> result;
    for (auto& [name, tensor] : inputs) result.push_back({name, view_of(tensor)});
    return result;
  }

  // The largest error, relative to the largest value or 1.
  double error(const Sizes& sizes) const {
    ir::Arrays given;
    for (const auto& [name, tensor] : inputs) given[name] = tensor.array;
    const ir::Arrays expected = ir::interpret(graph_, given, sizes);
    double worst = 0;
    for (const auto& [name, tensor] : outputs) {
      const std::vector<double>& right = expected.at(name).data;
      double largest = 1;
      for (const double x : right)
        if (std::isfinite(x)) largest = std::max(largest, std::abs(x));
      for (std::size_t n = 0; n < right.size(); n++) {
        const double got = element(tensor, n);
        if (got == right[n] || (std::isnan(got) && std::isnan(right[n]))) continue;
        const double difference = std::abs(got - right[n]) / largest;
        worst = std::max(worst, std::isfinite(difference) ? difference : 1e30);
      }
    }
    return worst;
  }

  std::vector<std::pair<std::string, Tensor>> inputs, outputs;

  static float* floats(Tensor& tensor) { return reinterpret_cast<float*>(tensor.bytes.data()); }

 private:
  static View view_of(Tensor& tensor) {
    return view(static_cast<void*>(tensor.bytes.data()), tensor.dtype, tensor.shape);
  }

  static double element(const Tensor& tensor, std::size_t n) {
    if (tensor.dtype == boolean) return std::to_integer<int>(tensor.bytes[n]) != 0;
    return reinterpret_cast<const float*>(tensor.bytes.data())[n];
  }

  Tensor shaped(Dtype dtype, const std::vector<ir::AxisId>& axes, const Sizes& sizes) const {
    std::vector<std::int64_t> shape;
    std::int64_t count = 1;
    for (const ir::AxisId axis : axes) {
      const ir::Axis& each = graph_.axis(axis);
      shape.push_back(each.extent.empty() ? sizes.at(each.name) : each.extent[0].number);
      count *= shape.back();
    }
    Tensor tensor;
    tensor.dtype = dtype;
    tensor.shape = Shape(std::span<const std::int64_t>(shape));
    tensor.bytes.resize(static_cast<std::size_t>(count) * 4, std::byte{0x7f});
    tensor.array = {dtype, shape, std::vector<double>(static_cast<std::size_t>(count))};
    return tensor;
  }

  Tensor make(const ir::Node& node, const Sizes& sizes) {
    Tensor tensor = shaped(node.type.dtype, node.type.axes, sizes);
    std::normal_distribution<float> normal;
    for (std::size_t n = 0; n < tensor.array.data.size(); n++) {
      const float x = static_cast<float>(ir::round_to(tensor.dtype, normal(random_)));
      double& exact = tensor.array.data[n];
      exact = x;
      if (tensor.dtype == f32) {
        floats(tensor)[n] = x;
      } else if (tensor.dtype == i32) {
        const auto limit = static_cast<std::uint32_t>(sizes.at("n"));
        const auto at = static_cast<std::int32_t>(random_() % limit);
        reinterpret_cast<std::int32_t*>(tensor.bytes.data())[n] = at;
        exact = at;
      } else if (tensor.dtype == boolean) {
        exact = random_() % 3 != 0;
        tensor.bytes[n] = std::byte(exact != 0);
      } else {
        store_half(tensor, n, x);
      }
    }
    return tensor;
  }

  static void store_half(Tensor& tensor, std::size_t n, float x) {
    std::uint16_t bits = 0;
    if (tensor.dtype == bf16) {
      bits = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
    } else {
      const _Float16 half = static_cast<_Float16>(x);
      bits = std::bit_cast<std::uint16_t>(half);
    }
    reinterpret_cast<std::uint16_t*>(tensor.bytes.data())[n] = bits;
  }

  const Graph& graph_;
  std::mt19937 random_;
};

Sizes sizes_of(const Graph& graph, std::int64_t rows, std::int64_t columns) {
  const Sizes all{{"b", 2}, {"g", 2}, {"h", 4}, {"m", 11}, {"i", rows}, {"j", columns}, {"n", 50}};
  Sizes result;
  for (const ir::Axis& axis : graph.axes)
    if (axis.extent.empty()) result[axis.name] = all.at(axis.name);
  return result;
}

std::string lanes_of(const Kernel& kernel, const Sizes& sizes, Run& run) {
  std::string lanes;
  for (const KernelReport& each : kernel.explain(sizes, run.views()).kernels)
    if (each.row_tile > 0) lanes = each.lanes;
  return lanes;
}

void compare(const Example& example, int d, int e, const std::string& target,
             std::initializer_list<std::int64_t> keys,
             std::initializer_list<std::int64_t> row_counts = {1, 2, 7}) {
  const Graph graph = parse(with_features(example.text, d, e));
  Options options{.target = target, .threads = 1, .fuse = true};
  options.sizes = sizes_of(graph, 1, 100);
  const Kernel kernel = compile(graph, options);
  for (const std::int64_t columns : keys)
    for (const std::int64_t rows : row_counts) {
      const Sizes sizes = sizes_of(graph, rows, columns);
      INFO(std::string(example.name), " on ", target, ": ", rows, " x ", columns, ", features ", d,
           ", ", e);
      Run run(graph, sizes, static_cast<unsigned>(rows + 10 * columns));
      run(kernel, sizes);
      CHECK(lanes_of(kernel, sizes, run) == "columns");
      CHECK(run.error(sizes) < 1e-5);
    }
}

TEST_CASE("few rows of every kind of kernel are what the interpreter says") {
  constexpr std::pair<int, int> kFeatures[] = {{64, 64}, {128, 40}, {3, 16}, {40, 3}, {16, 128}};
  const std::vector<ir::Target> targets = codegen::runnable_targets();
  std::size_t turn = 0;
  for (const Example& example : kExamples)
    for (std::size_t each = 0; each < std::min<std::size_t>(2, targets.size()); each++) {
      const auto [d, e] = kFeatures[turn % std::size(kFeatures)];
      const ir::Target& target = targets[turn % targets.size()];
      turn++;
      // One row and more are different code: on every other target one row only.
      if (each == 0)
        compare(example, d, e, std::string(target.name), {1, 7, 65, 1030});
      else
        compare(example, d, e, std::string(target.name), {1, 65, 1030}, {1});
    }
}

TEST_CASE("any number of keys, any features") {
  for (const int d : {3, 16, 40, 64, 128})
    compare(kExamples[0], d, d == 3 ? 40 : 131 - d, "", {1, 2, 7, 64, 65, 129, 1000, 5000});
  compare(kExamples[2], 64, 64, "", {1, 2, 64, 129, 1000, 5000});
}

TEST_CASE("what is behind a mask does not matter to few rows") {
  const Graph graph = parse(with_features(kExamples[2].text, 64, 64));
  const Kernel kernel = compile(graph, {.threads = 1, .sizes = sizes_of(graph, 1, 1000)});
  for (const std::int64_t rows : {1, 3}) {
    const Sizes sizes = sizes_of(graph, rows, 300);
    Run run(graph, sizes, 5);
    for (auto& [name, tensor] : run.inputs)
      if (name != "q")
        for (std::size_t n = 64 * 72; n < tensor.array.data.size(); n++)
          tensor.array.data[n] = Run::floats(tensor)[n] = std::numeric_limits<float>::quiet_NaN();
    run(kernel, sizes);
    CHECK(run.error(sizes) < 1e-5);
  }
}

// 4 heads to a key head: what is odd of one head must not show in the others.
TEST_CASE("heads that share keys are computed as if alone") {
  const Graph graph = parse(R"(
axis h, g, i, j, d = 64, e = 64
q : f32[h, i, d]
k : f32[g, j, d]
v : f32[g, j, e]
s = sum(d, q * k[g = h / 4]) * 0.125
out o = sum(j, softmax(j, s) * v[g = h / 4])
out lse = logsumexp(j, s)
)");
  const Kernel kernel = compile(graph, {.threads = 1});
  for (const std::int64_t heads : {1, 2, 5, 8}) {
    const Sizes sizes{{"h", heads}, {"g", 2}, {"i", 1}, {"j", 1000}};
    Run run(graph, sizes, 7);
    run(kernel, sizes);
    CHECK(run.error(sizes) < 1e-5);
    const std::vector<std::byte> before = run.outputs[0].second.bytes;
    // NaN, and scores beyond f32: the first shows, the second is computed again exactly.
    for (const float odd : {std::numeric_limits<float>::quiet_NaN(), 1e38F}) {
      for (std::size_t n = 0; n < 64; n++) Run::floats(run.inputs[0].second)[n] = odd;
      run(kernel, sizes);
      const std::vector<std::byte>& after = run.outputs[0].second.bytes;
      CHECK(std::equal(after.begin() + 64 * 4, after.end(), before.begin() + 64 * 4));
      CHECK(std::isnan(odd) == std::isnan(Run::floats(run.outputs[0].second)[0]));
    }
  }
}

TEST_CASE("columns: a kernel that cannot share heads is told so") {
  const std::string text = R"(
axis h, i, j, d = 16
q : f32[h, i, d]
k : f32[j, d]
open : bool[h, j]
s = sum(d, q * k)
out o = sum(j, where(open, s, 0.0))
kernel o(o) over i, j )";
  for (const char* settings :
       {"visible=open rows=4 columns=64 chunk=2 lanes=columns share=h members=4",
        "rows=48 columns=48 chunk=2 share=h members=4",
        "rows=4 columns=64 chunk=2 lanes=columns share=d members=4"}) {
    const std::string error =
        test::error_of([&] { compile(parse(text + settings + " slots=_\n")); });
    CHECK(error.find("invalid_config") == 0);
    CHECK(error.find("share=") != std::string::npos);
  }
}

TEST_CASE("a kernel that folds over rows too keeps rows across the lanes, and says why") {
  const Graph graph = parse(R"(
axis i, j, d = 16, e = 16
q : f32[i, d]
k : f32[j, d]
g : f32[i, e]
p = sigmoid(sum(d, q * k))
out o = sum(j, p * k)
out dv = sum(i, p * g)
)");
  const Kernel kernel = compile(graph, {.threads = 1, .fuse = true});
  const Sizes sizes = sizes_of(graph, 2, 100);
  Run run(graph, sizes, 4);
  run(kernel, sizes);
  CHECK(run.error(sizes) < 1e-5);
  const Report report = kernel.explain(sizes, run.views());
  CHECK(std::ranges::any_of(report.kernels, [](const KernelReport& each) {
    return each.lanes == "rows" && each.why.find("folds over rows too") != std::string::npos;
  }));
}

TEST_CASE("the rows of a run decide how it lies") {
  const Graph graph = parse(with_features(kExamples[0].text, 64, 64));
  const Kernel kernel = compile(graph, {.threads = 1});
  for (const std::int64_t rows : {1, 4, 16, 17, 100, 2}) {
    const Sizes sizes = sizes_of(graph, rows, 77);
    Run run(graph, sizes, 3);
    run(kernel, sizes);
    CHECK(lanes_of(kernel, sizes, run) == (rows <= 16 ? "columns" : "rows"));
    CHECK(run.error(sizes) < 1e-5);
  }
}

TEST_CASE("a fixed number of rows stays as it lies beside any number of others") {
  for (const int fixed : {1, 3, 8, 16, 17, 100}) {
    const Graph graph = parse(fmt::format(R"(
axis i, j, m = {}, d = 32
q : f32[i, d]
w : f32[m, d]
k : f32[j, d]
f = sum(j, softmax(j, sum(d, w * k) * 0.2) * k)
out features = f
out o = sum(j, softmax(j, sum(d, q * k) * 0.2) * k)
)",
                                          fixed));
    const Kernel kernel = compile(graph, {.threads = 1});
    for (const std::int64_t rows : {1, 5, 40, 65, 100}) {
      const Sizes sizes = sizes_of(graph, rows, 77);
      Run run(graph, sizes, 3);
      run(kernel, sizes);
      INFO(fixed << " beside " << rows);
      CHECK(run.error(sizes) < 1e-5);
      const Report report = kernel.explain(sizes, run.views());
      int across_columns = 0;
      for (const KernelReport& each : report.kernels) across_columns += each.lanes == "columns";
      CHECK(across_columns == (rows > 16 ? 0 : 1));
    }
  }
}

}  // namespace
}  // namespace fovea
