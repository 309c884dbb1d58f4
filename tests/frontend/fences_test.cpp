// No kernel reads beyond its inputs, at either end: memory there cannot be touched. Every other
// test that runs kernels on dense inputs asks for the same at one end (support.h).
#include <doctest/doctest.h>

#include <list>
#include <map>
#include <string>

#include "codegen/targets.h"
#include "ir/text.h"
#include "ops/mechanism.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

void run_fenced(const Kernel& kernel, const Graph& graph, const ir::Arrays& inputs,
                const Sizes& sizes, const ir::Arrays& expected) {
  for (const bool at_end : {true, false}) {
    INFO(describe(sizes), at_end ? ", at the end of memory" : ", at its beginning");
    std::list<Fenced> fenced;
    std::map<std::string, Guarded> outputs;
    std::vector<NamedView> from, to;
    for (const auto& [name, array] : inputs) {
      Guarded plain(array);
      from.push_back({name, fenced.emplace_back(plain.view(), at_end).view()});
    }
    for (const ir::Output& output : graph.outputs) {
      const ir::Array& array = expected.at(output.name);
      const auto at = outputs.try_emplace(output.name, array.dtype, array.shape).first;
      to.push_back({at->first, at->second.view()});
    }
    kernel.run(from, to, sizes);
    for (const auto& [name, tensor] : outputs) CHECK(tensor.surroundings_intact());
  }
}

struct Extents {
  std::int64_t rows, columns;
};
constexpr Extents kExtents[] = {{61, 107}, {1, 107}, {7, 50}, {200, 97}};

void check(const ops::Mechanism& mechanism, const std::map<std::string, double>& given) {
  const ops::Problem problem(mechanism.options, given);
  const Graph graph = mechanism.build(problem);
  const Kernel kernel = compile(graph, {.threads = 1});
  for (const auto& [rows, columns] : kExtents) {
    Sizes sizes = ops::example_sizes(graph, rows, columns);
    const ir::Arrays inputs = ops::example_inputs(mechanism, problem, graph, sizes, 1);
    std::erase_if(sizes, [&](const auto& size) {
      const ir::Axis& axis = graph.axis(ir::find_axis(graph, size.first));
      return !axis.extent.empty() || axis.degree != ir::kNone;
    });
    run_fenced(kernel, graph, inputs, sizes, ir::interpret(graph, inputs, sizes));
  }
}

}  // namespace

TEST_CASE("fences: grouped heads, unaligned widths and reads elsewhere") {
  const std::map<std::string, double> grouped{{"d", 20}, {"e", 12}, {"group", 2}};
  for (const char* name : {"scaled_dot_product", "causal", "causal_linear", "retention", "rope"})
    check(ops::find(name), grouped);
  const Graph graph = parse(R"(
axis h = 4, g = 2, i, j, d = 16, e = 16
q : f32[h, i, d]
k : bf16[g, j, d]
v : f32[g, j, e]
s = sum(d, q * k[g = h / 2, j = j + 1 else 0.5])
out o = sum(j, softmax(j, s) * v[g = h / 2, j = size(j) - 1 - j])
)");
  const Kernel kernel = compile(graph, {.threads = 1});
  for (const auto& [rows, columns] : kExtents) {
    const Sizes sizes{{"i", rows}, {"j", columns}};
    const ir::Arrays inputs = random_inputs(graph, sizes, 1);
    run_fenced(kernel, graph, inputs, sizes, ir::interpret(graph, inputs, sizes));
  }
}

TEST_CASE("fences: sums whose widths no tile of registers divides") {
  const Graph graph = parse(R"(
axis b, i, d = 24, e = 40
q : f32[b, i, d]
w : f32[b, d, e]
out total = sum(i, q)
out features = sum(d, where(q > 0.0, q + 1.0, exp(min(q, 0.0))) * w)
)");
  for (const ir::Target& target : codegen::runnable_targets()) {
    INFO(target.name);
    const Kernel kernel = compile(graph, {.target = std::string(target.name), .threads = 1});
    for (const std::int64_t rows : {1, 7, 61, 64, 65}) {
      const Sizes sizes{{"b", 2}, {"i", rows}};
      const ir::Arrays inputs = random_inputs(graph, sizes, 1);
      run_fenced(kernel, graph, inputs, sizes, ir::interpret(graph, inputs, sizes));
    }
  }
}

}  // namespace fovea::test
