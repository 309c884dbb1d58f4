// What does attention in curved space cost, beside the plain kernel?
#include <fmt/format.h>

#include <map>

#include "bench/figure.h"
#include "bench/graphs.h"
#include "ir/text.h"
#include "ops/mechanism.h"

namespace fovea::bench {
namespace {

// A mechanism's text, made for its options.
std::string text_of(std::string_view name, const std::map<std::string, double>& options) {
  const ops::Mechanism& mechanism = ops::find(name);
  return ir::print(mechanism.build(ops::Problem(mechanism.options, options)));
}

std::map<std::string, double> with_width(int width, std::map<std::string, double> options) {
  options["d"] = options["e"] = width;
  return options;
}

struct Prefill {
  std::string name;
  std::string_view mechanism;
  std::map<std::string, double> options;
  double most;  // times the plain kernel
};

// One head: a sequence of 2048 against itself.
void compare(benchmark::State& state, const Prefill& question, int width) {
  const Sizes sizes{{"b", 1}, {"h", 1}, {"i", 2048}, {"j", 2048}};
  const Job job(text_of(question.mechanism, with_width(width, question.options)), sizes);
  const Job plain(attention(width), {{"h", 1}, {"i", 2048}, {"j", 2048}});
  const double times = times_as_long([&] { job.run(); }, [&] { plain.run(); }, 0.1, 7);
  const double seconds = time_of([&] { plain.run(); }, 0.1);
  show(state, {.seconds = times * seconds,
               .measured = fmt::format("{}, {:.2f} x plain", in_words(times * seconds), times),
               .limit = fmt::format("{} plain", in_words(seconds)),
               .share = times,
               .target = in_words(at_most(question.most), " x plain"),
               .value = times,
               .goal = at_most(question.most)});
}

// One query.
void decode(benchmark::State& state, std::int64_t keys, double most) {
  const Job job(text_of("poincare", with_width(128, {})),
                {{"b", 1}, {"h", 1}, {"i", 1}, {"j", keys}});
  const Samples samples = job.sample(0.02, 15);
  Figure figure = of_stream(samples, job.input_bytes(), 0);
  figure.target = in_words(at_most(most), " µs", 1e6);
  figure.value = figure.seconds;
  figure.goal = at_most(most);
  show(state, figure);
}

}  // namespace

void add_benchmarks() {
  const std::vector<Prefill> questions{
      {"poincare, differences", "poincare", {}, 1.25},
      {"poincare, norms and products", "poincare", {{"tolerance", 1e9}}, 1.1},
      {"lorentz", "lorentz", {}, 1.5},
      {"spherical", "spherical", {}, 2}};
  for (const Prefill& question : questions)
    for (const int width : {64, 128})
      add(fmt::format("geometric: {}, N=2048, D={}", question.name, width),
          [=](benchmark::State& state) { compare(state, question, width); });
  add("geometric: poincare, 1 x 100, D=128",
      [](benchmark::State& state) { decode(state, 100, 4e-6); });
  add("geometric: poincare, 1 x 1000, D=128",
      [](benchmark::State& state) { decode(state, 1000, 30e-6); });
}

}  // namespace fovea::bench
