#include "bench/job.h"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <span>
#include <utility>

#include "ir/query.h"
#include "ir/require.h"

namespace fovea::bench {
namespace {

constexpr std::size_t kAlignment = 64;
// A probe of more than this takes long and tells nothing new: no cache holds it.
constexpr double kLargestProbe = 256 << 20;

// A sum of uniform numbers is near enough to normal, and a gigabyte of them is made in seconds.
void fill(std::span<float> numbers, float mean, unsigned seed) {
  std::uint64_t state = 0x9e3779b97f4a7c15U * (seed + 1);
  for (float& number : numbers) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    int sum = 0;
    for (int part = 0; part < 4; ++part) sum += static_cast<int>(state >> (20 + 11 * part) & 2047);
    number = static_cast<float>(sum - 4094) * (1 / 1182.0f) + mean;
  }
}

std::vector<std::int64_t> shape_of(const std::vector<ir::AxisId>& axes,
                                   const std::vector<std::int64_t>& extents) {
  std::vector<std::int64_t> shape;
  for (const ir::AxisId axis : axes) shape.push_back(extents[static_cast<std::size_t>(axis)]);
  return shape;
}

std::int64_t count_of(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

// The numbers as their dtype has them, in their own place: bf16 cuts them off, bool is where they
// are above -1, five of six.
View stored(float* data, std::int64_t count, Dtype dtype, const Shape& shape) {
  if (dtype == Dtype::F32) return view(data, shape);
  require(dtype == Dtype::BF16 || dtype == Dtype::Bool, Code::unsupported,
          "an input of {} to measure: expected f32, bf16 or bool", ir::name(dtype));
  auto* to = reinterpret_cast<unsigned char*>(data);
  for (const float x : std::span(data, static_cast<std::size_t>(count))) {
    const auto bits = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
    if (dtype == Dtype::BF16)
      std::memcpy(std::exchange(to, to + 2), &bits, 2);
    else
      *to++ = x > -1;
  }
  return view(static_cast<void*>(data), dtype, shape);
}

Options with_sizes(Options options, const Sizes& sizes) {
  options.sizes = sizes;
  return options;
}

}  // namespace

Job::Job(std::string_view text, const Sizes& sizes, const Options& options,
         const std::map<std::string, float>& shifted)
    : graph_(parse(text)), sizes_(sizes), kernel_(compile(graph_, with_sizes(options, sizes))) {
  bind(shifted);
  report_ = kernel_.explain(sizes_, inputs_);
  target_ = *ir::find_target(report_.target);
}

Job::Job(const Job& job, const Options& options) : Job(job) {
  kernel_ = compile(graph_, with_sizes(options, sizes_));
  report_ = kernel_.explain(sizes_, inputs_);
  target_ = *ir::find_target(report_.target);
}

float* Job::add(std::int64_t count) {
  const std::size_t bytes = (static_cast<std::size_t>(count) * 4 / kAlignment + 1) * kAlignment;
  memory_.emplace_back(static_cast<float*>(std::aligned_alloc(kAlignment, bytes)), std::free);
  return memory_.back().get();
}

void Job::bind(const std::map<std::string, float>& shifted) {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  Graph axes = graph_;
  for (ir::Node& node : axes.nodes) node.op = ir::Constant{};
  const std::vector<std::int64_t> extents = ir::resolve_extents(axes, {}, sizes_);
  unsigned seed = 0;
  for (const ir::Node& node : graph_.nodes) {
    const auto* input = ir::input_of(node);
    if (input == nullptr) continue;
    const std::vector<std::int64_t> shape = shape_of(node.type.axes, extents);
    const std::int64_t count = count_of(shape);
    float* const data = add(count);
    const auto mean = shifted.find(input->name);
    fill({data, static_cast<std::size_t>(count)}, mean == shifted.end() ? 0 : mean->second, seed++);
    inputs_.push_back({input->name, stored(data, count, node.type.dtype, Shape(std::span(shape)))});
  }
  for (const ir::Output& output : graph_.outputs) {
    const std::vector<std::int64_t> shape = shape_of(output.layout, extents);
    outputs_.push_back({output.name, view(add(count_of(shape)), Shape(std::span(shape)))});
  }
}

float* Job::data(const std::vector<NamedView>& views, std::string_view name) {
  for (const NamedView& one : views)
    if (one.name == name) return static_cast<float*>(one.view.data);
  fail(Code::invalid_config, "there is no tensor '{}'", name);
}

double Job::flops() const {
  double sum = 0;
  for (const KernelReport& kernel : report_.kernels) sum += kernel.flops;
  return sum;
}

double Job::input_bytes() const {
  double sum = 0;
  for (const NamedView& one : inputs_)
    sum += static_cast<double>(byte_size(one.view.dtype, one.view.shape));
  return sum;
}

Samples Job::sample(double seconds, int rounds) const {
  const SampleOptions options{
      .seconds = seconds,
      .rounds = rounds,
      .threads = report_.threads,
      .stream_bytes = static_cast<std::size_t>(std::min(input_bytes(), kLargestProbe))};
  return bench::sample(target_, options, [&] { run(); });
}

}  // namespace fovea::bench
