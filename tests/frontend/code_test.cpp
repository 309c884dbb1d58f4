// The machine code of attention is what its row of the target table promises.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "codegen/targets.h"
#include "fovea/fovea.h"
#include "tests/codegen/environment.h"

namespace fovea::test {
namespace {

constexpr const char* kAttention = R"(
axis h, i, j, d = 64, e = 64
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
out o = sum(j, softmax(j, where(j <= i, sum(d, q * k) * 0.125, -inf)) * v)
)";

// Lines that have both words.
int count(const std::string& code, const std::string& instruction, const std::string& operand) {
  std::istringstream lines(code);
  int found = 0;
  for (std::string line; std::getline(lines, line);)
    found += line.find(instruction) != line.npos && line.find(operand) != line.npos;
  return found;
}

}  // namespace

TEST_CASE("attention is made of the vectors of its target") {
  for (const ir::Target& target : codegen::runnable_targets()) {
    const std::string row(target.name);
    CAPTURE(row);
    const std::string code = compile(parse(kAttention), {.target = row}).code("o");
    if (row.starts_with("avx512")) {
      CHECK(count(code, "vfmadd", "zmm") > 20);
    } else if (row == "avx2") {
      CHECK(count(code, "vfmadd", "ymm") > 10);
      CHECK(count(code, "", "zmm") == 0);
    } else if (row == "sse41") {
      CHECK(count(code, "mulps", "xmm") > 10);
      CHECK(count(code, "addps", "xmm") > 10);
      CHECK(count(code, "", "ymm") == 0);
      CHECK(count(code, "", "zmm") == 0);
      CHECK(count(code, "vfmadd", "") == 0);
    }
  }
}

TEST_CASE("perf knows kernels by the symbols that explain tells") {
  const std::string map = "/tmp/perf-" + std::to_string(getpid()) + ".map";
  const Environment perf("FOVEA_PERF", "1");
  const Kernel kernel =
      compile(parse("axis i, j\nx : f32[i]\ny : f32[j]\n"
                    "out seen = sum(j, exp(x * y) * y) * 0.8125\n"));
  const Report report = kernel.explain({{"i", 4}, {"j", 4}});  // loads what these extents choose
  std::ifstream file(map);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  REQUIRE(!report.kernels.empty());
  for (const KernelReport& each : report.kernels) {
    CAPTURE(each.symbol);
    CHECK(each.symbol.ends_with("_" + each.kernel));
    CHECK(text.find(" " + each.symbol) != std::string::npos);
  }
  std::remove(map.c_str());
}

}  // namespace fovea::test
