// fovea explain: what the compiler made of a graph, kernel by kernel.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/fovea/command.h"
#include "tools/fovea/inputs.h"
#include "tools/fovea/measure.h"

namespace fovea::tools {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  Source source;
  InputArguments inputs;
  Options options;
  bool json = false;
  bool measure = true;
};

ordered_json to_json(const KernelReport& kernel) {
  return {{"kernel", kernel.kernel},
          {"symbol", kernel.symbol},
          {"why", kernel.why},
          {"row_axis", kernel.row_axis},
          {"column_axis", kernel.column_axis},
          {"rows", kernel.rows},
          {"columns", kernel.columns},
          {"batch", kernel.batch},
          {"row_tile", kernel.row_tile},
          {"column_block", kernel.column_block},
          {"chunk", kernel.chunk},
          {"lanes", kernel.lanes},
          {"tiles_empty", kernel.tiles_empty},
          {"tiles_full", kernel.tiles_full},
          {"tiles_partial", kernel.tiles_partial},
          {"flops", kernel.flops},
          {"flops_all", kernel.flops_all},
          {"bytes", kernel.bytes},
          {"plane_elements_stored", kernel.plane_elements_stored},
          {"compile_ms", kernel.compile_ms}};
}

ordered_json to_json(const Report& report, const std::string& decision,
                     const std::optional<Measurement>& measured) {
  ordered_json json = {{"target", report.target},           {"threads", report.threads},
                       {"compile_ms", report.compile_ms},   {"cached", report.cached},
                       {"extra_bytes", report.extra_bytes}, {"planes", report.planes},
                       {"kept_bytes", report.kept_bytes},   {"kept_growth", report.growth}};
  json["kept"] = ordered_json::array();
  for (const KeptReport& kept : report.kept)
    json["kept"].push_back({{"name", kept.name},
                            {"kernel", kept.kernel},
                            {"axes", kept.axes},
                            {"bytes", kept.bytes},
                            {"growth", kept.growth},
                            {"on_plane", kept.on_plane}});
  if (!decision.empty()) json["decision"] = decision;
  if (!report.order.empty()) json["order"] = report.order;
  if (!report.fusion.empty()) json["fusion"] = report.fusion;
  if (!report.rows.empty()) json["rows"] = report.rows;
  if (!report.indices.empty()) json["indices"] = report.indices;
  if (measured) {
    json["run_us"] = measured->samples.quantile(0.5) * 1e6;
    json["fma_peak_gflops"] = measured->samples.fma_gflops;
    json["stream_gbs"] = measured->samples.stream_gbs;
    json["share_of_fma_peak"] = measured->share_of_peak();
    json["share_of_stream"] = measured->share_of_stream();
  }
  json["kernels"] = ordered_json::array();
  for (std::size_t n = 0; n < report.kernels.size(); ++n) {
    ordered_json one = to_json(report.kernels[n]);
    if (measured) {
      one["run_us"] = measured->kernel_seconds[n] * 1e6;
      one["share_of_fma_peak"] = measured->share_of_peak(report.kernels[n], n);
      one["share_of_stream"] = measured->share_of_stream(report.kernels[n], n);
    }
    json["kernels"].push_back(std::move(one));
  }
  return json;
}

void print_kept(const Report& report) {
  if (report.kept.empty()) {
    fmt::print("kept between kernels: nothing");
  } else {
    fmt::print("kept between kernels: {:.4g} bytes, {}", report.kept_bytes, report.growth);
  }
  std::int64_t stored = 0;
  for (const KernelReport& kernel : report.kernels) stored += kernel.plane_elements_stored;
  if (!report.planes.empty())
    fmt::print("; stored of the plane {}: {}", fmt::join(report.planes, ", "),
               stored == 0 ? "nothing" : fmt::format("{} elements", stored));
  fmt::print("\n");
  for (const KeptReport& kept : report.kept)
    fmt::print("  {}[{}] of kernel {}: {:.4g} bytes, {}{}\n", kept.name, fmt::join(kept.axes, ", "),
               kept.kernel, kept.bytes, kept.growth, kept.on_plane ? ", on the plane" : "");
}

