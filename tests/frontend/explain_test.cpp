#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "fovea/fovea.h"
#include "frontend/named_planes.h"
#include "tests/codegen/environment.h"

namespace fovea {
namespace {

constexpr const char* kCausal = R"(
axis h, i, j, d = 16, e = 16
q : f32[h, i, d]
k : f32[h, j, d]
v : f32[h, j, e]
out o = sum(j, softmax(j, where(j <= i, sum(d, q * k), -inf)) * v)
)";

std::string message_of(auto&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

const KernelReport& on_plane(const Report& report) {
  for (const KernelReport& kernel : report.kernels)
    if (!kernel.row_axis.empty()) return kernel;
  FAIL("there is no kernel on the plane");
  return report.kernels.front();
}

TEST_CASE("explain tells the specialization that so many rows take") {
  const Kernel kernel = compile(parse(kCausal), {.fuse = true});
  const auto rows = [&](std::int64_t i) {
    return kernel.explain({{"h", 2}, {"i", i}, {"j", 100}}).rows;
  };
  CHECK(rows(1) == "decode, as i is 1: columns in the lanes and no loop over rows");
  CHECK(rows(16) == "few_rows, as i is 16: columns in the lanes");
  CHECK(rows(40) == "half_tiles, as i is 40: whole tiles would stay emptier");
  CHECK(rows(4096) == "");
}

TEST_CASE("explain tells tiles and work from sizes alone, the same as from inputs") {
  const Kernel kernel = compile(parse(kCausal));
  std::vector<float> q(2 * 1000 * 16), k(2 * 1000 * 16), v(k);
  const NamedView inputs[] = {{"q", view(q.data(), {2, 1000, 16})},
                              {"k", view(k.data(), {2, 1000, 16})},
                              {"v", view(v.data(), {2, 1000, 16})}};
  const Report sized = kernel.explain({{"h", 2}, {"i", 1000}, {"j", 1000}});
  const Report bound = kernel.explain({}, inputs);
  const Report both = kernel.explain({{"i", 1000}}, std::span(inputs).subspan(1));
  const KernelReport& one = on_plane(sized);
  CHECK(one.rows == 1000);
  CHECK(one.columns == 1000);
  CHECK(one.batch == 2);
  CHECK(one.plane_elements_stored == 0);
  CHECK(one.tiles_full > 0);
  CHECK(one.tiles_partial > 0);
  CHECK(one.tiles_empty > 0);
  CHECK(one.flops_all == 2.0 * 1000 * 1000 * 2 * (16 + 16));
  // Half of the plane, and what the tiles on the diagonal have of the other half.
  CHECK(one.flops > 0.5 * one.flops_all);
  CHECK(one.flops < 0.7 * one.flops_all);
  for (const Report* report : {&bound, &both}) {
    CHECK(on_plane(*report).tiles_full == one.tiles_full);
    CHECK(on_plane(*report).tiles_partial == one.tiles_partial);
    CHECK(on_plane(*report).flops == one.flops);
    CHECK(on_plane(*report).bytes == one.bytes);
  }
}

std::vector<std::string> planes_of(const std::string& text) {
  std::vector<std::string> names;
  const Graph graph = parse(text);
  for (const frontend::NamedPlane& plane : frontend::named_planes(graph))
    names.push_back(graph.axis(plane.row).name + " x " + graph.axis(plane.column).name);
  return names;
}

TEST_CASE("planes are called as their author would call them") {
  using Names = std::vector<std::string>;
  CHECK(planes_of(kCausal) == Names{"i x j"});
  // Heads are no columns of a plane, whatever stands in a program beside the attention.
  CHECK(planes_of(R"(
axis s, h, i, j = i, d, m, f = m
x : f32[s, i, m]
wq : f32[h, d, m]
wk : f32[h, d, m]
wo : f32[h, d, f]
q = sum(m, x * wq)
k = sum(m, x * wk)
p = softmax(j, sum(d, q * k[i = j]))
out o[s, i, f] = sum(h, sum(d, sum(j, p * k[i = j]) * wo))
)") == Names{"i x j"});
  CHECK(planes_of(R"(
axis h, i, j, d, m
x : f32[i, m]
y : f32[j, m]
wq : f32[h, d, m]
wk : f32[h, d, m]
out o = sum(j, softmax(j, sum(d, sum(m, x * wq) * sum(m, y * wk))) * sum(m, y * wk))
)") == Names{"i x j"});
  CHECK(planes_of(R"(
axis h, i, j, d = 16
q : f32[h, i, d]
k : f32[j, d]
slope : f32[h]
out o = sum(j, softmax(j, sum(d, q * k) - slope * (i - j)) * k)
)") == Names{"i x j"});
  CHECK(planes_of("axis i, d\nx : f32[i, d]\nout o = x / sum(d, x * x)\n") == Names{});
  // Without a maximum or a mask any sum of products may be meant.
  CHECK(
      planes_of(
          "axis i, j, d = 8\nq : f32[i, d]\nk : f32[j, d]\nout o = sum(j, sum(d, q * k) * k)\n") ==
      Names{"i x j"});
}

TEST_CASE("explain tells what is kept between kernels, and how it grows") {
  const Sizes sizes = {{"h", 2}, {"i", 100}, {"j", 300}};
  const Report fused = compile(parse(kCausal)).explain(sizes);
  CHECK(fused.planes == std::vector<std::string>{"i x j"});
  CHECK(fused.kept.empty());
  CHECK(fused.kept_bytes == 0);
  CHECK(fused.growth.empty());

  const Report unfused = compile(parse(kCausal), {.fuse = false}).explain(sizes);
  CHECK(unfused.planes == std::vector<std::string>{"i x j"});
  CHECK(unfused.growth == "O(h·i·j)");
  const auto on_plane = [](const Report& report) {
    return std::ranges::count_if(report.kept, &KeptReport::on_plane);
  };
  CHECK(on_plane(unfused) > 0);
  std::int64_t stored = 0;
  for (const KernelReport& kernel : unfused.kernels) stored += kernel.plane_elements_stored;
  CHECK(stored == on_plane(unfused) * 2 * 100 * 300);
  for (const KeptReport& kept : unfused.kept)
    if (kept.on_plane) CHECK(kept.bytes == 4.0 * 2 * 100 * 300);

  const Report projected = compile(parse(R"(
axis h, i, j = i, d = 16, m
x : f32[i, m]
w : f32[h, d, m]
q = sum(m, x * w)
out o = sum(j, softmax(j, sum(d, q * q[i = j])) * q[i = j])
)"))
                               .explain({{"h", 2}, {"i", 100}, {"m", 32}});
  CHECK(projected.growth == "O(h·i)");
  REQUIRE(!projected.kept.empty());
  CHECK(projected.kept[0].name == "q");
  CHECK(projected.kept[0].growth == "O(h·i)");
  CHECK(projected.kept[0].bytes == 4.0 * 2 * 100 * 16);
  CHECK(on_plane(projected) == 0);
  for (const KernelReport& kernel : projected.kernels) CHECK(kernel.plane_elements_stored == 0);
}

TEST_CASE("explain counts the neighbours that are read, not all that there are") {
  const Kernel kernel = compile(parse(R"(
axis i, j, e, r = i + 1, n < degree, h = 8, d = 16, f = 24
start : i32[r]
neighbour : i32[e]
q : f32[i, h, d]
k : f32[j, h, d]
v : f32[j, h, f]
degree = start[r = i + 1] - start[r = i]
nb = neighbour[e = start[r = i] + n]
out o = sum(n, softmax(n, sum(d, q * k[j = nb])) * v[j = nb])
)"));
  const auto walk = [&](double edges) {
    const Report report =
        kernel.explain({{"i", 100}, {"j", 5000}, {"e", static_cast<std::int64_t>(edges)}});
    const auto is_o = [](const KernelReport& each) { return each.kernel == "o"; };
    const auto found = std::ranges::find_if(report.kernels, is_o);
    REQUIRE(found != report.kernels.end());
    return *found;
  };
  const KernelReport few = walk(1000), many = walk(3000);
  constexpr double kFlops = 2 * 8 * (16 + 24), kBytes = 4 * 8 * (16 + 24);
  // A sum of weights and others of one number for a head are counted too.
  CHECK(few.flops >= 1000 * kFlops);
  CHECK(few.flops < 1.1 * 1000 * kFlops);
  CHECK(many.flops == doctest::Approx(3 * few.flops));
  CHECK(many.bytes - few.bytes >= 2000 * kBytes);
  CHECK(many.bytes - few.bytes < 1.1 * 2000 * kBytes);
}

// Attention of `heads` heads of 400 rows to 500 keys where `visible` says so, `inputs` besides.
std::string masked(const std::string& inputs, const std::string& visible) {
  return "axis h, i, j, r = (i + 99) / 100, c = (j + 99) / 100, d = 16\n"
         "q : f32[h, i, d]\nk : f32[h, j, d]\nv : f32[h, j, d]\n" +
         inputs + "out o = sum(j, softmax(j, where(" + visible + ", sum(d, q * k), -inf)) * v)\n";
}

// Tiles and pairs that have anything visible, by the mask itself.
struct Expected {
  std::int64_t tiles = 0;
  double pairs = 0;
};
Expected visited(const KernelReport& kernel, auto&& visible) {
  Expected result;
  for (std::int64_t h = 0; h < kernel.batch; h++)
    for (std::int64_t row = 0; row < kernel.rows; row += kernel.row_tile)
      for (std::int64_t column = 0; column < kernel.columns; column += kernel.column_block) {
        const std::int64_t end = std::min(row + kernel.row_tile, kernel.rows);
        const std::int64_t last = std::min(column + kernel.column_block, kernel.columns);
        bool any = false;
        for (std::int64_t i = row; i < end && !any; i++)
          for (std::int64_t j = column; j < last && !any; j++) any = visible(h, i, j);
        result.tiles += any;
        result.pairs += any ? static_cast<double>((end - row) * (last - column)) : 0;
      }
  return result;
}

TEST_CASE("explain counts what a run visits where data decide, computed ones too") {
  const std::int64_t heads = 3, n = 400, m = 500;
  std::vector<float> x(static_cast<std::size_t>(heads * m * 16), 0.5f), gates{-1, 1, -1};
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(n * m)), blocks(4 * 5);
  const auto sees = [](std::int64_t i, std::int64_t j) { return i / 7 % 9 == j / 11 % 13; };
  for (std::int64_t i = 0; i < n; i++)
    for (std::int64_t j = 0; j < m; j++)
      mask[static_cast<std::size_t>(i * m + j)] = i < 200 && j > 100 && sees(i, j);
  for (std::size_t at : {0, 3, 6, 17}) blocks[at] = 1;
  const View keys = view(std::as_const(x).data(), {heads, m, 16});
  const NamedView common[] = {
      {"q", view(std::as_const(x).data(), {heads, n, 16})}, {"k", keys}, {"v", keys}};
  const auto check = [&](const std::string& text, const NamedView& own, auto&& visible) {
    CAPTURE(text);
    std::vector<NamedView> inputs(common, common + 3);
    inputs.push_back(own);
    for (const int threads : {1, 2}) {
      const Kernel kernel = compile(parse(text), {.threads = threads});
      const KernelReport found = on_plane(kernel.explain({}, inputs));
      const Expected expected = visited(found, visible);
      CHECK(found.tiles_full + found.tiles_partial == expected.tiles);
      CHECK(found.flops == doctest::Approx(2 * (16 + 16) * expected.pairs));
      CHECK(found.flops_all == 2.0 * (16 + 16) * heads * n * m);
      const std::int64_t tiles = heads * ((n + found.row_tile - 1) / found.row_tile) *
                                 ((m + found.column_block - 1) / found.column_block);
      CHECK(found.tiles_empty == tiles - expected.tiles);
      CHECK(found.tiles_empty > 0);
    }
  };
  const auto at = [](std::int64_t row, std::int64_t width, std::int64_t column) {
    return static_cast<std::size_t>(row * width + column);
  };
  check(masked("g : f32[h]\n", "sigmoid(g) > 0.5"), {"g", view(gates.data(), {3})},
        [&](std::int64_t h, std::int64_t, std::int64_t) { return h == 1; });
  check(masked("m : bool[i, j]\n", "m"), {"m", view(mask.data(), ir::Dtype::Bool, {n, m})},
        [&](std::int64_t, std::int64_t i, std::int64_t j) { return mask[at(i, m, j)] != 0; });
  check(masked("b : u8[r, c]\n", "(b + 1 > 1)[r = i / 100, c = j / 100]"),
        {"b", view(blocks.data(), {4, 5})}, [&](std::int64_t, std::int64_t i, std::int64_t j) {
          return blocks[at(i / 100, 5, j / 100)] != 0;
        });
}

TEST_CASE("explain refuses counts that no integer holds") {
  const std::string head = "axis b, c, h, i, j, d = 16\nq : f32[b, c, h, i, d]\nk : f32[b, j, d]\n";
  const std::string body = "out o = sum(j, softmax(j, sum(d, q * k)) * k)\n";
  const Graph graph = parse(head + body);
  const auto explained = [&](const Options& options, std::int64_t batch) {
    return compile(graph, options)
        .explain({{"b", batch}, {"c", batch}, {"h", batch}, {"i", 100}, {"j", 1000}});
  };
  const Report fused = explained({}, 500'000);
  CHECK(on_plane(fused).batch == 125'000'000'000'000'000);
  CHECK(on_plane(fused).tiles_full > 0);
  const Report long_axes = compile(graph).explain(
      {{"b", 1}, {"c", 1}, {"h", 2}, {"i", 2'000'000'000}, {"j", 2'000'000'000}});
  CHECK(on_plane(long_axes).flops == on_plane(long_axes).flops_all);
  CHECK(on_plane(long_axes).tiles_full > 200'000'000'000'000);
  const auto refused = [&](const Options& options, std::int64_t batch) {
    return message_of([&] { explained(options, batch); });
  };
  CHECK(refused({}, 2'000'000).find("too many tiles") != std::string::npos);
  CHECK(refused({}, 2'000'000'000).find("too many planes") != std::string::npos);
  CHECK(refused({.fuse = false}, 2'000'000).find("too many elements") != std::string::npos);
}

TEST_CASE("explain tells what each kernel took to compile, of what all took") {
  const Environment off("FOVEA_CACHE", "off");
  const Kernel kernel = compile(parse(R"(
axis i, j, d = 20
x : f32[i, d]
y = cumsum(i, x)
out o = sum(j, softmax(j, sum(d, y * x[i = j])) * j)
)"));
  const Report report = kernel.explain({{"i", 300}, {"j", 300}});
  REQUIRE(report.kernels.size() >= 2);
  double all = 0;
  for (const KernelReport& each : report.kernels) {
    CHECK(each.compile_ms > 0);
    all += each.compile_ms;
  }
  CHECK(all <= report.compile_ms);
}

TEST_CASE("explain says which extents are missing and which names are unknown") {
  const Kernel kernel = compile(parse(kCausal));
  CHECK(message_of([&] {
          kernel.explain({{"h", 2}, {"i", 8}});
        }) == "the extent of axis j is not known: no input has it; expected a size for it");
  float x = 0;
  const NamedView unknown[] = {{"x", view(&x, {})}};
  CHECK(message_of([&] {
          kernel.explain({{"h", 2}, {"i", 8}, {"j", 8}}, unknown);
        }) == "a view is given for 'x', which is no input of the graph: expected some of q k v");
}

TEST_CASE("profile computes what run computes, and times every kernel") {
  const Kernel kernel = compile(parse(kCausal));
  std::vector<float> x(64 * 16), a(x.size()), b(x.size());
  std::iota(x.begin(), x.end(), -500.0f);
  for (float& value : x) value *= 1e-3f;
  const View all = view(std::as_const(x).data(), {1, 64, 16});
  const NamedView inputs[] = {{"q", all}, {"k", all}, {"v", all}};
  const NamedView into_a[] = {{"o", view(a.data(), {1, 64, 16})}};
  const NamedView into_b[] = {{"o", view(b.data(), {1, 64, 16})}};
  kernel.run(inputs, into_a);
  const std::vector<double> seconds = kernel.profile(inputs, into_b);
  CHECK(a == b);
  REQUIRE(seconds.size() == kernel.graph().kernels.size());
  for (const double one : seconds) CHECK(one > 0);
}

}  // namespace
}  // namespace fovea
