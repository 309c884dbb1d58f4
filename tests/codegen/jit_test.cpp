#include "codegen/jit.h"

#include <Halide.h>
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "codegen/bitcode.h"
#include "codegen/object.h"
#include "codegen/targets.h"

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
  const auto lock = codegen::halide_lock();
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
