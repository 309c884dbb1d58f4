// The main job: attention over this repository's own text. Compiles attention.fov, runs it over
// every word, checks it against the interpreter, and shows what it found and how fast.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "bench/probe.h"
#include "fovea/fovea.h"
#include "ir/require.h"
#include "tools/document/links.h"
#include "tools/document/words.h"
#include "tools/draw/render.h"
#include "tools/io/files.h"

namespace fovea::document {
namespace {

constexpr double kTolerance = 1e-5;
constexpr std::int64_t kUnfusedWords = 1024;  // the unfused graph stores planes: 4 heads, 4 MB each
constexpr std::int64_t kPictureWords = 48;

struct Arguments {
  std::string root = FOVEA_SOURCE_DIR;
  std::string out = FOVEA_SOURCE_DIR "/out";
  std::string target;
  int threads = 0;
  std::int64_t words = 0;
  bool check = true;
};

std::string definition() {
  const tools::Bytes bytes = tools::read_file(FOVEA_SOURCE_DIR "/tools/document/attention.fov");
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Document read_document(const Arguments& arguments) {
  Document document{split_words(repository_text(arguments.root)), {}};
  require(!document.words.empty(), Code::empty_input, "the text below '{}' has no words",
          arguments.root);
  if (arguments.words > 0 && arguments.words < document.size())
    document.words.resize(static_cast<std::size_t>(arguments.words));
  document.x = embed(document.words, kWidth);
  return document;
}

void show_progress(double share) {
  if (isatty(STDOUT_FILENO) == 0) return;
  fmt::print("\rinterpreting in double {:3.0f} %", 100 * share);
  if (share >= 1) fmt::print("\r\033[K");
  std::fflush(stdout);
}

void check_result(const Arguments& arguments, const Graph& graph, const Document& document,
                  const std::vector<float>& o) {
  if (!arguments.check) return;
  const double error = check(graph, document, o, show_progress);
  fmt::print("largest error against the interpreter in double: {:.2g} of the largest value\n",
             error);
  require(error <= kTolerance, Code::numerical_instability,
          "the compiled attention differs from the interpreter by {:.3g}; expected at most {:.3g}",
          error, kTolerance);
}

void print_links(const Links& links) {
  fmt::print(
      "\nstrongest links between different words, not forms of one such as kernel and kernels\n"
      "(mean weights of the heads, where at least a tenth, summed over the document)\n");
  fmt::print("  {:<18} {:<18} {:>8} {:>7}\n", "this word", "looks at", "weight", "places");
  for (const Link& link : links.strongest)
    fmt::print("  {:<18} {:<18} {:>8.2f} {:>7}\n", link.from, link.to, link.weight, link.places);
}

struct Speed {
  Report report;
  bench::Samples samples;
  double flops = 0;
};

Speed measure(const Kernel& kernel, const Document& document) {
  const View all = heads(document, 0, document.size());
  const NamedView inputs[] = {{"q", all}, {"k", all}, {"v", all}};
  const Report report = kernel.explain({{"i", document.size()}, {"j", document.size()}}, inputs);
  std::vector<float> o(document.x.size());
  const NamedView outputs[] = {{"o", view(o.data(), {kHeads, document.size(), kHeadWidth})}};
  const bench::SampleOptions options{.seconds = 1,
                                     .rounds = 10,
                                     .threads = std::max(report.threads, 1),
                                     .stream_bytes = document.x.size() * sizeof(float)};
  Speed speed{.report = report, .samples = {}};
  speed.samples =
      bench::sample(*ir::find_target(report.target), options, [&] { kernel.run(inputs, outputs); });
  for (const KernelReport& one : report.kernels) speed.flops += one.flops;
  return speed;
}

void print_speed(const Kernel& fused, const Document& document, const Options& options,
                 const Graph& graph) {
  const Speed speed = measure(fused, document);
  const Report& report = speed.report;
  const double time = speed.samples.quantile(0.5);
  fmt::print("\n{} words, {} heads of {}, a window of {}: {:.2f} ms on {} ({} thread{})\n",
             document.size(), kHeads, kHeadWidth, kWindow, time * 1e3, report.target,
             report.threads, report.threads == 1 ? "" : "s");
  fmt::print(
      "{:.1f} GFLOP/s over the visited tiles, {:.0f} % of the FMA peak of {:.1f} measured beside\n",
      speed.flops / time * 1e-9, 100 * speed.flops / time * 1e-9 / speed.samples.fma_gflops,
      speed.samples.fma_gflops);

  Document excerpt{document.words, {}};
  excerpt.words.resize(static_cast<std::size_t>(std::min(document.size(), kUnfusedWords)));
  excerpt.x = embed(excerpt.words, kWidth);
  Options unfused = options;
  unfused.fuse = false;
  const double with = measure(fused, excerpt).samples.quantile(0.5);
  const double without = measure(compile(graph, unfused), excerpt).samples.quantile(0.5);
  fmt::print("the first {} words: fused {:.2f} ms, unfused {:.2f} ms: {:.1f} times as fast\n",
             excerpt.size(), with * 1e3, without * 1e3, without / with);
}

void draw(const Arguments& arguments, const Kernel& attention, const Kernel& weights,
          const Document& document, std::int64_t place) {
  std::error_code error;
  std::filesystem::create_directories(arguments.out, error);
  require(!error, Code::invalid_config, "cannot make the directory '{}': {}", arguments.out,
          error.message());
  const std::int64_t count = std::min(document.size(), kPictureWords);
  const std::int64_t first =
      std::clamp<std::int64_t>(place - count * 3 / 4, 0, document.size() - count);
  const std::string map = arguments.out + "/attention.svg", graph = arguments.out + "/graph.svg";
  tools::write_file(map, heat_map(weights, document, first, count));
  tools::render(dot(attention.graph()), graph);
  fmt::print("\n{}: who looks at whom, words {} to {}\n{}: the fused graph\n", map, first,
             first + count - 1, graph);
}

void run(const Arguments& arguments) {
  const std::string text = definition();
  const Graph graph = parse(text);
  const Document document = read_document(arguments);
  fmt::print("{} words from the README and the headers below {}\n", document.size(),
             arguments.root);
  const Options options{.target = arguments.target,
                        .threads = arguments.threads,
                        .sizes = {{"i", document.size()}, {"j", document.size()}}};
  const Kernel attention = compile(graph, options);
  check_result(arguments, graph, document, attend(attention, document));
  // The same definition, asked for the weights too; a piece of the document at a time.
  const Kernel weights = compile(parse(text.substr(0, text.rfind("out o")) + std::string(kWeights)),
                                 {.target = arguments.target, .threads = arguments.threads});
  const Links links = find_links(weights, document, 20);
  print_links(links);
  print_speed(attention, document, options, graph);
  draw(arguments, attention, weights, document, links.place);
}

int main_job(int count, char** values) {
  Arguments arguments;
  CLI::App app("Attention over this repository's own text.", "tools/demo");
  app.add_option("--root", arguments.root, "the folder whose README.md and headers are read");
  app.add_option("--out", arguments.out, "where the pictures go");
  app.add_option("--words", arguments.words, "only the first so many words");
  app.add_option("--target", arguments.target, "row of the target table to compile for");
  app.add_option("--threads", arguments.threads, "0: as many as the machine has");
  app.add_flag("!--no-check", arguments.check, "do not compare with the interpreter");
  app.footer("Examples:\n  tools/demo\n  tools/demo --words 2000 --threads 1");
  try {
    app.parse(count, values);
    run(arguments);
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    fmt::print(stderr, "tools/demo: {} (try --help)\n", error.what());
  } catch (const Error& error) {
    fmt::print(stderr, "tools/demo: {}: {}\n", name(error.code()), error.what());
    return error.code() == Code::internal ? 2 : 1;
  }
  return 1;
}

}  // namespace
}  // namespace fovea::document

int main(int count, char** values) { return fovea::document::main_job(count, values); }
