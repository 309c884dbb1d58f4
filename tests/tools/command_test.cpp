#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "fovea/fovea.h"
#include "ops/mechanism.h"
#include "tests/tools/process.h"
#include "tools/io/files.h"
#include "tools/io/npy.h"

namespace fovea::tools {
namespace {

using nlohmann::json;
using test::Folder;
using test::fovea;
using test::Outcome;

constexpr const char* kAttention =
    "axis i, j, d = 8\n"
    "q : f32[i, d]\n"
    "k : f32[j, d]\n"
    "p = softmax(j, where(j <= i, sum(d, q * k), -inf))\n"
    "out o = sum(j, p * k)\n";

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// A user's error: exit code 1, nothing on stdout, one line on stderr with `part` in it.
void check_users_error(const Outcome& outcome, std::string_view part) {
  CAPTURE(outcome.err);
  CHECK(outcome.code == 1);
  CHECK(outcome.out.empty());
  // One line, behind notes on what was rounded.
  const auto notes = outcome.err.rfind("fovea: note:");
  const auto begin = notes == outcome.err.npos ? 0 : outcome.err.find('\n', notes) + 1;
  CHECK(std::ranges::count(outcome.err.substr(begin), '\n') == 1);
  CHECK(outcome.err.starts_with("fovea: "));
  CHECK(contains(outcome.err, part));
}

std::string write_matrix(const Folder& folder, const std::string& name, std::int64_t rows,
                         std::int64_t columns) {
  Tensor tensor = make_tensor(Dtype::F32, {rows, columns});
  auto* data = reinterpret_cast<float*>(tensor.bytes.data());
  for (std::int64_t n = 0; n < rows * columns; ++n) data[n] = static_cast<float>(n % 7) / 4;
  write_file(folder / name, write_npy(to_stored(tensor)));
  return folder / name;
}

TEST_CASE("every command has --help with examples") {
  for (const std::string command :
       {"run", "list", "print", "code", "dot", "explain", "gallery", "bench"}) {
    const Outcome outcome = fovea({command, "--help"});
    CAPTURE(command);
    CHECK(outcome.code == 0);
    CHECK(contains(outcome.out, "Examples:\n  fovea " + command));
  }
  const Outcome all = fovea({"--help"});
  CHECK(all.code == 0);
  for (const char* command : {"run", "list", "print", "code", "dot", "explain", "gallery", "bench"})
    CHECK(contains(all.out, command));
}

TEST_CASE("what is not on the command line as it should be is the user's error") {
  check_users_error(fovea({}), "A subcommand is required");
  check_users_error(fovea({"frobnicate"}), "frobnicate");
  check_users_error(fovea({"run"}), "GRAPH");
  check_users_error(fovea({"run", "@causal", "--frobnicate"}), "--frobnicate");
  check_users_error(fovea({"run", "nowhere.fov"}), "cannot read 'nowhere.fov'");
  check_users_error(fovea({"print", "@casual"}), "causal");
  check_users_error(fovea({"print", "@causal", "-o", "frob=3"}), "frob");
  check_users_error(fovea({"print", "@causal", "-o", "d=many"}), "'many' is not a number");
  check_users_error(fovea({"print", "@causal", "-o", "d=32", "-o", "d=64"}), "-o d is given twice");
  check_users_error(fovea({"print", "-", "-o", "d=3"}, kAttention), "only an @mechanism");
  check_users_error(fovea({"run", "-", "--random", "1", "--size", "i"}, kAttention), "name=value");
  check_users_error(fovea({"run", "-", "--random", "1", "--size", "i=x"}, kAttention), "'x'");
  check_users_error(fovea({"run", "-", "--random", "1", "--size", "i=-1"}, kAttention),
                    "at least 0");
  check_users_error(fovea({"run", "-", "--random", "1", "--size", "i=4"}, kAttention), "--size j=");
  check_users_error(
      fovea({"run", "-", "--random", "1", "--size", "i=4", "--size", "j=4", "--size", "z=4"},
            kAttention),
      "z");
  check_users_error(fovea({"run", "-"}, kAttention), "input 'q' is not given");
  check_users_error(
      fovea({"run", "-", "--random", "1", "--size", "i=5000000000"},
            "axis i, j = i * i\nx : f32[i]\ny : f32[j]\nout o = sum(i, x) + sum(j, y)\n"),
      "expected at most 2147483647");
  check_users_error(fovea({"run", "-", "--random", "1", "--size", "i=65536", "--size", "j=16777216",
                           "--size", "d=16777216"},
                          "axis i, j, d\nx : f32[i, j, d]\nout o = sum((i, j, d), x)\n"),
                    "input 'x' has shape [65536, 16777216, 16777216]; expected at most 2147483647 "
                    "elements");
  check_users_error(fovea({"run", "@causal", "--random", "1", "--size", "i=100000", "--size",
                           "j=100000", "--size", "h=100000"}),
                    "input_too_large: input 'q' has shape [1, 100000, 100000, 64]; expected at "
                    "most 2147483647 elements");
  for (const char* interpret : {"--interpret", "--check"})
    check_users_error(fovea({"run", "-", "--random", "1", interpret},
                            "axis a = 1, b = 1, c = 1, d = 1, e = 1, f = 1, g = 1, h = 1, i = 1\n"
                            "wide : f32[a, b, c, d, e, f, g, h, i]\nout o = sum((a, b), wide)\n"),
                      "unsupported: tensor 'wide' has 9 axes; expected at most 8");
}

TEST_CASE("a magnitude that the output's dtype cannot hold is no difference") {
  const std::string text =
      "axis i = 40\nout o = exp(f32(i) * 100.0)\nout s = 0.0 - exp(f32(i) * 7.0)\n";
  const Outcome same = fovea({"run", "-", "--interpret", "--check"}, text);
  CAPTURE(same.err);
  CHECK(same.code == 0);
  CHECK(contains(same.out, "check o: largest error 0 absolute"));
  CHECK(contains(same.out, "check s: largest error 0 absolute"));
  const Outcome compiled = fovea({"run", "-", "--check"}, text);
  CAPTURE(compiled.err);
  CHECK(compiled.code == 0);
}

TEST_CASE("inputs that are not finite are refused with --check-finite") {
  const Folder folder;
  Tensor tensor = make_tensor(Dtype::F32, {4});
  reinterpret_cast<float*>(tensor.bytes.data())[2] = std::numeric_limits<float>::infinity();
  write_file(folder / "x.npy", write_npy(to_stored(tensor)));
  const std::string text = "axis i\nx : f32[i]\nout o = x + 1.0\n";
  for (const char* how : {"--threads=1", "--interpret"}) {
    const std::string in = "x=" + std::string(folder / "x.npy");
    CHECK(fovea({"run", "-", "--in", in, how}, text).code == 0);
    check_users_error(fovea({"run", "-", "--in", in, how, "--check-finite"}, text),
                      "invalid_input: input 'x' holds infinity at [2]");
  }
}

TEST_CASE("text that does not parse is told by line and column") {
  check_users_error(fovea({"print", "-"}, "axis i\nx : f32[i]\nout o = x *\n"),
                    "syntax_error: 3:12: ");
}

TEST_CASE("list has every mechanism, and tells about one") {
  const Outcome outcome = fovea({"list"});
  CHECK(outcome.code == 0);
  const json all = json::parse(fovea({"list", "--json"}).out);
  REQUIRE(all.size() == ops::all().size());
  for (const ops::Mechanism* mechanism : ops::all()) {
    CHECK(contains(outcome.out, mechanism->name));
    CHECK(
        std::ranges::any_of(all, [&](const json& one) { return one["name"] == mechanism->name; }));
  }
  const Outcome one = fovea({"list", "causal"});
  CHECK(one.code == 0);
  CHECK(contains(one.out, "options:"));
  check_users_error(fovea({"list", "nothing_like_it"}), "nothing_like_it");
}

TEST_CASE("print writes text that parses to the same graph") {
  const Outcome outcome = fovea({"print", "-"}, kAttention);
  CHECK(outcome.code == 0);
  CHECK(parse(outcome.out) == parse(kAttention));
  const Outcome simplified = fovea({"print", "-", "--after", "simplify"}, kAttention);
  CHECK(simplified.code == 0);
  CHECK_NOTHROW(parse(simplified.out));
  const Outcome fused = fovea({"print", "-", "--after", "fuse", "--target", "avx2"}, kAttention);
  CHECK(fused.code == 0);
  check_users_error(fovea({"print", "-", "--after", "nothing"}, kAttention), "no pass 'nothing'");
  check_users_error(fovea({"print", "-", "--after", "fuse", "--target", "z80"}, kAttention), "z80");
}

TEST_CASE("code prints what kernels are compiled to, for any machine") {
  const auto code = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"code", "-"});
    const Outcome outcome = fovea(arguments, kAttention);
    CHECK(outcome.code == 0);
    return outcome.out;
  };
  const std::string halide = code({"--stage", "halide", "--target", "avx2"});
  CHECK(contains(halide, "produce"));
  CHECK(contains(halide, "for ("));
  CHECK_FALSE(contains(halide, "define"));
  const std::string llvm = code({"--stage", "llvm", "--target", "avx512", "--kernel", "o"});
  CHECK(contains(llvm, "define"));
  CHECK(contains(llvm, "<16 x float>"));
  CHECK(contains(code({"--target", "avx512"}), "%zmm"));
  CHECK_FALSE(contains(code({"--target", "avx2"}), "%zmm"));
  CHECK(contains(code({"--target", "avx2"}), "%ymm"));
  CHECK(contains(code({"--target", "neon"}), "fmla"));
  CHECK(contains(code({"--target", "wasm_simd128"}), "f32x4"));
  CHECK(code({"--as", "decode"}) != code({}));
  check_users_error(fovea({"code", "-", "--kernel", "x"}, kAttention),
                    "no kernel 'x'; expected one of o");
  check_users_error(fovea({"code", "-", "--as", "x"}, kAttention), "no form 'x'; expected");
  check_users_error(fovea({"code", "-", "--stage", "x"}, kAttention), "no stage 'x'; expected");
}

