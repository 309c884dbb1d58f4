// Functions that Halide knows for shorter vectors than the target's are emitted for whole ones.
#include <doctest/doctest.h>

#include <string>

#include "codegen/targets.h"
#include "tests/frontend/support.h"

namespace fovea::test {

TEST_CASE("a square root takes a whole vector") {
  const Graph graph = parse(R"(
axis i, j, d = 64, e = 64
q : f32[i, d]
k : f32[j, d]
v : f32[j, e]
s = sum(d, (q - k) * (q - k))
out o = sum(j, sqrt(s) * v)
)");
  const Sizes sizes{{"i", 100}, {"j", 150}};
  for (const ir::Target& target : codegen::runnable_targets()) {
    INFO(target.name);
    const Options options{.target = std::string(target.name), .threads = 1, .sizes = sizes};
    const auto differs =
        compiled_differs(graph, random_inputs(graph, sizes, 1), sizes, 1e-5, options);
    CHECK_MESSAGE(!differs, differs.value_or(""));
    const std::string code = compile(graph, options).code("o");
    if (target.lanes != 16) continue;
    CHECK(code.find("vsqrtps\t%zmm") != std::string::npos);
    CHECK(code.find("vsqrtps\t%ymm") == std::string::npos);
  }
}

}  // namespace fovea::test
