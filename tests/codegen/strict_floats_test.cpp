// What NaN and infinity become, checked against the compiler of this file.
#include <Halide.h>
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "codegen/bitcode.h"
#include "codegen/jit.h"
#include "codegen/object.h"
#include "codegen/targets.h"

using namespace fovea;
using Halide::Buffer;
using Halide::Expr;
using Halide::Func;
using Halide::Var;

namespace {

struct Case {
  const char* name;
  std::function<Expr(Expr, Expr)> expression;
  float (*meaning)(float, float);
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"x - x", [](Expr x, Expr) { return x - x; }, [](float x, float) { return x - x; }},
      {"x * 0", [](Expr x, Expr) { return x * 0.F; }, [](float x, float) { return x * 0.F; }},
      {"x * y", [](Expr x, Expr y) { return x * y; }, [](float x, float y) { return x * y; }},
      {"x / y", [](Expr x, Expr y) { return x / y; }, [](float x, float y) { return x / y; }},
      {"x + y - y", [](Expr x, Expr y) { return x + y - y; },
       [](float x, float y) { return (x + y) - y; }},
      {"x + 0", [](Expr x, Expr) { return x + 0.F; }, [](float x, float) { return x + 0.F; }},
      {"clamp below", [](Expr x, Expr) { return select(x < -127.F, -127.F, x); },
       [](float x, float) { return x < -127.F ? -127.F : x; }},
      {"maximum that keeps the NaN of x", [](Expr x, Expr y) { return select(y > x, y, x); },
       [](float x, float y) { return y > x ? y : x; }},
      {"x != x", [](Expr x, Expr) { return select(x != x, 1.F, 0.F); },
       [](float x, float) { return x != x ? 1.F : 0.F; }},
      {"x == y", [](Expr x, Expr y) { return select(x == y, 1.F, 0.F); },
       [](float x, float y) { return x == y ? 1.F : 0.F; }},
      {"x < y", [](Expr x, Expr y) { return select(x < y, 1.F, 0.F); },
       [](float x, float y) { return x < y ? 1.F : 0.F; }},
      {"x <= y", [](Expr x, Expr y) { return select(x <= y, 1.F, 0.F); },
       [](float x, float y) { return x <= y ? 1.F : 0.F; }},
      {"x >= y", [](Expr x, Expr y) { return select(x >= y, 1.F, 0.F); },
       [](float x, float y) { return x >= y ? 1.F : 0.F; }},
      {"!(x < y)", [](Expr x, Expr y) { return select(!(x < y), 1.F, 0.F); },
       [](float x, float y) { return x < y ? 0.F : 1.F; }},
      {"is_finite(x)", [](Expr x, Expr) { return select(Halide::is_finite(x), 1.F, 0.F); },
       [](float x, float) { return std::isfinite(x) ? 1.F : 0.F; }},
      {"sqrt", [](Expr x, Expr) { return sqrt(x); }, [](float x, float) { return std::sqrt(x); }},
  };
  return all;
}

// All pairs of the numbers that fast arithmetic gets wrong.
void fill(Buffer<float>& x, Buffer<float>& y) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float numbers[] = {NAN, kInf, -kInf, 0.F, -0.F, 1.F, -200.F, 3e38F};
  for (int n = 0; n < 64; n++) x(n) = numbers[n / 8], y(n) = numbers[n % 8];
}

bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0;
}

codegen::Entry compile(Func f, const std::vector<Halide::Argument>& arguments,
                       const ir::Target& target,
                       std::shared_ptr<const codegen::LoadedObject>& loaded) {
  const auto code = codegen::bitcode(Halide::Pipeline(f), arguments, "kernel", target);
  loaded = codegen::load(codegen::object(std::vector{code}, target));
  return loaded->find("kernel");
}

}  // namespace