TEST_CASE("kernels that a graph comes with are taken or refused as when it is compiled") {
  const std::string taken =
      std::string(kAttention) + "kernel x(o) over i, j rows=48 columns=48 chunk=4\n";
  const std::string refused = std::string(kAttention) + "kernel x(o) over _, j\n";
  for (const char* command : {"print", "dot"}) {
    CAPTURE(command);
    for (const std::string& text : {taken, refused}) CHECK(fovea({command, "-"}, text).code == 0);
    for (const char* pass : {"simplify", "fuse", "plan_buffers"}) {
      CHECK(fovea({command, "-", "--after", pass}, taken).code == 0);
      check_users_error(fovea({command, "-", "--after", pass}, refused), "kernel x(o) over _, j");
    }
  }
  check_users_error(fovea({"run", "-", "--random", "1", "--size", "i=3", "--size", "j=3"}, refused),
                    "kernel x(o) over _, j");
}

TEST_CASE("dot draws") {
  const Folder folder;
  CHECK(fovea({"dot", "-"}, kAttention).out.find("digraph") == 0);
  for (const std::string ending : {".svg", ".png", ".dot"}) {
    CHECK(fovea({"dot", "-", "--after", "fuse", "-o", folder / ("x" + ending)}, kAttention).code ==
          0);
    CHECK(std::filesystem::file_size(folder / ("x" + ending)) > 500);
  }
  const Bytes svg = read_file(folder / "x.svg"), png = read_file(folder / "x.png");
  CHECK(contains(std::string(reinterpret_cast<const char*>(svg.data()), svg.size()), "<svg"));
  CHECK(png[1] == std::byte{'P'});
  CHECK(fovea({"dot", "@causal", "-o", "d=32", "-o", folder / "c.svg"}).code == 0);
  check_users_error(fovea({"dot", "-", "-o", "x.docx"}, kAttention), ".svg");
  check_users_error(fovea({"dot", "-", "-o", folder / "no/x.svg"}, kAttention), "cannot write");
}

