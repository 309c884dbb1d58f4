// Programs through the cache on disk: the same results, whatever is in it.
#include "codegen/program.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "codegen/lower_program.h"
#include "codegen/targets.h"
#include "ir/interpret.h"
#include "ir/text.h"
#include "runtime/executor.h"
#include "tests/codegen/environment.h"

using namespace fovea;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kRows = 53, kColumns = 130, kFeatures = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A kernel off the plane, one on it with a mask and stored results, and a copy: every kind of step
// but checks.
const char* const kText = R"(axis i, j, d = 16, e = 16

q : f32[i, d]
k : f32[j, d]
v : f32[j, e]

_1 = j <= i
scaled = q * 0.25
_2 = where(_1, sum(d, scaled * k), -inf)
_3 = max(j, _2)
_4 = exp(_2 - where(_3 == -inf, 0.0, _3))
_5 = sum(j, _4)
out o = sum(j, _4 * v) / where(_5 == 0.0, 1.0, _5)
out copy = o

kernel scaled(scaled) slots=0
kernel o(_3, _5, o) over i, j visible=_1 solid=_1 rows=48 columns=96 chunk=10 slots=1,2,_
)";

struct Tensors {
  std::vector<float> q, k, v;

  explicit Tensors(std::uint32_t seed = 3)
      : q(kRows * kFeatures), k(kColumns * kFeatures), v(kColumns * kFeatures) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> values(-1, 1);
    for (std::vector<float>* all : {&q, &k, &v})
      for (float& value : *all) value = values(random);
  }
};

std::vector<float> run(const codegen::CompiledProgram& compiled, Tensors in) {
  std::vector<float> o(in.q.size(), NAN), copy(o);
  const std::int64_t rows[] = {kRows, kFeatures}, columns[] = {kColumns, kFeatures};
  using runtime::Dtype;
  const runtime::Binding bindings[] = {{"q", {in.q.data(), Dtype::F32, rows}},
                                       {"k", {in.k.data(), Dtype::F32, columns}},
                                       {"v", {in.v.data(), Dtype::F32, columns}},
                                       {"o", {o.data(), Dtype::F32, rows}},
                                       {"copy", {copy.data(), Dtype::F32, rows}}};
  const runtime::Status status = runtime::run(compiled.program(), bindings, {}, {1});
  CHECK_MESSAGE(status.ok(), status.message);
  CHECK(std::equal(o.begin(), o.end(), copy.begin(),
                   [](float a, float b) { return a == b || (a != a && b != b); }));
  return o;
}

// Causal attention in double.
bool is_right(const std::vector<float>& o, const Tensors& in) {
  double worst = 0;
  for (std::int64_t i = 0; i < kRows; i++) {
    std::vector<double> sum(kFeatures);
    double all = 0;
    for (std::int64_t j = 0; j <= i; j++) {
      double score = 0;
      for (std::int64_t d = 0; d < kFeatures; d++)
        score += double{in.q[i * kFeatures + d]} * double{in.k[j * kFeatures + d]};
      const double weight = std::exp(0.25 * score);
      all += weight;
      for (std::int64_t e = 0; e < kFeatures; e++)
        sum[e] += weight * double{in.v[j * kFeatures + e]};
    }
    for (std::int64_t e = 0; e < kFeatures; e++)
      worst = std::max(worst, std::abs(sum[e] / all - double{o[i * kFeatures + e]}));
  }
  return worst < 1e-5;  // false for NaN
}

