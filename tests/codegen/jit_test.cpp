#include "codegen/jit.h"

#include <Halide.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "codegen/bitcode.h"
#include "codegen/emit.h"
#include "codegen/object.h"
#include "codegen/targets.h"
#include "tests/codegen/environment.h"

using namespace fovea;
using codegen::Bitcode;
using Halide::Buffer;
using Halide::Expr;
using Halide::Func;
using Halide::Pipeline;
using Halide::Var;

namespace {

// s(r, j) = sum over d of q(r, d) * k(d, j), as the micro-kernel of scores is scheduled.
Bitcode matmul(const std::string& name, const ir::Target& target, int channels = 64) {
  const codegen::HalideLock lock;
  Halide::ImageParam q(Halide::Float(32), 2, "q"), k(Halide::Float(32), 2, "k");
  const int rows = target.lanes * 3;
  const int keys = target.registers == 32 ? 8 : 4;
  q.dim(0).set_bounds(0, rows).dim(1).set_stride(rows);
  k.dim(0).set_bounds(0, channels).dim(1).set_stride(channels);
  Var r("r"), j("j"), ji("ji");
  Func s("s");
  const Halide::RDom d(0, channels);
  s(r, j) = 0.F;
  s(r, j) += q(r, d) * k(d, j);
  s.bound(r, 0, rows).vectorize(r, target.lanes);
  s.update()
      .split(j, j, ji, keys, Halide::TailStrategy::GuardWithIf)
      .reorder(r, ji, d, j)
      .vectorize(r, target.lanes)
      .unroll(r)
      .unroll(ji);
  s.output_buffer().dim(0).set_bounds(0, rows).dim(1).set_stride(rows);
  return codegen::bitcode(Pipeline(s), {q, k}, name, target);
}

std::shared_ptr<const codegen::LoadedObject> compile(const std::vector<Bitcode>& kernels,
                                                     const ir::Target& target) {
  return codegen::load(codegen::object(kernels, target));
}

// The largest error of a compiled matmul, whose output starts `shift` floats off an aligned
// address.
float matmul_error(codegen::Entry entry, const ir::Target& target, int shift) {
  const int rows = target.lanes * 3, channels = 64, keys = 29;
  Buffer<float> q(rows, channels), k(channels, keys);
  q.for_each_element([&](int r, int d) { q(r, d) = static_cast<float>((r * 7 + d) % 11) - 5; });
  k.for_each_element([&](int d, int j) { k(d, j) = static_cast<float>((d * 3 + j) % 13) - 6; });
  std::vector<float> memory(static_cast<std::size_t>(rows * keys + 32), NAN);
  Buffer<float> s(memory.data() + shift, rows, keys);
  void* arguments[] = {q.raw_buffer(), k.raw_buffer(), s.raw_buffer()};
  CHECK(entry(arguments) == 0);
  float error = 0;
  s.for_each_element([&](int r, int j) {
    float want = 0;
    for (int d = 0; d < channels; d++) want += q(r, d) * k(d, j);
    error = std::max(error, std::abs(want - s(r, j)));
  });
  return error;
}

int count(const std::string& text, const std::string& what) {
  int found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    found++;
  return found;
}

}  // namespace

TEST_CASE("kernels compute what they should on every row that this machine runs") {
  for (const ir::Target& target : codegen::runnable_targets()) {
    CAPTURE(target.name);
    const auto loaded = compile({matmul("scores", target)}, target);
    REQUIRE(bool(loaded->find("scores")));
    for (int shift = 0; shift < 4; shift++)
      CHECK(matmul_error(loaded->find("scores"), target, shift) == 0);
    CHECK(!loaded->find("other"));
  }
}