TEST_CASE("gallery draws mechanisms on a page, and measures them") {
  const Folder folder;
  const Outcome outcome =
      fovea({"gallery", "causal", "@retention", "dual_space", "mixture_of_experts", "--measure",
             "--size", "i=64", "--size", "j=64", "--out", folder / "all"});
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
  const auto text = [&](const std::string& name) {
    const Bytes bytes = read_file(folder / ("all/" + name));
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  const std::string page = text("index.html"), picture = text("causal-influence.svg");
  for (const char* name : {"causal", "retention", "dual_space", "mixture_of_experts"}) {
    CHECK(contains(page, "<article id=\"" + std::string(name) + "\">"));
    CHECK(contains(text(std::string(name) + ".svg"), "<svg"));
  }
  // Row 3 looks at itself, and not at what comes later.
  CHECK(contains(picture, "i 3, j 4: 0.0000"));
  CHECK(!contains(picture, "i 3, j 3: 0.0000"));
  CHECK(contains(text("table.md"), "| `causal` | o = softmax("));
  CHECK(contains(text("table.md"), " % |"));
  check_users_error(fovea({"gallery", "nothing_like_it", "--out", folder / "all"}),
                    "nothing_like_it");
  check_users_error(fovea({"gallery", "causal", "--out", "/dev/null/x"}), "/dev/null/x");
}

TEST_CASE("run computes what the interpreter computes, from files to files") {
  const Folder folder;
  const std::string q = "q=" + write_matrix(folder, "q.npy", 5, 8);
  const std::string k = "k=" + write_matrix(folder, "k.npy", 9, 8);
  for (const std::string how : {"--threads=1", "--for-sizes", "--interpret"}) {
    const std::vector<std::string> arguments = {
        "run", "-", "--in", q, "--in", k, "--out", "o=" + (folder / "o.npy"), "--check", how};
    const Outcome outcome = fovea(arguments, kAttention);
    CAPTURE(outcome.err);
    CHECK(outcome.code == 0);
    CHECK(contains(outcome.out, "check o: largest error "));
    const StoredTensor o = read_npy(read_file(folder / "o.npy"), "o");
    CHECK(o.type == Stored::F32);
    CHECK(o.shape == std::vector<std::int64_t>{5, 8});
    // The first row sees the first key only.
    const ir::Array first = to_array(convert(o, Dtype::F32, "o"));
    for (std::size_t n = 0; n < 8; ++n)
      CHECK(first.data[n] == doctest::Approx(static_cast<double>(n % 7) / 4));
    std::filesystem::remove(folder / "o.npy");
  }
}

TEST_CASE("random inputs run the kernel for any extents, and with --for-sizes the one for these") {
  for (const std::string rows : {"i=1", "i=7", "i=130"})
    for (const std::string how : {"--threads=1", "--for-sizes"}) {
      const Outcome outcome =
          fovea({"run", "-", "--random", "3", "--size", rows, "--size", "j=70", "--check", how},
                kAttention);
      CAPTURE(outcome.err);
      CHECK(outcome.code == 0);
      CHECK(contains(outcome.out, "check o: largest error "));
    }
}

template <class T>
std::string write_numbers(const Folder& folder, const std::string& name, Stored type,
                          const std::vector<T>& values) {
  StoredTensor tensor{
      type, {static_cast<std::int64_t>(values.size())}, Bytes(values.size() * sizeof(T))};
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  write_file(folder / name, write_npy(tensor));
  return folder / name;
}

TEST_CASE("inputs of 64 bits are rounded where they may be, and it is said") {
  const Folder folder;
  const std::string text = "axis i\nx : f32[i]\nn : i32[i]\nout o = x * n\n";
  const std::string x = "x=" + write_numbers<double>(folder, "x.npy", Stored::F64, {0.1, 0.5, 3});
  const std::string n =
      "n=" + write_numbers<std::int64_t>(folder, "n.npy", Stored::I64, {1, -2, 3});
  const Outcome outcome = fovea({"run", "-", "--in", x, "--in", n, "--check"}, text);
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "o f32[3]  min -1  mean 2.7"));
  CHECK(contains(outcome.err, "input 'x' from '"));
  CHECK(contains(outcome.err, "is f64: 1 of its elements are rounded to f32"));
  CHECK(!contains(outcome.err, "input 'n'"));
  const std::string far =
      "x=" + write_numbers<double>(folder, "far.npy", Stored::F64, {0.1, 1e39, 3});
  check_users_error(fovea({"run", "-", "--in", far, "--in", n}, text),
                    "holds 1e+39 of f64, which f32 cannot hold (element 1)");
  const std::string wide =
      "n=" + write_numbers<std::int64_t>(folder, "wide.npy", Stored::I64, {1, 2147483648, 3});
  check_users_error(fovea({"run", "-", "--in", x, "--in", wide}, text),
                    "holds 2147483648 of i64, which i32 cannot hold (element 1)");
}