std::shared_ptr<const codegen::CompiledProgram> compile() {
  return codegen::compile_program(ir::parse(kText), codegen::host_target());
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void spill(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace

TEST_CASE("a program is compiled once, and then comes from the disk with the same results") {
  const OwnCache scratch;
  const Tensors in;
  std::vector<float> first;
  std::string assembly;
  {
    const auto program = compile();
    CHECK_FALSE(program->cached());
    first = run(*program, in);
    CHECK(is_right(first, in));
    assembly = program->assembly("o");
    MESSAGE("cold: ", program->milliseconds(), " ms");
    const std::span<const double> steps = program->step_milliseconds();
    CHECK(steps.size() == program->program().steps.size());
    CHECK(std::ranges::all_of(steps, [](double each) { return each > 0; }));
    CHECK(std::accumulate(steps.begin(), steps.end(), 0.0) <= program->milliseconds());
  }
  CHECK(scratch.files().size() == 1);
  const auto program = compile();
  CHECK(program->cached());
  CHECK(program->step_milliseconds().empty());
  CHECK(run(*program, in) == first);
  CHECK(program->assembly("o") == assembly);
  CHECK(assembly.size() > 1000);
  CHECK(program->assembly("").size() > assembly.size());
  CHECK(program->assembly("p").empty());
  MESSAGE("warm: ", program->milliseconds(), " ms");
}

TEST_CASE("a program that is in use is given out again, to its own graph and target only") {
  const OwnCache scratch;
  const auto program = compile();
  CHECK(compile() == program);
  std::string other_text = kText;
  other_text.replace(other_text.find("0.25"), 4, "0.75");
  const auto other = codegen::compile_program(ir::parse(other_text), codegen::host_target());
  CHECK(other != program);
  CHECK_FALSE(other->cached());
  CHECK_FALSE(is_right(run(*other, Tensors()), Tensors()));
  for (const ir::Target& target : codegen::runnable_targets()) {
    if (target == codegen::host_target()) continue;
    const auto row = codegen::compile_program(ir::parse(kText), target);
    CHECK(row != program);
    CHECK_FALSE(row->cached());
    CHECK(is_right(run(*row, Tensors()), Tensors()));
    break;
  }
}

TEST_CASE("a damaged entry is compiled anew") {
  const OwnCache scratch;
  const Tensors in;
  compile();
  REQUIRE(scratch.files().size() == 1);
  const fs::path file = scratch.files()[0];
  const std::string bytes = slurp(file);
  std::mt19937 random(1);
  const auto check = [&](const std::string& damaged) {
    spill(file, damaged);
    {
      const auto program = compile();
      CHECK_FALSE(program->cached());
      CHECK(is_right(run(*program, in), in));
    }
    CHECK(slurp(file) == bytes);
  };
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{40}, bytes.size() / 2, bytes.size() - 1})
    check(bytes.substr(0, size));
  for (int n = 0; n < 2; n++) {
    std::string damaged = bytes;
    damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
    check(damaged);
  }
}

TEST_CASE("FOVEA_CACHE=off keeps nothing") {
  const OwnCache scratch;
  const Environment off("FOVEA_CACHE", "off");
  CHECK_FALSE(compile()->cached());
  CHECK_FALSE(compile()->cached());
  CHECK(scratch.files().empty());
}

TEST_CASE("a program from the disk recomputes exactly what came out non-finite") {
  const OwnCache scratch;
  compile();
  const auto program = compile();
  REQUIRE(program->cached());
  Tensors in;
  const Tensors clean = in;
  // No row sees the columns from kRows on.
  for (std::int64_t n = kRows * kFeatures; n < kColumns * kFeatures; n++)
    in.v[n] = n % 2 == 0 ? NAN : kInfinity, in.k[n] = -kInfinity;
  CHECK(is_right(run(*program, in), clean));
}

TEST_CASE("processes that compile at once are all right") {
  const OwnCache scratch;
  std::vector<pid_t> children;
  for (int n = 0; n < 3; n++) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const Tensors in(static_cast<std::uint32_t>(n));
      _exit(is_right(run(*compile(), in), in) ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  const auto program = compile();
  CHECK(program->cached());
  CHECK(is_right(run(*program, Tensors()), Tensors()));
  CHECK(scratch.files().size() == 1);
}

TEST_CASE("threads that compile at once are all right") {
  const OwnCache scratch;
  std::vector<std::vector<float>> results(4);
  {
    std::vector<std::jthread> threads;
    for (std::vector<float>& result : results)
      threads.emplace_back([&result] { result = run(*compile(), Tensors()); });
  }
  for (const std::vector<float>& result : results) {
    CHECK(is_right(result, Tensors()));
    CHECK(result == results[0]);
  }
}

TEST_CASE("programs: pieces cut no axis that a result runs along, and no row of folds") {
  const ir::Graph graph = ir::parse(R"(axis b, h, j, d = 64, n = 4

k : f32[b, h, j, d]

out o = cumsum(j, k)
out t = topk(j, n, k)
out s = sum(j, k)

kernel o(o) slots=_
kernel t(t) slots=_
kernel s(s) slots=_
)");
  const auto lowered = codegen::lower_program(graph, codegen::host_target());
  std::vector<int> cuttable;
  for (const runtime::Step& step : lowered.program.steps) {
    CHECK(step.plain()->divisible);
    cuttable.push_back(step.plain()->cuttable);
  }
  CHECK(cuttable == std::vector<int>{2, 3, 2});
}
