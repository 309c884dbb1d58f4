// fovea bench: how fast a graph runs, beside what the machine can do.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>
#include <nlohmann/json.hpp>

#include "ir/require.h"
#include "tools/fovea/command.h"
#include "tools/fovea/inputs.h"
#include "tools/fovea/measure.h"

namespace fovea::tools {
namespace {

struct Arguments {
  Source source;
  InputArguments inputs;
  Options options;
  double seconds = 1;
  bool json = false;
};

const char* limit_of(const Measurement& measured) {
  return measured.is_bound_by_reading() ? "stream" : "fma_peak";
}

void print_json(const Measurement& measured, const Report& report) {
  const bench::Samples& samples = measured.samples;
  const nlohmann::ordered_json json = {{"p50_us", samples.quantile(0.5) * 1e6},
                                       {"p99_us", samples.quantile(0.99) * 1e6},
                                       {"min_us", samples.quantile(0) * 1e6},
                                       {"runs", samples.seconds.size()},
                                       {"gflops_visited", measured.gflops_visited()},
                                       {"gflops_all", measured.gflops_all()},
                                       {"fma_peak_gflops", samples.fma_gflops},
                                       {"stream_gbs", samples.stream_gbs},
                                       {"share_of_fma_peak", measured.share_of_peak()},
                                       {"share_of_stream", measured.share_of_stream()},
                                       {"limit", limit_of(measured)},
                                       {"share_of_limit", measured.share_of_limit()},
                                       {"threads", report.threads},
                                       {"target", report.target}};
  fmt::print("{}\n", json.dump());
}

void print_text(const Measurement& measured, const Report& report) {
  const bench::Samples& samples = measured.samples;
  fmt::print("p50 {:.4g} us  p99 {:.4g} us  min {:.4g} us  ({} runs, {} thread{}, {})\n",
             samples.quantile(0.5) * 1e6, samples.quantile(0.99) * 1e6, samples.quantile(0) * 1e6,
             samples.seconds.size(), report.threads, report.threads == 1 ? "" : "s", report.target);
  fmt::print("{:.2f} GFLOP/s over visited pairs, {:.2f} over all; FMA peak {:.2f}: {:.1f} %\n",
             measured.gflops_visited(), measured.gflops_all(), samples.fma_gflops,
             100 * measured.share_of_peak());
  fmt::print("{:.2f} GB/s of inputs and outputs; stream {:.2f}: {:.1f} %\n",
             measured.bytes / samples.quantile(0.5) * 1e-9, samples.stream_gbs,
             100 * measured.share_of_stream());
  fmt::print("limited by {}: {:.1f} % of what it allows\n",
             measured.is_bound_by_reading() ? "the stream rate" : "the FMA peak",
             100 * measured.share_of_limit());
}

void bench(Arguments& arguments) {
  require(arguments.seconds > 0 && arguments.seconds <= 3600, Code::invalid_config,
          "--seconds {}: expected more than 0, at most 3600", arguments.seconds);
  const Loaded loaded = load(arguments.source);
  if (!arguments.inputs.seed) arguments.inputs.seed = 1;
  const Inputs inputs = bind_inputs(loaded, arguments.inputs);
  Options options = arguments.options;
  options.sizes = expected_sizes(loaded.graph, inputs);
  const Kernel kernel = compile(loaded.graph, options);
  const Report report = kernel.explain(inputs.sizes, views(inputs.tensors));
  const Measurement measured = measure(kernel, report, loaded.graph, inputs, arguments.seconds);
  if (arguments.json) return print_json(measured, report);
  print_text(measured, report);
}

}  // namespace

void add_bench(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("bench", "Measure a graph beside the machine's own limits");
  add_source(*command, arguments->source);
  add_inputs(*command, arguments->inputs);
  command->add_option("--target", arguments->options.target,
                      "row of the target table to compile for");
  command->add_option("--threads", arguments->options.threads, "0: as many as the machine has");
  command->add_option("--seconds", arguments->seconds, "how long to run (default 1)");
  add_fusion(*command, arguments->options);
  command->add_flag("--json", arguments->json, "one line of JSON");
  command->footer(
      "Probes of the FMA peak and of the rate of reading are taken between the samples, on as many "
      "threads.\nInputs that are not given are random (seed 1).\n\n"
      "Examples:\n"
      "  fovea bench @causal --size i=4096 --size j=4096 --threads 1\n"
      "  fovea bench attention.fov --size i=1 --size j=100000 --json");
  command->callback([arguments] { bench(*arguments); });
}

}  // namespace fovea::tools
