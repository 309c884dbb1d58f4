// Which batch axes few rows walk several coordinates of at a time.
#include "passes/tile.h"

#include <doctest/doctest.h>

#include <string>

#include "ir/text.h"
#include "passes/run.h"

using namespace fovea;

namespace {

// "h 4", or nothing. `column` and `value` are how keys and values are read, `mask` what masks.
std::string shared_by(const std::string& axes, const std::string& key, const std::string& read,
                      const std::string& mask = "j <= i") {
  const std::string text =
      "axis b, " + axes + ", g, i, j, d = 64, e = 64\n" + "q : f32[b, h, i, d]\nk : f32[" + key +
      ", j, d]\nv : f32[" + key + ", j, e]\nseen : bool[h, i, j]\n" + "s = where(" + mask +
      ", sum(d, q * k" + read + "), -inf)\n" + "out o = sum(j, softmax(j, s) * v" + read + ")\n";
  const ir::Target target = ir::targets().front();
  const ir::Graph graph =
      passes::tile_one_row(passes::run_pipeline(ir::parse(text), target, {}), target);
  REQUIRE(graph.kernels.size() == 1);
  const ir::Kernel& kernel = graph.kernels[0];
  CHECK(ir::parse(ir::print(graph)) == graph);
  if (kernel.shared == ir::kNone) return "";
  return graph.axis(kernel.shared).name + " " + std::to_string(kernel.members);
}

}  // namespace

TEST_CASE("heads that read the same keys are walked together") {
  CHECK(shared_by("h", "b, g", "[g = h / 4]") == "h 4");
  CHECK(shared_by("h", "b, g", "[g = h / 8]") == "h 8");
  CHECK(shared_by("h", "b", "") == "h 8");
  CHECK(shared_by("h = 6", "b", "") == "h 6");
}

TEST_CASE("no more members than fit, in groups that divide those of a key head") {
  CHECK(shared_by("h", "b, g", "[g = h / 12]") == "h 6");
  CHECK(shared_by("h", "b, g", "[g = h / 16]") == "h 8");
  CHECK(shared_by("h", "b, g", "[g = h / 13]").empty());
}

TEST_CASE("heads with keys of their own are not, nor those that see other keys") {
  CHECK(shared_by("h", "b, h", "").empty());
  CHECK(shared_by("h", "b, g", "[g = h % 4]").empty());
  CHECK(shared_by("h", "b, g", "[g = (h + 1) / 4]").empty());
  CHECK(shared_by("h", "b, g", "[g = h / 4]", "seen").empty());
  CHECK(shared_by("h", "b, g", "[g = h / 4]", "j <= i + h").empty());
}

TEST_CASE("a batch that shares keys is walked together where its heads do not") {
  CHECK(shared_by("h", "h", "") == "b 8");
}