// A file of no blocks, whose elements are all 0.
std::string write_sparse(const Folder& folder, const std::string& type, const std::string& shape,
                         std::uintmax_t bytes) {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize(117, ' ');
  header += '\n';
  std::string start = "\x93NUMPY\x01";
  start += '\0';
  start += static_cast<char>(header.size());
  start += '\0';
  write_file(folder / "x.npy", start + header);
  std::filesystem::resize_file(std::filesystem::path(folder / "x.npy"),
                               start.size() + header.size() + bytes);
  return "x=" + (folder / "x.npy");
}

TEST_CASE("an axis that is too long is refused by the header of a file") {
  const Folder folder;
  check_users_error(
      fovea({"run", "-", "--in", write_sparse(folder, "|i1", "(2147483648,)", 2147483648ULL)},
            "axis i\nx : i8[i]\nout o = sum(i, x)\n"),
      "has extent 2147483648 along axis i; expected at most 2147483647");
}

TEST_CASE("a file of more than 2^31 elements is read where it is looked at") {
  const Folder folder;
  const std::string file =
      write_sparse(folder, "|i1", "(4194307, 1024)", std::uintmax_t{4194307} * 1024);
  {
    std::fstream bytes(folder / "x.npy", std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(-3, std::ios::end);
    bytes.put(77);
  }
  const auto found =
      fovea({"run", "-", "--in", file}, "axis i, j\nx : i8[i, j]\nout o = x[i = 4194306] + 0\n");
  CHECK(found.code == 0);
  CHECK(contains(found.out, "o i32[1024]  min 0"));
  CHECK(contains(found.out, "max 77"));
}

TEST_CASE("run sums up what goes to no file, the same for the same seed") {
  const std::vector<std::string> arguments = {"run",    "-",   "--random", "3",
                                              "--size", "i=4", "--size",   "j=4"};
  const Outcome once = fovea(arguments, kAttention), again = fovea(arguments, kAttention);
  CHECK(once.code == 0);
  CHECK(once.out.starts_with("o f32[4, 8]  min "));
  CHECK(contains(once.out, "  first "));
  CHECK(once.out == again.out);
  auto other = arguments;
  other[3] = "4";
  CHECK(fovea(other, kAttention).out != once.out);
}

TEST_CASE("run checks its inputs and outputs") {
  const Folder folder;
  const std::string q = write_matrix(folder, "q.npy", 5, 8),
                    wide = write_matrix(folder, "w.npy", 5, 9);
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"run", "-"});
    return fovea(arguments, kAttention);
  };
  check_users_error(run({"--in", "q=" + q, "--in", "k=" + wide}), "9");
  check_users_error(run({"--in", "q=" + q}), "input 'k' is not given");
  check_users_error(run({"--in", "x=" + q}), "no input 'x'");
  check_users_error(run({"--in", q}), "expected --in name=");
  check_users_error(run({"--in", "q=" + q, "--in", "q=" + q}), "given twice");
  check_users_error(run({"--in", "q=q.txt"}), ".npy, .npz or .safetensors");
  check_users_error(run({"--in", "q=" + q, "--in", "k=" + q, "--out", "p=p.npy"}), "no output 'p'");
  check_users_error(run({"--in", "q=" + q, "--in", "k=" + q, "--out", "o=o.csv"}), ".npy");
  check_users_error(run({"--in", "q=" + q, "--in", "k=" + q, "--target", "z80"}), "z80");
  check_users_error(run({"--in", "q=" + q, "--in", "k=" + q, "--threads", "-1"}), "threads");
  write_file(folder / "bad.npy", std::string_view("not an array"));
  check_users_error(run({"--in", "q=" + (folder / "bad.npy")}), "is not a .npy file");
  const Outcome strict = run({"--in", "q=" + q, "--in", "k=" + q, "--check", "--tolerance", "-1"});
  CHECK(strict.code == 1);
  CHECK(contains(strict.err, "numerical_instability"));
}

