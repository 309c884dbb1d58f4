// Attention that is written on the pair plane and compiled to linear time.
#include <doctest/doctest.h>

#include <string>

#include "codegen/targets.h"
#include "ops/mechanism.h"
#include "passes/run.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

// Computed values that have both axes, inside of kernels or stored.
int values_on_plane(const Graph& graph, const std::string& row, const std::string& column) {
  const ir::AxisId i = ir::find_axis(graph, row), j = ir::find_axis(graph, column);
  int count = 0;
  for (const ir::Node& node : graph.nodes) count += node.type.has(i) && node.type.has(j) ? 1 : 0;
  return count;
}

double flops(const Kernel& kernel, std::int64_t extent) {
  double sum = 0;
  const Report report = kernel.explain({{"b", 1}, {"h", 1}, {"i", extent}, {"j", extent}});
  for (const KernelReport& each : report.kernels) sum += each.flops_all;
  return sum;
}

}  // namespace

TEST_CASE("linear time: written on the plane, reassociated off it") {
  for (const char* name : {"linear", "performer"}) {
    CAPTURE(name);
    const ops::Mechanism& mechanism = ops::find(name);
    const Graph written = mechanism.build(ops::Problem(mechanism.options));
    CHECK(values_on_plane(written, "i", "j") > 0);
    const Graph left =
        passes::run_pipeline(written, codegen::host_target(), {.stop_after = "reassociate"});
    CHECK(values_on_plane(left, "i", "j") == 0);
  }
}

TEST_CASE("linear time: twice the length is twice the work") {
  for (const char* name : {"linear", "performer", "linformer"}) {
    CAPTURE(name);
    const ops::Mechanism& mechanism = ops::find(name);
    const Kernel kernel = compile(mechanism.build(ops::Problem(mechanism.options)));
    const double once = flops(kernel, 4096), twice = flops(kernel, 8192);
    CHECK(once > 0);
    CHECK(twice < 2.05 * once);
  }
}

TEST_CASE("linear time: features of a performer are never stored for all keys") {
  const ops::Mechanism& mechanism = ops::find("performer");
  const Kernel kernel = compile(mechanism.build(ops::Problem(mechanism.options)));
  const Report report = kernel.explain({{"b", 1}, {"h", 1}, {"i", 100000}, {"j", 100000}});
  CHECK(report.extra_bytes < 8e6);
  for (const KernelReport& each : report.kernels) CHECK(each.plane_elements_stored == 0);
}

TEST_CASE("linear time: few queries or keys are contracted as written, by the extents of a run") {
  for (const char* name : {"linear", "performer", "linformer"}) {
    CAPTURE(name);
    const ops::Mechanism& mechanism = ops::find(name);
    const Graph graph = mechanism.build(ops::Problem(mechanism.options));
    const Kernel kernel = compile(graph);
    const auto sizes = [](std::int64_t i, std::int64_t j) {
      return Sizes{{"b", 1}, {"h", 2}, {"i", i}, {"j", j}};
    };
    const auto report = [&](std::int64_t i, std::int64_t j) { return kernel.explain(sizes(i, j)); };
    const std::string in_short = "contracted in the order for short axes";
    CHECK(report(1, 1000).order.starts_with(in_short));
    CHECK(report(4096, 4096).order.starts_with("contracted in the order for long axes"));
    CHECK(report(1, 100000).extra_bytes < 8e6);
    double one = 0, many = 0;
    for (const KernelReport& each : report(1, 1000).kernels) one += each.flops_all;
    for (const KernelReport& each : report(2000, 1000).kernels) many += each.flops_all;
    CHECK(one < many / 4);
    for (const auto& [i, j] : {std::pair(1, 1), {1, 300}, {5, 300}, {300, 5}, {300, 300}}) {
      const auto differs =
          compiled_differs(graph, random_inputs(graph, sizes(i, j), 7), sizes(i, j));
      CHECK_MESSAGE(!differs, differs.value_or(""));
    }
  }
}

}  // namespace fovea::test