TEST_CASE("the emitted code uses the row's instructions and none beyond") {
  for (const char* name : {"avx512_bf16", "avx512", "avx2", "sse41"}) {
    CAPTURE(name);
    const ir::Target target = ir::find_target(name).value();
    const std::string text = codegen::assembly(std::vector{matmul("scores", target)}, target);
    const auto has = [&](const char* what) { return text.find(what) != std::string::npos; };
    CHECK(has("zmm") == (target.lanes == 16));
    CHECK(has("ymm") == (target.lanes == 8));
    CHECK(has("vfmadd231ps") == target.fma);
    CHECK(has("mulps") == !target.fma);
    CHECK(has("\tv") == target.fma);  // no AVX encoding
  }
  const ir::Target neon = ir::find_target("neon").value();
  CHECK(codegen::assembly(std::vector{matmul("scores", neon)}, neon).find("fmla") !=
        std::string::npos);
  const ir::Target wasm = ir::find_target("wasm_simd128").value();
  CHECK(codegen::assembly(std::vector{matmul("scores", wasm)}, wasm).find("f32x4.mul") !=
        std::string::npos);
}

TEST_CASE("the micro-kernel keeps its accumulators in registers") {
  const ir::Target target = ir::find_target("avx512").value();
  const std::string text = codegen::assembly(std::vector{matmul("scores", target)}, target);
  const std::size_t first = text.find("vfmadd231ps");
  REQUIRE(first != std::string::npos);
  const std::size_t start = text.rfind("\n.L", first), end = text.find("\tj", first);
  const std::string loop = text.substr(start, end - start);
  CHECK(count(loop, "vfmadd231ps") == 24);
  CHECK(count(loop, "%rsp") == 0);
}

TEST_CASE("several kernels lie in one object") {
  const ir::Target target = codegen::host_target();
  const auto loaded = compile({matmul("first", target), matmul("second", target)}, target);
  for (const char* name : {"first", "second"}) {
    REQUIRE(bool(loaded->find(name)));
    CHECK(matmul_error(loaded->find(name), target, 0) == 0);
  }
  CHECK(bool(loaded->find("first") != loaded->find("second")));
}

