#include "tools/check/check.h"

#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>

#include "ir/require.h"

namespace fovea::tools {
namespace {

// A line on a terminal that counts up; silent for the first second and where nobody looks.
class Progress {
 public:
  void show(double share) {
    const auto now = Clock::now();
    if (!terminal_ || now < next_) return;
    next_ = now + std::chrono::milliseconds(100);
    shown_ = true;
    fmt::print(stderr, "\rinterpreting {:3.0f} %", 100 * share);
    std::fflush(stderr);
  }
  ~Progress() {
    if (shown_) std::fputs("\r\033[K", stderr);
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_ = isatty(STDERR_FILENO) == 1;
  bool shown_ = false;
  Clock::time_point next_ = Clock::now() + std::chrono::seconds(1);
};

double distance(double found, double expected) {
  if (std::isnan(found) && std::isnan(expected)) return 0;
  if (found == expected) return 0;
  const double difference = std::abs(found - expected);
  return std::isfinite(difference) ? difference : std::numeric_limits<double>::infinity();
}

}  // namespace

ir::Arrays interpret(const ir::Graph& graph, const Tensors& inputs, const ir::Sizes& sizes) {
  ir::Arrays arrays;
  for (const auto& [name, tensor] : inputs) arrays[name] = to_array(tensor);
  Progress progress;
  return ir::interpret(graph, arrays, sizes, [&](double share) { progress.show(share); });
}

Deviation compare(const Tensor& found, const ir::Array& expected) {
  invariant(found.shape == expected.shape, "compared tensors have the same shape");
  const ir::Array array = to_array(found), rounded = to_array(from_array(expected));
  Deviation deviation;
  double largest = 0;
  for (std::size_t n = 0; n < array.data.size(); ++n) {
    deviation.absolute = std::max(deviation.absolute, distance(array.data[n], rounded.data[n]));
    if (std::isfinite(rounded.data[n])) largest = std::max(largest, std::abs(rounded.data[n]));
  }
  deviation.relative = deviation.absolute == 0 ? 0 : deviation.absolute / largest;
  return deviation;
}

}  // namespace fovea::tools
