#include "ir/interpret_kernels.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "ir/error.h"
#include "ir/text.h"

namespace fovea::ir {
namespace {

Array array(std::vector<std::int64_t> shape, std::vector<double> data, Dtype dtype = Dtype::F32) {
  return {dtype, std::move(shape), std::move(data)};
}

// What is wrong with the kernels; empty if nothing is.
std::string defect(const std::string& text) {
  const Graph graph = parse(text);
  try {
    const KernelProgram program(graph);
  } catch (const Error& error) {
    CHECK(error.code() == Code::internal);
    return error.what();
  }
  return "";
}

const std::string kChain = R"(
axis i
x : f32[i]
a = exp(x)
b = tanh(a)
out o = b + a
)";

const std::string kPlane = R"(
axis i, j, d = 4
q : f32[i, d]
k : f32[j, d]
s = sum(d, q * k)
m = max(j, s)
e = exp(s - m)
l = sum(j, e)
out o = sum(j, e * k) / l
)";

}  // namespace

TEST_CASE("interpret kernels: a kernel is a graph of its own") {
  const Graph graph = parse(R"(
axis i, j
k : f32[j]
t = sum(j, k)
m = j <= i
out o = sum(j, where(m, k * t, 0.0))
kernel t(t)
kernel o(o) over i, j visible=m solid=m
)");
  CHECK(print(kernel_graph(graph, graph.kernels[1]).graph) == R"(axis i, j

k : f32[j]
%4 : f32[]

_1 = j <= i
m = j <= i
out %8 = sum(j, where(_1, where(m || _1, k * %4, 0.0), 0.0))
)");
}

TEST_CASE("interpret kernels: only what was stored is there") {
  CHECK(defect(kChain + "kernel o(o)") == "");
  CHECK(defect(kChain + "kernel a(a)\nkernel b(b)\nkernel o(o)") == "");
  CHECK(defect(kChain + "kernel b(b)\nkernel a(a)\nkernel o(o)") ==
        "kernel 'b' needs a, which no kernel has stored by then");
  CHECK(defect(kChain + "kernel a(a)\nkernel b(b)") ==
        "output 'o' needs the result of '+', which no kernel has stored by then");
}

TEST_CASE("interpret kernels: a slot holds what was stored last") {
  CHECK(defect(kChain + "kernel a(a) slots=0\nkernel b(b) slots=1\nkernel o(o) slots=_") == "");
  CHECK(defect(kChain + "kernel a(a) slots=0\nkernel b(b) slots=0\nkernel o(o) slots=_") ==
        "kernel 'b' needs a, which kernel 'b' has overwritten in slot 0");
  CHECK(defect(kChain + "kernel a(a) slots=_\nkernel b(b) slots=0\nkernel o(o) slots=_") ==
        "kernel 'a' stores a in no slot, and no output has its memory");
}

TEST_CASE("interpret kernels: a walk tells what it folds, and only at its end") {
  CHECK(defect(kPlane + "kernel o(o) over i, j") == "");
  CHECK(defect(kPlane + "kernel m(m, l) over i, j\nkernel o(o) over i, j") == "");
  CHECK(defect(kPlane + "kernel o(o) over j, i") ==
        "kernel 'o' folds l in the same walk as m, which that needs before");
  CHECK(defect(kPlane + "kernel o(o) over i, d") ==
        "kernel 'o' needs l, which no tile of its plane tells, and nobody stores it");
  CHECK(defect(kPlane + "out r = m[i = i - 1] + s\nkernel o(o) over i, j\nkernel r(r) over i, j") ==
        "kernel 'r' reads m at other coordinates, and nobody stores it");
}

TEST_CASE("interpret kernels: coordinates that were chosen are not checked where they are stored") {
  const Graph graph = parse(R"(
axis j, n = 2
x : f32[j]
at = topk(j, n, x)
out o = x[j = at]
kernel at(at)
kernel o(o)
)");
  const Arrays inputs{{"x", array({1}, {3})}};
  CHECK(interpret_kernels(graph, inputs) == interpret(graph, inputs));
}

TEST_CASE("interpret kernels: ragged axes, and an output of several names") {
  const Graph graph = parse(R"(
axis r, n < degree
first : i32[r]
x : f32[r]
degree = first + 1
out o = sum(n, x * f32(n))
out p = o
kernel degree(degree) slots=0
kernel o(o) over _, n slots=_
)");
  const Arrays inputs{{"first", array({3}, {0, 1, 2}, Dtype::I32)}, {"x", array({3}, {1, 2, 3})}};
  const Arrays found = interpret_kernels(graph, inputs);
  CHECK(found == interpret(graph, inputs));
  CHECK(found.at("p").data == std::vector<double>{0, 2, 9});
}

TEST_CASE("interpret kernels: a state brings columns of earlier rows, without their masks") {
  // The mask opens along the rows, but not for what the second row alone does not see.
  const std::string text = R"(
axis i, j
k : f32[j]
q : f32[i]
m = j <= i
out o = sum(j, where(m, q * k, 0.0))
kernel o(o) over i, j visible=m solid=m)";
  const Arrays inputs{{"k", array({3}, {1, 2, 4})}, {"q", array({3}, {1, 1, 1})}};
  for (const std::string_view carry : {"", " carry=solid"})
    CHECK(interpret_kernels(parse(text + std::string(carry) + "\n"), inputs).at("o").data ==
          std::vector<double>{1, 3, 7});
  const std::string closing = R"(
axis i, j
k : f32[j]
m = j >= i
out o = sum(j, where(m, k, 0.0))
kernel o(o) over i, j visible=m solid=m carry=solid
)";
  CHECK(defect(closing) ==
        "kernel 'o' says carry=solid, but its sums are not products of what rows and columns "
        "bring, or its mask closes along the rows");
}

TEST_CASE("interpret kernels: inputs in another order than axes") {
  CHECK(defect(R"(
axis i, j
a : f32[j, i]
out o = sum(j, a)
kernel o(o) over i, j
)") == "");
}

TEST_CASE("interpret kernels: nothing along an axis") {
  const Graph graph = parse(kPlane + "kernel o(o) over i, j\n");
  const Arrays inputs{{"q", array({2, 4}, std::vector<double>(8, 1))}, {"k", array({0, 4}, {})}};
  const Arrays found = interpret_kernels(graph, inputs);
  CHECK(found.at("o").shape == std::vector<std::int64_t>{2, 4});
}

}  // namespace fovea::ir
