#include "bench/probe.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <thread>

#include "bench/loops.h"

namespace fovea::bench {
namespace {

// Work per second of all threads together: each starts when all are there.
double rate(int threads, double seconds, double work, const std::function<void(int)>& run) {
  std::atomic<int> waiting = threads;
  std::vector<double> rates(static_cast<std::size_t>(threads));
  const auto measure = [&](int thread) {
    run(thread);
    for (--waiting; waiting > 0;) std::this_thread::yield();
    const double begin = detail::now();
    double end = begin;
    int times = 0;
    while (times == 0 || end < begin + seconds) {
      run(thread);
      ++times;
      end = detail::now();
    }
    rates[static_cast<std::size_t>(thread)] = work * times / (end - begin);
  };
  std::vector<std::jthread> others;
  for (int thread = 1; thread < threads; ++thread) others.emplace_back(measure, thread);
  measure(0);
  others.clear();
  double sum = 0;
  for (double one : rates) sum += one;
  return sum;
}

}  // namespace

double fma_gflops(const ir::Target& target, int threads, double seconds) {
  const double work = 1e-9 * loops::multiply_add_flops(target.lanes);
  return rate(threads, seconds, work, [&](int) { loops::multiply_add(target.lanes); });
}

StreamProbe::StreamProbe(std::size_t bytes)
    : buffer_(std::max<std::size_t>((bytes + 4095) / 4096, 16) * 4096, std::byte{1}) {}

double StreamProbe::gbs(int threads, double seconds) const {
  const std::size_t share =
      buffer_.size() / static_cast<std::size_t>(threads) / loops::kTurn * loops::kTurn;
  return rate(threads, seconds, 1e-9 * static_cast<double>(share), [&](int thread) {
    loops::read(std::span(buffer_).subspan(share * static_cast<std::size_t>(thread), share));
  });
}

double Samples::quantile(double share) const {
  const auto last = static_cast<double>(seconds.size() - 1);
  return seconds[static_cast<std::size_t>(std::lround(share * last))];
}

double Samples::share_of_peak(double flops) const {
  return detail::median_of(
      rounds, [&](const Round& round) { return flops / round.seconds * 1e-9 / round.fma_gflops; });
}

double Samples::share_of_stream(double bytes) const {
  return detail::median_of(
      rounds, [&](const Round& round) { return bytes / round.seconds * 1e-9 / round.stream_gbs; });
}

namespace detail {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Samples finish(std::vector<double> seconds, std::vector<Round> rounds) {
  std::sort(seconds.begin(), seconds.end());
  Samples samples{.seconds = std::move(seconds)};
  samples.fma_gflops = median_of(rounds, [](const Round& round) { return round.fma_gflops; });
  samples.stream_gbs = median_of(rounds, [](const Round& round) { return round.stream_gbs; });
  samples.rounds = std::move(rounds);
  return samples;
}

}  // namespace detail

}  // namespace fovea::bench
