// tools/fovea/measure.h — how fast a kernel runs, beside what the machine can do.
#pragma once

#include <algorithm>

#include "bench/probe.h"
#include "tools/fovea/inputs.h"

namespace fovea::tools {

struct Measurement {
  bench::Samples samples;
  double flops = 0, flops_all = 0, bytes = 0;  // of all kernels, as in Report
  std::vector<double> kernel_seconds;          // medians, in the order of Report::kernels

  double gflops_visited() const { return flops / samples.quantile(0.5) * 1e-9; }
  double gflops_all() const { return flops_all / samples.quantile(0.5) * 1e-9; }
  double share_of_peak() const { return gflops_visited() / samples.fma_gflops; }
  double share_of_stream() const {
    return bytes / samples.quantile(0.5) * 1e-9 / samples.stream_gbs;
  }
  // The limit of which it reaches more is the one that binds.
  bool is_bound_by_reading() const { return share_of_stream() > share_of_peak(); }
  double share_of_limit() const { return std::max(share_of_peak(), share_of_stream()); }
  double share_of_peak(const KernelReport& kernel, std::size_t index) const {
    return kernel.flops / kernel_seconds[index] * 1e-9 / samples.fma_gflops;
  }
  double share_of_stream(const KernelReport& kernel, std::size_t index) const {
    return kernel.bytes / kernel_seconds[index] * 1e-9 / samples.stream_gbs;
  }
};

// Runs it for about `seconds` between probes on as many threads. The stream probe reads as many
// bytes as the inputs have, so it meets the same level of the caches.
Measurement measure(const Kernel& kernel, const Report& report, const Graph& graph,
                    const Inputs& inputs, double seconds);

// The same, and what each kernel took.
Measurement measure_kernels(const Kernel& kernel, const Report& report, const Graph& graph,
                            const Inputs& inputs, double seconds);

}  // namespace fovea::tools