TEST_CASE("explain tells what was fused") {
  const std::vector<std::string> arguments = {"explain", "-", "--size", "i=500", "--size", "j=500"};
  const Outcome text = fovea(arguments, kAttention);
  CAPTURE(text.err);
  CHECK(text.code == 0);
  CHECK(contains(text.out, "of the FMA peak"));
  auto as_json = arguments;
  as_json.insert(as_json.end(), {"--json", "--no-measure"});
  const Outcome outcome = fovea(as_json, kAttention);
  CHECK(std::ranges::count(outcome.out, '\n') == 1);
  const json report = json::parse(outcome.out);
  REQUIRE(report["kernels"].size() >= 1);
  CHECK(report["planes"] == json::array({"i x j"}));
  CHECK(report["kept"] == json::array());
  CHECK(report["kept_bytes"] == 0);
  CHECK(contains(text.out, "kept between kernels: nothing; stored of the plane i x j: nothing\n"));
  bool on_plane = false;
  for (const json& kernel : report["kernels"]) {
    for (const char* field :
         {"kernel", "rows", "columns", "tiles_empty", "tiles_full", "tiles_partial", "flops",
          "bytes", "plane_elements_stored", "compile_ms"})
      CHECK(kernel.contains(field));
    CHECK(kernel["plane_elements_stored"] == 0);
    if (kernel["rows"] != 500) continue;
    on_plane = true;
    CHECK(kernel["columns"] == 500);
    // Causal: some tiles lie above the diagonal, some below, some on it.
    CHECK(kernel["tiles_empty"] > 0);
    CHECK(kernel["tiles_full"] > 0);
    CHECK(kernel["tiles_partial"] > 0);
  }
  CHECK(on_plane);
}

