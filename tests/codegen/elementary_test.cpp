// Transcendental functions beside double: the bounds that codegen/elementary.h states.
#include <Halide.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "codegen/bitcode.h"
#include "codegen/elementary.h"
#include "codegen/emit.h"
#include "codegen/jit.h"
#include "codegen/object.h"
#include "codegen/targets.h"

using namespace fovea;
using Halide::Buffer;
using ir::Fn;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int kStride = 1009, kCount = static_cast<int>((std::uint64_t{1} << 32) / kStride);

struct Function {
  Fn fn;
  double (*meaning)(double);
  double ulps;       // the largest error
  double least = 0;  // or that much, whatever the result
  double scale = 0;  // ulps are of at least this many times max(1, |x|)
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double elu(double x) { return x > 0 ? x : std::expm1(x); }
double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }

constexpr Function kFunctions[] = {
    {Fn::Exp, std::exp, 1.5, 0x1p-149},
    {Fn::Exp2, std::exp2, 1.5, 0x1p-149},
    {Fn::Log, std::log, 1},
    {Fn::Log1p, std::log1p, 1.5},
    {Fn::Tanh, std::tanh, 2},
    {Fn::Erf, std::erf, 1.5},
    {Fn::Sin, std::sin, 2},
    {Fn::Cos, std::cos, 2},
    {Fn::Asin, std::asin, 2.5},
    {Fn::Acos, std::acos, 2},
    {Fn::Atan, std::atan, 3},
    {Fn::Acosh, std::acosh, 2.5},
    {Fn::Atanh, std::atanh, 2.5},
    {Fn::Sigmoid, sigmoid, 2.5, 0x1p-126},
    {Fn::Elu, elu, 2},
    {Fn::Gelu, gelu, 1.5, 0, 1},
};

// The function of every element of a buffer, vectorised.
class Compiled {
 public:
  Compiled(Fn fn, const ir::Target& target) {
    Halide::ImageParam x(Halide::Float(32), 1, "x");
    const Halide::Var i("i");
    Halide::Func f("f");
    f(i) = codegen::apply(fn, {x(i)}, ir::Dtype::F32, false);
    f.vectorize(i, target.lanes);
    const std::vector code{codegen::bitcode(Halide::Pipeline(f), {x}, "kernel", target)};
    text = codegen::assembly(code, target);
    loaded_ = codegen::load(codegen::object(code, target));
  }

  void run(Buffer<float>& in, Buffer<float>& out) const {
    void* arguments[] = {in.raw_buffer(), out.raw_buffer()};
    CHECK(loaded_->find("kernel")(arguments) == 0);
  }

  std::string text;

 private:
  std::shared_ptr<const codegen::LoadedObject> loaded_;
};

// How far off, in ulps of the result.
double ulps_off(const Function& function, float x, float found, double exact) {
  if (std::isnan(exact) || std::isnan(found))
    return std::isnan(exact) && std::isnan(found) ? 0 : kInfinity;
  if (found == static_cast<float>(exact)) return 0;
  if (std::isinf(found)) {  // as good as the largest number where f32 almost ends
    return std::abs(exact) > 3.4028e38 && (exact > 0) == (found > 0) ? 0 : kInfinity;
  }
  const double off = std::abs(found - exact);
  if (off <= function.least) return 0;
  double size = std::max(std::abs(exact), 0x1p-126);
  if (function.scale > 0) size = std::max({size, 1.0, static_cast<double>(std::abs(x))});
  return off / std::ldexp(1.0, std::ilogb(size) - 23);
}

float argument(int n) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(n) * std::uint32_t{kStride});
}

std::string name(const Function& function) { return std::string(ir::name(function.fn)); }

}  // namespace