void print_kernel(const KernelReport& kernel) {
  fmt::print("{}\n  {}\n  symbol   {}\n", kernel.kernel, kernel.why, kernel.symbol);
  if (!kernel.row_axis.empty()) {
    fmt::print("  plane    {} rows along {} x {} columns along {}, {} times\n", kernel.rows,
               kernel.row_axis, kernel.columns, kernel.column_axis, kernel.batch);
    fmt::print(
        "  tiles    {} empty, {} full, {} partial; of {} rows x {} columns, {} to a step, {} in "
        "the lanes\n",
        kernel.tiles_empty, kernel.tiles_full, kernel.tiles_partial, kernel.row_tile,
        kernel.column_block, kernel.chunk, kernel.lanes);
  }
  if (kernel.plane_elements_stored > 0)
    fmt::print("  stored   {} elements of the plane\n", kernel.plane_elements_stored);
  fmt::print("  work     {:.4g} flops ({:.4g} over the whole plane), {:.4g} bytes\n", kernel.flops,
             kernel.flops_all, kernel.bytes);
}

void print_speed(const Measurement& measured, const KernelReport& kernel, std::size_t index) {
  fmt::print("  speed    {:.4g} us, {:.1f} % of the FMA peak, {:.1f} % of the stream rate\n",
             measured.kernel_seconds[index] * 1e6, 100 * measured.share_of_peak(kernel, index),
             100 * measured.share_of_stream(kernel, index));
}

void print_report(const Report& report, const std::string& decision,
                  const std::optional<Measurement>& measured) {
  fmt::print("{} on {} thread{}, compiled in {:.1f} ms{}, {:.4g} bytes extra\n", report.target,
             report.threads, report.threads == 1 ? "" : "s", report.compile_ms,
             report.cached ? " (from the cache)" : "", report.extra_bytes);
  if (!decision.empty()) fmt::print("{}\n", decision);
  if (!report.order.empty()) fmt::print("{}\n", report.order);
  if (!report.fusion.empty()) fmt::print("{}\n", report.fusion);
  if (!report.rows.empty()) fmt::print("{}\n", report.rows);
  if (!report.indices.empty()) fmt::print("{}\n", report.indices);
  print_kept(report);
  for (std::size_t n = 0; n < report.kernels.size(); ++n) {
    print_kernel(report.kernels[n]);
    if (measured) print_speed(*measured, report.kernels[n], n);
  }
  if (!measured) return;
  fmt::print(
      "all: {:.4g} us, {:.1f} % of the FMA peak of {:.1f} GFLOP/s, {:.1f} % of the stream rate of "
      "{:.1f} GB/s\n",
      measured->samples.quantile(0.5) * 1e6, 100 * measured->share_of_peak(),
      measured->samples.fma_gflops, 100 * measured->share_of_stream(),
      measured->samples.stream_gbs);
}

void explain(Arguments& arguments) {
  const Loaded loaded = load(arguments.source);
  if (!arguments.inputs.seed) arguments.inputs.seed = 1;
  const Inputs inputs = bind_inputs(loaded, arguments.inputs);
  Options options = arguments.options;
  options.sizes = expected_sizes(loaded.graph, inputs);
  const Kernel kernel = compile(loaded.graph, options);
  const Report report = kernel.explain(inputs.sizes, views(inputs.tensors));
  std::optional<Measurement> measured;
  if (arguments.measure) measured = measure_kernels(kernel, report, loaded.graph, inputs, 0.2);
  const std::string decision = loaded.decision();
  if (!arguments.json) return print_report(report, decision, measured);
  fmt::print("{}\n", to_json(report, decision, measured).dump());
}

}  // namespace

void add_explain(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "explain", "Tell what was fused, why, into what tiles, and how fast it is");
  add_source(*command, arguments->source);
  add_inputs(*command, arguments->inputs);
  command->add_option("--target", arguments->options.target,
                      "row of the target table to compile for");
  command->add_option("--threads", arguments->options.threads, "0: as many as the machine has");
  add_fusion(*command, arguments->options);
  command->add_flag("--json", arguments->json, "one line of JSON");
  command->add_flag("!--no-measure", arguments->measure,
                    "do not run it to measure shares of the peak");
  command->footer(
      "Inputs that are not given are random (seed 1). In the JSON, compile_ms of a kernel is what "
      "its own code\ntook, 0 if it came from the cache. Functions of a kernel have names that "
      "begin "
      "with its symbol in gdb\nand perf.\n\n"
      "Examples:\n"
      "  fovea explain @causal --size i=4096 --size j=4096\n"
      "  fovea explain attention.fov --size j=1000000 --no-measure --json");
  command->callback([arguments] { explain(*arguments); });
}

}  // namespace fovea::tools
