// What scales keys, values and weights: few rows apply it as they walk, and sums of weights too.
#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "codegen/targets.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

constexpr const char* kCosine = R"(
axis h, i, j, d = 40, e = 24
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
s = sum(d, q / sqrt(sum(d, q * q)) * (k / sqrt(sum(d, k * k)))) * 5.0
out o = sum(j, softmax(j, where(j <= i + 100, s, -inf)) * v)
)";

// Differences of scaled keys, scaled values of which one scale is given, keys in halves.
constexpr const char* kDistances = R"(
axis h, i, j, d = 32, e = 64
q : f32[h, i, d]
k : bf16[h, j, d]
v : f32[h, j, e]
w : f32[h, j]
far = q - k * rsqrt(sum(d, k * k) + 1.0)
u = w * v / (1.0 + sum(e, v * v))
out o = sum(j, exp(-sum(d, far * far)) * u)
out l = sum(j, exp(-sum(d, far * far)))
)";

// Quotients: divisors so small that their inverse is infinite.
constexpr const char* kQuotients = R"(
axis i, j, d = 16, e = 16
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
w : f32[j]
t : f32[j]
out o = sum(j, exp(-abs(sum(d, q * (k / w)))) * (v / t))
)";

// Keys of other heads, one of which there is not; values of the same for two heads.
constexpr const char* kReads = R"(
axis h, g, i, j, d = 64, e = 32
q : f32[h, i, d]
k : f32[g, j, d]
v : f32[g, j, e]
c = k[g = h - 1]
u = v[g = h / 2]
far = q - c * rsqrt(sum(d, c * c) + 1.0)
out o = sum(j, exp(-sum(d, far * far)) * (u / (1.0 + sum(e, u * u))))
)";

// One scale made of another, by which the same values are scaled too.
constexpr const char* kScales = R"(
axis h, i, j, d = 24, e = 16
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
z = sum(e, v * v) + 1.0
far = sum(j, 1.0 / (1.0 + sum(d, (q - k) * (q - k))) * (v * (2.0 / z))) - v * z
out o = sum(j, 1.0 / (1.0 + sum(e, far * far)))
)";

// Sums of weights, some of them scaled, beside one that brings features.
constexpr const char* kWeights = R"(
axis h, i, j, d = 24, e = 16
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
w : f32[h, j]
t : f32[j]
p = 1.0 / (1.0 + sum(d, (q - k) * (q - k)))
out o = sum(j, p * v)
out a = sum(j, p * w)
out b = sum(j, p / (2.0 + sin(t)))
out c = sum(j, p)
)";

constexpr const char* kGroups = R"(
axis h, g, i, j, d = 64, e = 64
q : f32[h, i, d]
k : f32[g, j, d]
v : f32[g, j, e]
n = k * (1.0 / sqrt(sum(d, k * k)))
u = v * (1.0 / sqrt(sum(e, v * v)))
s = sum(d, q * n[g = h / 2])
out o = sum(j, softmax(j, s) * u[g = h / 2])
)";

// How many keys are at no distance.
constexpr const char* kEquals[] = {R"(
axis h, i, j, d = 48
q : f32[h, i, d]
k : f32[h, j, d]
far = q * rsqrt(sum(d, q * q)) - k * rsqrt(sum(d, k * k))
out o = sum(j, f32(sum(d, far * far) == 0.0))
)",
                                   R"(
axis h, i, j, d = 48
q : f32[h, i, d]
k : f32[h, j, d]
far = q / sqrt(sum(d, q * q)) - k / sqrt(sum(d, k * k))
out o = sum(j, f32(sum(d, far * far) == 0.0))
)",
                                   R"(
axis h, g, i, j, d = 48
q : f32[h, i, d]
k : f32[g, j, d]
n = k * rsqrt(sum(d, k * k))
far = q * rsqrt(sum(d, q * q)) - n[g = h / 2]
out o = sum(j, f32(sum(d, far * far) == 0.0))
)"};

Sizes sizes_of(const Graph& graph, std::int64_t rows, std::int64_t columns) {
  Sizes sizes;
  for (const auto& [name, value] : Sizes{{"h", 4}, {"g", 2}, {"i", rows}, {"j", columns}})
    if (ir::find_axis(graph, name) != ir::kNone) sizes[name] = value;
  return sizes;
}

}  // namespace

