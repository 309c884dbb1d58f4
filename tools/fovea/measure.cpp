#include "tools/fovea/measure.h"

#include <algorithm>

namespace fovea::tools {
namespace {

// A probe of more than this takes long and tells nothing new: no cache holds it.
constexpr std::size_t kLargestProbe = std::size_t{256} << 20;

template <class Run>
Measurement sample(const Report& report, const Inputs& inputs, double seconds, Run&& run) {
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : inputs.tensors) bytes += tensor.data().size();
  const bench::SampleOptions options{.seconds = seconds,
                                     .rounds = std::max(5, static_cast<int>(seconds * 20)),
                                     .threads = std::max(report.threads, 1),
                                     .stream_bytes = std::min(bytes, kLargestProbe)};
  Measurement measured;
  measured.samples = bench::sample(choose_target(report.target), options, run);
  for (const KernelReport& one : report.kernels) {
    measured.flops += one.flops;
    measured.flops_all += one.flops_all;
    measured.bytes += one.bytes;
  }
  return measured;
}

}  // namespace

Measurement measure(const Kernel& kernel, const Report& report, const Graph& graph,
                    const Inputs& inputs, double seconds) {
  Tensors outputs = make_outputs(graph, inputs.extents);
  const std::vector<NamedView> from = views(inputs.tensors), to = views(outputs);
  return sample(report, inputs, seconds, [&] { kernel.run(from, to, inputs.sizes); });
}

Measurement measure_kernels(const Kernel& kernel, const Report& report, const Graph& graph,
                            const Inputs& inputs, double seconds) {
  Tensors outputs = make_outputs(graph, inputs.extents);
  const std::vector<NamedView> from = views(inputs.tensors), to = views(outputs);
  std::vector<std::vector<double>> times(report.kernels.size());
  Measurement measured = sample(report, inputs, seconds, [&] {
    const std::vector<double> each = kernel.profile(from, to, inputs.sizes);
    for (std::size_t n = 0; n < each.size(); ++n) times[n].push_back(each[n]);
  });
  for (std::vector<double>& one : times)
    measured.kernel_seconds.push_back(bench::detail::median(std::move(one)));
  return measured;
}

}  // namespace fovea::tools