TEST_CASE("element-wise arithmetic is IEEE's") {
  for (const ir::Target& target : codegen::runnable_targets()) {
    for (const Case& c : cases()) {
      CAPTURE(target.name);
      CAPTURE(c.name);
      Halide::ImageParam x(Halide::Float(32), 1, "x"), y(Halide::Float(32), 1, "y");
      Var i("i");
      Func f("f");
      f(i) = c.expression(x(i), y(i));
      f.vectorize(i, target.lanes);
      Buffer<float> in(64), other(64), out(64);
      fill(in, other);
      void* arguments[] = {in.raw_buffer(), other.raw_buffer(), out.raw_buffer()};
      std::shared_ptr<const codegen::LoadedObject> loaded;
      CHECK(compile(f, {x, y}, target, loaded)(arguments) == 0);
      for (int n = 0; n < 64; n++) {
        CAPTURE(in(n));
        CAPTURE(other(n));
        CHECK(same(out(n), c.meaning(in(n), other(n))));
      }
    }
  }
}

TEST_CASE("sums across lanes are vectorised and keep NaN in its own sum") {
  for (const ir::Target& target : codegen::runnable_targets()) {
    CAPTURE(target.name);
    Halide::ImageParam x(Halide::Float(32), 2, "x");
    Var i("i");
    const Halide::RDom r(0, 16);
    Func f("f");
    f(i) = 0.F;
    f(i) += x(r, i);
    f.update().atomic().vectorize(r);
    const auto code = codegen::bitcode(Halide::Pipeline(f), {x}, "kernel", target);
    const std::string text = codegen::assembly(std::vector{code}, target);
    std::size_t scalar = 0;
    for (std::size_t at = text.find("addss"); at != std::string::npos;
         at = text.find("addss", at + 1))
      scalar++;
    CHECK(scalar <= 2);  // and not one for each lane

    const auto loaded = codegen::load(codegen::object(std::vector{code}, target));
    Buffer<float> in(16, 8), out(8);
    in.for_each_element([&](int a, int b) { in(a, b) = static_cast<float>(a * 8 + b); });
    in(3, 2) = NAN;
    void* arguments[] = {in.raw_buffer(), out.raw_buffer()};
    CHECK(loaded->find("kernel")(arguments) == 0);
    for (int n = 0; n < 8; n++)
      CHECK(same(out(n), n == 2 ? NAN : static_cast<float>(960 + 16 * n)));
  }
}

TEST_CASE("sums of integers wrap around") {
  for (const ir::Target& target : codegen::runnable_targets()) {
    CAPTURE(target.name);
    Halide::ImageParam x(Halide::Int(32), 1, "x");
    Var i("i");
    Func sum("sum"), greater("greater");
    sum(i) = x(i);
    sum(i) += 1;
    greater(i) = sum(i) > x(i);
    sum.compute_at(greater, i).store_in(Halide::MemoryType::Stack);
    Buffer<std::int32_t> in(2);
    in(0) = 5, in(1) = std::numeric_limits<std::int32_t>::max();
    Buffer<bool> out(2);
    void* arguments[] = {in.raw_buffer(), out.raw_buffer()};
    std::shared_ptr<const codegen::LoadedObject> loaded;
    CHECK(compile(greater, {x}, target, loaded)(arguments) == 0);
    CHECK(out(0));
    CHECK(!out(1));
  }
}

TEST_CASE("an update of a Tuple reads all of its values before it writes any") {
  const ir::Target target = codegen::host_target();
  Halide::ImageParam x(Halide::Float(32), 1, "x");
  Var i("i");
  const Halide::RDom r(0, 8);
  Func state("state"), f("f");
  state(i) = Halide::Tuple(0.F, 0.F);
  // The old maximum, and the sum of all maxima before each step.
  state(i) = Halide::Tuple(max(state(i)[0], x(r)), state(i)[1] + sqrt(state(i)[0]));
  f(i) = state(i)[1];
  state.compute_root();
  Buffer<float> in(8), out(1);
  float want = 0, largest = 0;
  for (int n = 0; n < 8; n++) {
    in(n) = static_cast<float>((n + 1) * (n + 1));
    want += std::sqrt(largest), largest = in(n);
  }
  void* arguments[] = {in.raw_buffer(), out.raw_buffer()};
  std::shared_ptr<const codegen::LoadedObject> loaded;
  CHECK(compile(f, {x}, target, loaded)(arguments) == 0);
  CHECK(out(0) == want);
}
