// bench/job.h — a graph made ready to be measured: compiled, with random inputs bound.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/probe.h"
#include "fovea/fovea.h"

namespace fovea::bench {

class Job {
 public:
  // `sizes` has the extents of all open axes. Inputs are f32, bf16 or bool and normal, those named
  // in `shifted` with such a mean; bools are mostly true.
  Job(std::string_view text, const Sizes& sizes, const Options& options = {.threads = 1},
      const std::map<std::string, float>& shifted = {});
  // The same tensors through the graph compiled otherwise.
  Job(const Job& job, const Options& options);

  void run() const { kernel_.run(inputs_, outputs_, sizes_); }
  // Of the tensor called so, which there is.
  const float* input(std::string_view name) const { return data(inputs_, name); }
  float* output(std::string_view name) const { return data(outputs_, name); }
  const ir::Target& target() const { return target_; }
  const Report& report() const { return report_; }
  double flops() const;        // over visited tiles
  double input_bytes() const;  // of all inputs

  // Runs between probes of one thread; the stream probe reads as many bytes as the inputs have.
  Samples sample(double seconds, int rounds) const;

 private:
  void bind(const std::map<std::string, float>& shifted);
  float* add(std::int64_t count);
  static float* data(const std::vector<NamedView>& views, std::string_view name);

  Graph graph_;
  Sizes sizes_;
  Kernel kernel_;
  std::vector<std::shared_ptr<float[]>> memory_;
  std::vector<NamedView> inputs_, outputs_;
  Report report_;
  ir::Target target_;
};

// How many times as long `one` takes as `other`: both run in turns, the median over the turns.
// Each turn takes about `seconds`, at least one run of each.
template <class One, class Other>
double times_as_long(One&& one, Other&& other, double seconds = 0.02, int turns = 9);

// Seconds of a run: the median over runs of about `seconds` together, at least one.
template <class Run>
double time_of(Run&& run, double seconds) {
  std::vector<double> times;
  const double begin = detail::now();
  double before = begin;
  do {
    run();
    const double after = detail::now();
    times.push_back(after - before);
    before = after;
  } while (before < begin + seconds);
  return detail::median(std::move(times));
}

template <class One, class Other>
double times_as_long(One&& one, Other&& other, double seconds, int turns) {
  std::vector<double> ratios;
  one();
  other();
  for (int turn = 0; turn < turns; ++turn) {
    // The order changes: what runs second finds caches and clocks as the first left them.
    const bool swapped = turn % 2 == 1;
    const double second = swapped ? time_of(other, seconds / 2) : 0;
    const double first = time_of(one, seconds / 2);
    ratios.push_back(first / (swapped ? second : time_of(other, seconds / 2)));
  }
  return detail::median(std::move(ratios));
}

}  // namespace fovea::bench
