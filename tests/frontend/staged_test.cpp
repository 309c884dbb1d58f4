// Inputs that lie on the plane with many rows across the lanes: whichever way they lie, against the
// interpreter.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "codegen/targets.h"
#include "fovea/fovea.h"
#include "tests/frontend/support.h"

namespace fovea {
namespace {

std::string attention(std::string_view declarations, std::string_view score) {
  return "axis h, i, j, c = 3, d = 8, e = 8\nq : f32[h, i, d]\nk : f32[h, j, d]\nv : f32[h, j, "
         "e]\n" +
         std::string(declarations) + "\ns = sum(d, q * k) * 0.3\nout o = sum(j, softmax(j, " +
         std::string(score) + ") * v)\n";
}

struct Example {
  const char *declarations, *score;
};

constexpr Example kExamples[] = {
    {"b : f32[h, i, j]", "s + b"},
    {"b : f32[i, j]", "s - 0.5 * b"},
    {"b : f32[h, j, i]", "s + b"},
    {"b : f32[i, h, j]", "s * b"},
    {"b : bf16[h, i, j]", "s + f32(b)"},
    {"b : f16[j, i]", "s + f32(b)"},
    {"b : i32[i, j]", "s + f32(b)"},
    {"b : u8[h, i, j]", "s + f32(b)"},
    {"b : i8[j, i]", "s + f32(b)"},
    {"b : i4[i, j]", "s + f32(b)"},
    {"b : bool[i, j]", "where(b, s, -inf)"},
    {"b : bool[h, j, i]", "where(b, s, -inf)"},
    {"b : bool[i, j]\nx : f32[i, j]", "where(b && j <= i + 40, s + x, -inf)"},
    {"b : f32[i, j, c]\nw : f32[h, c]", "s + sum(c, b * w)"},
    {"b : f32[h, i, c, j]\nw : f32[h, c]", "s + sum(c, b * w)"},
    {"b : f32[j, i, c]\nw : f32[h, c]", "s + sum(c, b * w)"},
    {"b : f32[j, c, i]\nw : f32[h, c]", "s + sum(c, b * w)"},
    {"axis g\nb : f32[g, i, j]", "s + b[g = h / 2]"},
    {"b : f32[i, j]\nx : bf16[j, i]", "where(j <= i + 30, s + b, -inf) + f32(x)"},
};

Sizes sizes_of(const Graph& graph, std::int64_t rows, std::int64_t columns) {
  const Sizes all{{"h", 3}, {"g", 2}, {"i", rows}, {"j", columns}};
  Sizes result;
  for (const ir::Axis& axis : graph.axes)
    if (axis.extent.empty()) result[axis.name] = all.at(axis.name);
  return result;
}

void compare(const Example& example, const std::string& target, std::int64_t rows,
             std::int64_t columns) {
  const std::string text = attention(example.declarations, example.score);
  INFO(text, " on ", target, ": ", rows, " x ", columns);
  const Graph graph = parse(text);
  const Sizes sizes = sizes_of(graph, rows, columns);
  const Kernel kernel = compile(graph, {.target = target, .threads = 1});
  const ir::Arrays inputs = test::random_inputs(graph, sizes, unsigned(rows + columns));
  const auto wrong = test::difference(test::run(kernel, graph, inputs, sizes),
                                      ir::interpret(graph, inputs, sizes));
  CHECK_MESSAGE(!wrong, wrong.value_or(""));
}

// Floats that end where memory ends that must not be touched, or begin so.
class Fenced {
 public:
  Fenced(std::span<const float> numbers, bool at_end) {
    const std::size_t page = std::size_t(sysconf(_SC_PAGESIZE)), bytes = numbers.size() * 4;
    size_ = (bytes + page - 1) / page * page + 2 * page;
    memory_ = static_cast<char*>(
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(memory_ != MAP_FAILED);
    first_ = reinterpret_cast<float*>(at_end ? memory_ + size_ - page - bytes : memory_ + page);
    std::ranges::copy(numbers, first_);
    mprotect(memory_, page, PROT_NONE);
    mprotect(memory_ + size_ - page, page, PROT_NONE);
  }
  ~Fenced() { munmap(memory_, size_); }
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;

  float* data() const { return first_; }

 private:
  char* memory_;
  std::size_t size_;
  float* first_;
};

}  // namespace

TEST_CASE("inputs on the plane may lie in any way") {
  std::size_t turn = 0;
  const auto targets = codegen::runnable_targets();
  for (const Example& example : kExamples) {
    compare(example, std::string(targets[turn++ % targets.size()].name), 129, 211);
    compare(example, std::string(targets[turn % targets.size()].name), 50, 97);
  }
}

TEST_CASE("inputs on the plane are as their dtype on every target") {
  for (const ir::Target& target : codegen::runnable_targets())
    for (const std::size_t n : {0, 2, 4, 7, 10, 13})
      compare(kExamples[n], std::string(target.name), 101, 103);
}

TEST_CASE("nothing beyond an input on the plane is read") {
  constexpr std::int64_t kRows = 61, kColumns = 107;
  for (const ir::Target& target : codegen::runnable_targets())
    for (const char* lies : {"b : f32[i, j]", "b : f32[j, i]"}) {
      const Graph graph = parse(attention(lies, "s + b"));
      const Kernel kernel = compile(graph, {.target = std::string(target.name), .threads = 1});
      const Sizes sizes = sizes_of(graph, kRows, kColumns);
      const std::vector<float> other(3 * 128 * 8, 0.5f), bias(kRows * kColumns, 0.25f);
      for (const bool at_end : {true, false}) {
        const Fenced fenced(bias, at_end);
        std::vector<float> out(3 * kRows * 8);
        const bool rows_first = std::string(lies).ends_with("[i, j]");
        kernel.run({{"q", view(other.data(), {3, kRows, 8})},
                    {"k", view(other.data(), {3, kColumns, 8})},
                    {"v", view(other.data(), {3, kColumns, 8})},
                    {"b", view(fenced.data(),
                               rows_first ? Shape{kRows, kColumns} : Shape{kColumns, kRows})}},
                   {{"o", view(out.data(), {3, kRows, 8})}}, sizes);
        for (const float x : out) CHECK(x == doctest::Approx(0.5));
      }
    }
}

TEST_CASE("NaN of an input on the plane stays in its row, and behind its mask") {
  const Graph graph = parse(attention("b : f32[i, j]", "where(j < 150, s + b, -inf)"));
  const Sizes sizes = sizes_of(graph, 130, 200);
  ir::Arrays inputs = test::random_inputs(graph, sizes, 1);
  for (auto& [name, array] : inputs)
    if (name == "b") {
      array.data[70 * 200 + 13] = std::numeric_limits<double>::quiet_NaN();
      array.data[90 * 200 + 170] = std::numeric_limits<double>::quiet_NaN();
    }
  const Kernel kernel = compile(graph, {.threads = 1});
  const auto wrong = test::difference(test::run(kernel, graph, inputs, sizes),
                                      ir::interpret(graph, inputs, sizes));
  CHECK_MESSAGE(!wrong, wrong.value_or(""));
}

TEST_CASE("an input on the plane is turned by shuffles, in code of its own") {
  const Graph graph = parse(attention("b : f32[i, j]", "s + b"));
  const Kernel kernel = compile(graph, {.target = "avx2", .threads = 1});
  const std::string text = kernel.code("o");
  CHECK(text.find("fovea_stage") != std::string::npos);
  CHECK(text.find("vunpcklps") != std::string::npos);
  CHECK(text.find("prefetch") != std::string::npos);
}

}  // namespace fovea
