#include "bench/probe.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fovea::bench {
namespace {

// Multiply-adds of a call; long enough that the call costs nothing, short enough to look at the
// clock.
constexpr int kRounds = 4096;
// Latency times throughput of a multiply-add is 8 to 10 on the machines there are.
constexpr int kAccumulators = 12;

#if defined(__x86_64__)

// The empty asm hides the operands, so that nothing is folded or shared, and keeps the results.
__attribute__((target("avx512f"))) void multiply_add_512() {
  __m512 sums[kAccumulators] = {}, a = _mm512_setzero_ps(), b = a;
  asm volatile("" : "+v"(a), "+v"(b));
#pragma GCC unroll 12
  for (__m512& sum : sums) asm volatile("" : "+v"(sum));
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(a, b, sum);
  }
#pragma GCC unroll 12
  for (__m512& sum : sums) asm volatile("" : "+v"(sum));
}

__attribute__((target("avx2,fma"))) void multiply_add_256() {
  __m256 sums[kAccumulators] = {}, a = _mm256_setzero_ps(), b = a;
  asm volatile("" : "+x"(a), "+x"(b));
#pragma GCC unroll 12
  for (__m256& sum : sums) asm volatile("" : "+x"(sum));
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(a, b, sum);
  }
#pragma GCC unroll 12
  for (__m256& sum : sums) asm volatile("" : "+x"(sum));
}

void multiply_add_128() {
  __m128 sums[kAccumulators] = {}, a = _mm_setzero_ps(), b = a;
#pragma GCC unroll 12
  for (__m128& sum : sums) asm volatile("" : "+x"(sum));
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (__m128& sum : sums) {
      asm volatile("" : "+x"(a));  // a fresh product each time
      sum = _mm_add_ps(sum, _mm_mul_ps(a, b));
    }
  }
#pragma GCC unroll 12
  for (__m128& sum : sums) asm volatile("" : "+x"(sum));
}

void multiply_add(const ir::Target& target) {
  if (target.lanes == 16) return multiply_add_512();
  if (target.lanes == 8) return multiply_add_256();
  return multiply_add_128();
}

#else

void multiply_add(const ir::Target&) {
  float sums[4 * kAccumulators] = {}, a = 0, b = 0;
  for (int round = 0; round < kRounds; ++round) {
    asm volatile("" : "+r"(a), "+r"(b));
    for (float& sum : sums) sum += a * b;
  }
  asm volatile("" : : "r"(sums) : "memory");
}

#endif

#if defined(__x86_64__)

__attribute__((target("avx2"))) void read_256(std::span<const std::byte> bytes) {
  __m256i sums[8] = {};
  for (std::size_t at = 0; at + 256 <= bytes.size(); at += 256) {
#pragma GCC unroll 8
    for (std::size_t n = 0; n < 8; ++n)
      sums[n] = _mm256_or_si256(
          sums[n],
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes.data() + at + 32 * n)));
  }
#pragma GCC unroll 8
  for (__m256i& sum : sums) asm volatile("" : "+x"(sum));
}

__attribute__((target("avx512f"))) void read_512(std::span<const std::byte> bytes) {
  __m512i sums[8] = {};
  for (std::size_t at = 0; at + 512 <= bytes.size(); at += 512) {
#pragma GCC unroll 8
    for (std::size_t n = 0; n < 8; ++n)
      sums[n] = _mm512_or_si512(sums[n], _mm512_loadu_si512(bytes.data() + at + 64 * n));
  }
#pragma GCC unroll 8
  for (__m512i& sum : sums) asm volatile("" : "+v"(sum));
}

#endif

void read_any(std::span<const std::byte> bytes) {
  std::uint64_t sums[8] = {};
  const auto* words = reinterpret_cast<const std::uint64_t*>(bytes.data());
  for (std::size_t at = 0; at + 8 <= bytes.size() / 8; at += 8)
    for (std::size_t n = 0; n < 8; ++n) sums[n] |= words[at + n];
  for (std::uint64_t& sum : sums) asm volatile("" : "+r"(sum));
}

// The widest loads there are, whatever the kernel's row: the limit is the memory's.
void read(std::span<const std::byte> bytes) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return read_512(bytes);
  if (__builtin_cpu_supports("avx2")) return read_256(bytes);
#endif
  read_any(bytes);
}

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
  const double work = 2e-9 * std::max(target.lanes, 4) * kAccumulators * kRounds;
  return rate(threads, seconds, work, [&](int) { multiply_add(target); });
}

StreamProbe::StreamProbe(std::size_t bytes)
    : buffer_(std::max<std::size_t>((bytes + 4095) / 4096, 16) * 4096, std::byte{1}) {}

double StreamProbe::gbs(int threads, double seconds) const {
  const std::size_t share = buffer_.size() / static_cast<std::size_t>(threads) / 512 * 512;
  return rate(threads, seconds, 1e-9 * static_cast<double>(share), [&](int thread) {
    read(std::span(buffer_).subspan(share * static_cast<std::size_t>(thread), share));
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