TEST_CASE("bench prints one line of JSON beside its probes") {
  const Outcome outcome = fovea({"bench", "-", "--size", "i=64", "--size", "j=64", "--seconds",
                                 "0.05", "--threads", "1", "--target", "sse41", "--json"},
                                kAttention);
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(std::ranges::count(outcome.out, '\n') == 1);
  const json figures = json::parse(outcome.out);
  for (const char* field : {"p50_us", "p99_us", "min_us", "runs", "gflops_visited", "gflops_all",
                            "fma_peak_gflops", "stream_gbs"})
    CHECK(figures[field].get<double>() > 0);
  CHECK(figures["min_us"] <= figures["p50_us"]);
  CHECK(figures["p50_us"] <= figures["p99_us"]);
  CHECK(figures["gflops_visited"] <= figures["fma_peak_gflops"]);
  CHECK(figures["share_of_limit"] ==
        std::max(figures["share_of_fma_peak"], figures["share_of_stream"]));
  CHECK(figures["threads"] == 1);
  CHECK(figures["target"] == "sse41");
  check_users_error(fovea({"bench", "-", "--seconds", "0"}, kAttention), "--seconds");
}

TEST_CASE("bench names the limit that binds: multiply-adds of many rows, reading for one") {
  const auto limit_of = [](const char* rows, const char* columns, const char* words) {
    const std::vector<std::string> arguments = {
        "bench", "-", "--size", rows, "--size", columns, "--seconds", "0.05", "--threads", "1"};
    CHECK(contains(fovea(arguments, kAttention).out, words));
    auto as_json = arguments;
    as_json.emplace_back("--json");
    return json::parse(fovea(as_json, kAttention).out)["limit"];
  };
  CHECK(limit_of("i=500", "j=500", "limited by the FMA peak: ") == "fma_peak");
  CHECK(limit_of("i=1", "j=400000", "limited by the stream rate: ") == "stream");
}

}  // namespace
}  // namespace fovea::tools
