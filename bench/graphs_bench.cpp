// How far from reading the neighbours' rows once is attention to them?
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <vector>

#include "bench/figure.h"
#include "bench/peers/gather.h"

namespace fovea::bench {
namespace {

constexpr int kHeads = 8, kEdgeFeatures = 16, kRounds = 20;
constexpr double kSeconds = 0.01;  // of a round

// Keys and values of 8 heads of one width.
std::string text(int width, bool edges) {
  return fmt::format(R"(
axis i, j, e, r = i + 1, n < degree, h = 8, d = {0}, f = 16
row_start : i32[r]
neighbour : i32[e]
{1}
v : f32[j, h, d]
degree = row_start[r = i + 1] - row_start[r = i]
at = row_start[r = i] + n
to = neighbour[e = at]
out o[i, h, d] = sum(n, softmax(n, {2}) * v[j = to])
)",
                     width,
                     edges ? "a : f32[i, h]\nb : f32[j, h]\nw : f32[f, h]\nx : f32[e, f]"
                           : "q : f32[i, h, d]\nk : f32[j, h, d]",
                     edges ? "leaky_relu(a + b[j = to] + sum(f, w * x[e = at]), 0.2)"
                           : "sum(d, q * k[j = to]) * 0.25");
}

// Nodes that have so many neighbours each, or of skewed numbers if that is 0.
class Neighbourhood {
 public:
  Neighbourhood(int width, bool edges, std::int64_t rows, std::int64_t nodes, std::int64_t degree)
      : width_(width), edges_(edges), kernel_(compile(parse(text(width, edges)), {.threads = 1})) {
    std::mt19937 random(1);
    row_start_ = {0};
    for (std::int64_t i = 0; i < rows; ++i) {
      const auto skewed = static_cast<std::int64_t>(i % 50 == 49 ? random() % 1000 : random() % 60);
      row_start_.push_back(row_start_.back() +
                           static_cast<std::int32_t>(degree > 0 ? degree : skewed));
    }
    for (std::int32_t n = 0; n < row_start_.back(); ++n)
      neighbour_.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(nodes)));
    const auto count = static_cast<std::int64_t>(neighbour_.size());
    inputs_.push_back({"row_start", view(row_start_.data(), {rows + 1})});
    inputs_.push_back({"neighbour", view(neighbour_.data(), {count})});
    if (edges) {
      add("a", {rows, kHeads}, random), add("b", {nodes, kHeads}, random);
      add("w", {kEdgeFeatures, kHeads}, random), add("x", {count, kEdgeFeatures}, random);
    } else {
      add("q", {rows, kHeads, width}, random), add("k", {nodes, kHeads, width}, random);
    }
    add("v", {nodes, kHeads, width}, random);
    output_.resize(static_cast<std::size_t>(rows * kHeads * width));
    outputs_.push_back({"o", view(output_.data(), {rows, kHeads, width})});
  }

  void run() const { kernel_.run(inputs_, outputs_); }

  // The rows that it reads, in its order.
  void read() const {
    std::vector<const float*> tables{memory_.back().data()};
    if (!edges_) tables.push_back(memory_[1].data());
    benchmark::DoNotOptimize(gather(tables, row_start_, neighbour_, kHeads * width_));
  }

  double bytes() const {
    return static_cast<double>(neighbour_.size()) * kHeads * width_ * (edges_ ? 4.0 : 8.0);
  }

 private:
  void add(const char* name, std::vector<std::int64_t> shape, std::mt19937& random) {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    std::vector<float>& memory = memory_.emplace_back(static_cast<std::size_t>(count));
    std::normal_distribution<float> normal;
    for (float& number : memory) number = normal(random);
    inputs_.push_back({name, view(memory.data(), Shape(std::span<const std::int64_t>(shape)))});
  }

  int width_;
  bool edges_;
  Kernel kernel_;
  std::vector<std::int32_t> row_start_, neighbour_;
  std::vector<std::vector<float>> memory_;
  std::vector<float> output_;
  std::vector<NamedView> inputs_, outputs_;
};

// `most`: seconds that it may take, or 0 where only the share of the limit counts.
void measure(benchmark::State& state, const Neighbourhood& job, double most) {
  job.run();
  std::vector<double> shares, times;
  for (int round = 0; round < kRounds; ++round) {
    const double limit = time_of([&] { job.read(); }, kSeconds);
    times.push_back(time_of([&] { job.run(); }, kSeconds));
    shares.push_back(std::min(limit, time_of([&] { job.read(); }, kSeconds)) / times.back());
  }
  const double seconds = detail::median(times), share = detail::median(shares);
  const Goal goal = most > 0 ? at_most(most) : at_least(0.7);
  show(state,
       {.seconds = seconds,
        .measured = fmt::format("{:.1f} GB/s, {}", job.bytes() / seconds * 1e-9, in_words(seconds)),
        .limit = "gathered reads of the same rows, " + in_words(share * seconds),
        .share = share,
        .target = most > 0 ? in_words(goal, " µs", 1e6) : in_words(goal, " %", 100),
        .value = most > 0 ? seconds : share,
        .goal = goal});
}

}  // namespace

void add_benchmarks() {
  for (const bool edges : {false, true})
    for (const int width : {16, 128}) {
      const std::string what = edges ? "edge features" : "dot products";
      const double most = width == 16 ? 25e-6 : 100e-6;
      add(fmt::format("8 heads x {}, {}, 1000 neighbours", width, what),
          [=](benchmark::State& state) {
            measure(state, Neighbourhood(width, edges, 1, 1000, 1000), most);
          });
      for (const std::int64_t nodes : {400, 20000})
        add(fmt::format("8 heads x {}, {}, 2000 rows of {} nodes", width, what, nodes),
            [=](benchmark::State& state) {
              measure(state, Neighbourhood(width, edges, 2000, nodes, 0), 0);
            });
    }
}

}  // namespace fovea::bench