TEST_CASE("threads compile, load, run and unload at once") {
  const ir::Target target = codegen::host_target();
  float worst[3] = {1, 1, 1};
  std::vector<std::thread> threads;
  for (float& error : worst)
    threads.emplace_back([&error, &target] {
      error = 0;
      for (int n = 0; n < 3; n++) {
        const auto loaded = compile({matmul("same_name", target)}, target);
        error = std::max(error, matmul_error(loaded->find("same_name"), target, 1));
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const float error : worst) CHECK(error == 0);
}

TEST_CASE("kernels call the library and allocate") {
  for (const ir::Target& target : codegen::runnable_targets()) {
    CAPTURE(target.name);
    Halide::ImageParam x(Halide::Float(32), 1, "x");
    Var i("i");
    Func stored("stored"), y("y");
    stored(i) = Halide::tanh(x(i));
    y(i) = Halide::sin(stored(i)) + Halide::erf(x(i));
    stored.compute_root();
    const auto loaded = compile({codegen::bitcode(Pipeline(y), {x}, "calls", target)}, target);
    Buffer<float> in(100), out(100);
    in.for_each_element([&](int n) { in(n) = static_cast<float>(n - 50) / 16; });
    void* arguments[] = {in.raw_buffer(), out.raw_buffer()};
    CHECK(loaded->find("calls")(arguments) == 0);
    for (int n = 0; n < 100; n++)
      CHECK(out(n) == doctest::Approx(std::sin(std::tanh(in(n))) + std::erf(in(n))).epsilon(1e-5));
  }
}

TEST_CASE("kernels that check themselves return what fails") {
  const Environment asserts("FOVEA_ASSERTS", "1");
  const ir::Target target = codegen::host_target();
  Halide::ImageParam x(Halide::Float(32), 1, "x");
  Var i("i");
  Func after("after"), promised("promised");
  after(i) = x(i + 1);
  promised(i) = x(codegen::promised(2 * i, 0, 9));
  const auto loaded = compile({codegen::bitcode(Pipeline(after), {x}, "after", target),
                               codegen::bitcode(Pipeline(promised), {x}, "promised", target)},
                              target);
  Buffer<float> in(10), all(10), fewer(9), half(5);
  in.fill(1.F);
  const auto code = [&](const char* name, Buffer<float>& out) {
    void* arguments[] = {in.raw_buffer(), out.raw_buffer()};
    return loaded->find(name)(arguments);
  };
  CHECK(code("after", fewer) == 0);
  CHECK(code("after", all) == halide_error_code_access_out_of_bounds);
  CHECK(code("promised", half) == 0);
  CHECK(code("promised", all) == halide_error_code_requirement_failed);
}

TEST_CASE("what Halide warns of, or refuses, is an error that names the kernel") {
  const ir::Target target = codegen::host_target();
  const auto told = [&](auto&& func) {
    try {
      codegen::build_for("scores", [&] {
        return codegen::bitcode(Pipeline(func()), {}, "complained_of", target);
      });
    } catch (const Error& error) {
      CHECK(error.code() == Code::internal);
      return std::string(error.what());
    }
    return std::string();
  };
  const Var x("x");
  const auto fine = [&] {
    Func f;
    f(x) = x;
    return f;
  };
  CHECK(told(fine).empty());
  const std::string warning = told([&] {  // it reads what it says is not there
    Func f, reader;
    f(x) = x;
    reader(x) = f(x + 5);
    f.compute_root().bound(x, 0, 4);
    reader.bound(x, 0, 4).output_buffer().dim(0).set_bounds(0, 4);
    return reader;
  });
  CHECK_MESSAGE(warning.starts_with("kernel 'scores' cannot be compiled: Warning: "), warning);
  CHECK(warning.find("guaranteed to fail an assertion") != warning.npos);
  const std::string error = told([&] { return fine().unroll(Var("not there")); });
  CHECK_MESSAGE(error.starts_with("kernel 'scores' cannot be compiled: Error: "), error);
  // And the next kernel is as good as any.
  CHECK(told(fine).empty());
}

TEST_CASE("perf is told of kernels when asked") {
  const std::string map = "/tmp/perf-" + std::to_string(getpid()) + ".map";
  const ir::Target target = codegen::host_target();
  {
    const Environment perf("FOVEA_PERF", "1");
    compile({matmul("seen_by_perf", target)}, target);
  }
  std::ifstream file(map);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  CHECK(text.find(" seen_by_perf\n") != std::string::npos);
  std::remove(map.c_str());
}

TEST_CASE("dot products of small types are the row's instruction") {
  const ir::Target target = ir::find_target("avx512_bf16").value();
  const auto text = [&](Halide::Type a, Halide::Type b, Halide::Type sum, int group) {
    Halide::ImageParam x(a, 2, "x"), y(b, 1, "y");
    x.dim(1).set_stride(group);
    Var i("i");
    const Halide::RDom r(0, group);
    Func f("f"), g("g");
    f(i) = cast(sum, 0);
    f(i) += cast(sum, x(r, i)) * cast(sum, y(r));
    g(i) = f(i);
    g.bound(i, 0, 16).vectorize(i, 16);
    f.compute_at(g, i).vectorize(i, 16);
    f.update().reorder(r, i).atomic().vectorize(r).vectorize(i, 16);
    return codegen::assembly(std::vector{codegen::bitcode(Pipeline(g), {x, y}, "dot", target)},
                             target);
  };
  CHECK(count(text(Halide::UInt(8), Halide::Int(8), Halide::Int(32), 4), "vpdpbusd") > 0);
  CHECK(count(text(Halide::Int(16), Halide::Int(16), Halide::Int(32), 2), "vpdpwssd") > 0);
  CHECK(count(text(Halide::BFloat(16), Halide::BFloat(16), Halide::Float(32), 2), "vdpbf16ps") > 0);
}