TEST_CASE("elementary functions: every 1009th argument is within the bounds stated") {
  Buffer<float> in(kCount), out(kCount);
  for (int n = 0; n < kCount; n++) in(n) = argument(n);
  std::vector<double> exact(kCount);
  for (const Function& function : kFunctions) {
    for (int n = 0; n < kCount; n++)
      exact[static_cast<std::size_t>(n)] = function.meaning(argument(n));
    for (const ir::Target& target : codegen::runnable_targets()) {
      Compiled(function.fn, target).run(in, out);
      double worst = 0;
      float at = 0;
      for (int n = 0; n < kCount; n++) {
        const double off = ulps_off(function, in(n), out(n), exact[static_cast<std::size_t>(n)]);
        if (off > worst) worst = off, at = in(n);
      }
      CAPTURE(target.name);
      CAPTURE(at);
      INFO(name(function), " is off by ", worst, " ulp");
      CHECK(worst <= function.ulps);
    }
  }
}

// Where bounds are easily lost: ends of domains, zeros, subnormals, joints of approximations, and
// multiples of π/2 of all sizes.
TEST_CASE("elementary functions: hard arguments") {
  std::vector<float> hard;
  const auto around = [&](float x) {
    for (const float sign : {1.f, -1.f}) {
      float up = sign * x, down = up;
      for (int n = 0; n < 20; n++) {
        hard.insert(hard.end(), {up, down});
        up = std::nextafter(up, kInfinity), down = std::nextafter(down, -kInfinity);
      }
    }
  };
  for (const float x :
       {0.f,         1.f,         0.5f,    0.625f,  0.70710678f, 1.41421356f, 0.921875f, 1.3037281f,
        2.41421356f, 0.41421356f, 88.7f,   103.9f,  127.9f,      149.f,       1e-38f,    5e-8f,
        1e8f,        16.f,        0x1p24f, 0x1p25f, 0x1p28f,     1e19f,       kInfinity})
    around(x);
  for (double x = 1e-45; x < 3e38; x *= 1.37) around(static_cast<float>(x));
  for (double n = 1; n < 2e38; n = n * 1.7 + 1)
    around(static_cast<float>(std::floor(n) * 1.5707963267948966));
  for (const float x : {16367173.f * 0x1p72f, 0x1.921fb4p+1f, 0x1.47d0fep34f}) around(x);
  hard.push_back(std::numeric_limits<float>::quiet_NaN());
  const int count = static_cast<int>(hard.size());
  Buffer<float> in(count), out(count);
  for (int n = 0; n < count; n++) in(n) = hard[static_cast<std::size_t>(n)];
  for (const Function& function : kFunctions) {
    for (const ir::Target& target : codegen::runnable_targets()) {
      Compiled(function.fn, target).run(in, out);
      CAPTURE(target.name);
      for (int n = 0; n < count; n++) {
        const double exact = function.meaning(in(n));
        const double off = ulps_off(function, in(n), out(n), exact);
        if (off > function.ulps)
          FAIL_CHECK(name(function), "(", in(n), ") is ", out(n), ", expected ", exact);
      }
    }
  }
}

TEST_CASE("elementary functions: odd functions keep the sign of zero") {
  Buffer<float> in(16), out(16);
  in.fill(-0.f);
  for (const Fn fn : {Fn::Sin, Fn::Asin, Fn::Atan, Fn::Atanh, Fn::Tanh, Fn::Erf, Fn::Log1p}) {
    for (const ir::Target& target : codegen::runnable_targets()) {
      Compiled(fn, target).run(in, out);
      CAPTURE(std::string(ir::name(fn)));
      CHECK(out(3) == 0);
      CHECK(std::signbit(out(3)));
    }
  }
}

TEST_CASE("elementary functions: no code calls the library") {
  for (const Function& function : kFunctions) {
    for (const ir::Target& target : codegen::runnable_targets()) {
      const std::string text = Compiled(function.fn, target).text;
      CAPTURE(name(function));
      CAPTURE(target.name);
      for (auto at = text.find("call"); at != text.npos; at = text.find("call", at + 1)) {
        const std::string line = text.substr(at, text.find('\n', at) - at);
        CHECK(line == "callq\tkernel");  // of the entry that unpacks arguments
      }
    }
  }
}