TEST_CASE("scaled keys and values of few rows are what the interpreter says") {
  for (const char* text : {kCosine, kDistances, kGroups, kReads, kScales}) {
    const Graph graph = parse(text);
    for (const ir::Target& target : codegen::runnable_targets())
      for (const auto& [rows, columns] :
           std::vector<std::pair<int, int>>{{1, 1}, {1, 65}, {1, 1030}, {3, 7}, {16, 129}}) {
        const Sizes sizes = sizes_of(graph, rows, columns);
        INFO(graph.outputs.size() << " outputs on " << target.name << ": " << describe(sizes));
        const ir::Arrays inputs = random_inputs(graph, sizes, 3);
        const auto differs = compiled_differs(graph, inputs, sizes, 1e-5,
                                              {.target = std::string(target.name), .threads = 1});
        CHECK_MESSAGE(!differs, differs.value_or(""));
      }
  }
}

TEST_CASE("sums of scaled weights are what the interpreter says, in any number of rows") {
  const Graph graph = parse(kWeights);
  for (const ir::Target& target : codegen::runnable_targets())
    for (const auto& [rows, columns] :
         std::vector<std::pair<int, int>>{{1, 1}, {1, 130}, {5, 1030}, {50, 65}, {129, 200}}) {
      const Sizes sizes = sizes_of(graph, rows, columns);
      INFO(target.name << ": " << describe(sizes));
      const ir::Arrays inputs = random_inputs(graph, sizes, 5);
      const auto differs = compiled_differs(graph, inputs, sizes, 1e-5,
                                            {.target = std::string(target.name), .threads = 1});
      CHECK_MESSAGE(!differs, differs.value_or(""));
    }
}

TEST_CASE("a key that is read outside is 0, and what is far from it is not") {
  const Graph graph = parse(R"(
axis h, g, i, j, d = 32
q : f32[h, i, d]
k : f32[g, j, d]
far = q - k[g = h - 1]
out o = sum(j, exp(-sum(d, far * far) * 0.1))
)");
  for (const int rows : {1, 4, 100}) {
    const Sizes sizes = sizes_of(graph, rows, 70);
    INFO(describe(sizes));
    const auto differs = compiled_differs(graph, random_inputs(graph, sizes, 1), sizes);
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

TEST_CASE("few rows: quotients of tiny numbers are as good as others") {
  const Graph graph = parse(kQuotients);
  for (const int rows : {1, 4}) {
    const Sizes sizes = sizes_of(graph, rows, 100);
    ir::Arrays inputs = random_inputs(graph, sizes, 6);
    for (const auto& [name, by] : {std::pair{"k", "w"}, std::pair{"v", "t"}}) {
      ir::Array &array = inputs.at(name), &divisor = inputs.at(by);
      divisor.data[30] = 1e-40F;
      for (std::size_t n = 30 * 16; n < 31 * 16; ++n) array.data[n] *= 1e-40F;
      for (std::size_t n = 30 * 16; n < 31 * 16; ++n)
        array.data[n] = static_cast<float>(array.data[n]);
    }
    const auto differs = compiled_differs(graph, inputs, sizes);
    CHECK_MESSAGE(!differs, differs.value_or(""));
  }
}

TEST_CASE("few rows: of what is equal and scaled alike the difference is 0") {
  for (const char* text : kEquals) {
    const Graph graph = parse(text);
    for (const ir::Target& target : codegen::runnable_targets())
      for (const int rows : {1, 3}) {
        const Sizes sizes = sizes_of(graph, rows, 100);
        ir::Arrays inputs = random_inputs(graph, sizes, 8);
        for (const char* name : {"q", "k"})
          for (std::size_t n = 0; n < inputs.at(name).data.size(); ++n)
            inputs.at(name).data[n] = inputs.at("q").data[n % 48];
        INFO(std::string(text) << target.name << ", " << rows << " rows");
        const Kernel kernel = compile(graph, {.target = std::string(target.name), .threads = 1});
        const ir::Arrays found = run(kernel, graph, inputs, sizes);
        for (const double count : found.at("o").data) CHECK(count == 100);
      }
  }
}

TEST_CASE("odd keys of few rows show where the interpreter shows them") {
  const Graph graph = parse(kCosine);
  const float infinity = std::numeric_limits<float>::infinity();
  for (const int rows : {1, 4}) {
    const Sizes sizes = sizes_of(graph, rows, 200);
    // From 104 on no row sees keys.
    for (const int key : {5, 150})
      for (const float odd : {0.F, 1e15F, 1e-15F, infinity, -infinity, infinity - infinity}) {
        ir::Arrays inputs = random_inputs(graph, sizes, 4);
        for (const char* name : {"k", "v"}) {
          ir::Array& array = inputs.at(name);
          const auto width = static_cast<std::size_t>(array.shape.back());
          for (std::size_t n = 0; n < width; ++n)
            array.data[static_cast<std::size_t>(key) * width + n] = odd;
        }
        INFO(rows << " rows, key " << key << " is " << odd);
        const auto differs = compiled_differs(graph, inputs, sizes);
        CHECK_MESSAGE(!differs, differs.value_or(""));
      }
  }
}

}  // namespace fovea::test
