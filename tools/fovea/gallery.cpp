// fovea gallery: a page of the mechanisms, each with its fused graph and who looks at whom.
#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/require.h"
#include "ops/mechanism.h"
#include "tools/draw/heat_map.h"
#include "tools/draw/render.h"
#include "tools/fovea/command.h"
#include "tools/fovea/influence.h"
#include "tools/fovea/measure.h"
#include "tools/fovea/shapes.h"
#include "tools/io/files.h"

namespace fovea::tools {
namespace {

constexpr std::int64_t kPictureExtent = 40;

struct Arguments {
  std::string out = "out/gallery";
  std::vector<std::string> names, sizes{"i=1024", "j=1024"};
  bool measure = false;
};

// What bounds a mechanism here, and how much of it is reached.
struct Speed {
  std::string limit;
  double share = 0, microseconds = 0;
};

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text)
    result += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  return result;
}

Speed speed_of(const Loaded& loaded, const std::vector<std::string>& sizes) {
  InputArguments arguments{.files = {}, .sizes = {}, .seed = 1};
  for (const std::string& size : sizes)
    if (ir::find_axis(loaded.graph, split_pair(size, "--size").first) != ir::kNone)
      arguments.sizes.push_back(size);
  const Inputs inputs = bind_inputs(loaded, arguments);
  const Kernel kernel = compile(loaded.graph, {.threads = 1});
  const Report report = kernel.explain(inputs.sizes, views(inputs.tensors));
  const Measurement measured = measure(kernel, report, loaded.graph, inputs, 0.2);
  const bool computes = measured.share_of_peak() >= measured.share_of_stream();
  const bool gathers = std::ranges::any_of(
      loaded.graph.axes, [](const ir::Axis& axis) { return axis.degree != ir::kNone; });
  return {computes  ? "FMA"
          : gathers ? "gathered reads"
                    : "memory",
          std::max(measured.share_of_peak(), measured.share_of_stream()),
          measured.samples.quantile(0.5) * 1e6};
}

std::string entry(const ops::Mechanism& mechanism, bool has_picture,
                  const std::optional<Speed>& speed) {
  std::string html = fmt::format(
      "<article id=\"{0}\">\n<h2>{0}</h2>\n<p>{1}</p>\n<p "
      "class=\"formula\">{2}</p>\n<p>{3}{4}</p>\n",
      mechanism.name, escaped(mechanism.doc), escaped(mechanism.formula), escaped(mechanism.paper),
      speed ? fmt::format("; {:.0f} µs, {:.0f} % of the limit by {}", speed->microseconds,
                          100 * speed->share, speed->limit)
            : "");
  if (has_picture)
    html +=
        fmt::format("<img src=\"{0}-influence.svg\" alt=\"who looks at whom\">\n", mechanism.name);
  return html + fmt::format(
                    "<a href=\"{0}.svg\"><img class=\"graph\" src=\"{0}.svg\" alt=\"the "
                    "fused graph\"></a>\n</article>\n",
                    mechanism.name);
}

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Fovea: mechanisms of attention</title><style>
body { font-family: sans-serif; margin: 2em auto; max-width: 75em; }
article { border-top: 1px solid #ccc; padding: 1em 0; }
.formula { font-family: monospace; }
img { max-width: 100%; vertical-align: top; margin-right: 2em; }
img.graph { max-height: 30em; }
</style></head><body>
<h1>Mechanisms of attention</h1>
<p>Each with the graph that its kernels are made of (in colour: what lies on the pair plane and is
never stored) and, where it has values, how much each row of the result moves when those of one
column do, on a small example with random inputs.</p>
)";

std::vector<const ops::Mechanism*> chosen(const Arguments& arguments) {
  std::vector<const ops::Mechanism*> mechanisms(ops::all().begin(), ops::all().end());
  if (!arguments.names.empty()) mechanisms.clear();
  for (const std::string& name : arguments.names)
    mechanisms.push_back(&ops::find(name.starts_with('@') ? name.substr(1) : name));
  std::ranges::sort(mechanisms, {}, [](const ops::Mechanism* mechanism) {
    return std::pair(mechanism->family, mechanism->name);
  });
  return mechanisms;
}

void gallery(const Arguments& arguments) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(arguments.out, error);
  require(!error, Code::invalid_config, "cannot make the directory '{}': {}", arguments.out,
          error.message());
  const std::vector<const ops::Mechanism*> mechanisms = chosen(arguments);
  std::string page(kHead);
  std::string table = "| mechanism | formula | paper | limit | share |\n|---|---|---|---|---|\n";
  for (std::size_t n = 0; n < mechanisms.size(); ++n) {
    const ops::Mechanism& mechanism = *mechanisms[n];
    if (isatty(2)) fmt::print(stderr, "\r\033[K{}/{} {}", n + 1, mechanisms.size(), mechanism.name);
    const std::string stem = arguments.out + "/" + std::string(mechanism.name);
    const Loaded loaded = load({.text = "@" + std::string(mechanism.name), .options = {}});
    render(dot(after_pass(loaded.graph, "tile", "")), stem + ".svg");
    const auto picture = influence(mechanism, kPictureExtent);
    if (picture)
      write_file(stem + "-influence.svg",
                 heat_map(picture->weights, picture->columns, picture->row, picture->column));
    std::optional<Speed> speed;
    if (arguments.measure) speed = speed_of(loaded, arguments.sizes);
    page += entry(mechanism, picture.has_value(), speed);
    std::string formula(mechanism.formula);
    for (std::size_t at = 0; (at = formula.find('|', at)) != std::string::npos; at += 2)
      formula.insert(at, "\\");
    table += fmt::format("| `{}` | {} | {} | {} | {} |\n", mechanism.name, formula, mechanism.paper,
                         speed ? speed->limit : "–",
                         speed ? fmt::format("{:.0f} %", 100 * speed->share) : "–");
  }
  if (isatty(2)) fmt::print(stderr, "\r\033[K");
  write_file(arguments.out + "/index.html", page + "</body></html>\n");
  write_file(arguments.out + "/table.md", table);
  fmt::print("{} mechanisms: {}/index.html, {}/table.md\n", mechanisms.size(), arguments.out,
             arguments.out);
}

}  // namespace

void add_gallery(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("gallery", "Draw all mechanisms, or some, on one page");
  command->add_option("NAME", arguments->names, "mechanisms to draw; all if there are none");
  command->add_option("--out", arguments->out, "the directory to write to")->capture_default_str();
  command->add_flag(
      "--measure", arguments->measure,
      "also run each on one thread, and say what limits it and what share it reaches");
  command
      ->add_option("--size", arguments->sizes,
                   "with --measure: axis=extent, for those that "
                   "have the axis")
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  fovea gallery\n"
      "  fovea gallery causal sliding_window --out /tmp/two --measure");
  command->callback([arguments] { gallery(*arguments); });
}

}  // namespace fovea::tools
