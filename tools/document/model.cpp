#include "tools/document/model.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <thread>

namespace fovea::document {
namespace {

constexpr std::int64_t kCheckedRows = 64;

ir::Array array_of(const Document& document, std::int64_t first, std::int64_t count) {
  ir::Array array{Dtype::F32, {kHeads, count, kHeadWidth}, {}};
  for (std::int64_t head = 0; head < kHeads; ++head)
    for (std::int64_t word = first; word < first + count; ++word)
      for (std::int64_t d = 0; d < kHeadWidth; ++d)
        array.data.push_back(
            document.x[static_cast<std::size_t>(word * kWidth + head * kHeadWidth + d)]);
  return array;
}

struct Deviation {
  double absolute = 0, largest = 0;
  void add(const Deviation& other) {
    absolute = std::max(absolute, other.absolute);
    largest = std::max(largest, other.largest);
  }
};

Deviation check_piece(const Graph& graph, const Document& document, const std::vector<float>& o,
                      const Piece& piece) {
  const ir::Array keys = array_of(document, piece.key_first(), piece.key_count());
  const ir::Arrays expected = ir::interpret(
      graph, {{"q", array_of(document, piece.first, piece.count)}, {"k", keys}, {"v", keys}});
  const std::vector<double>& want = expected.at("o").data;
  Deviation error;
  std::size_t at = 0;
  for (std::int64_t head = 0; head < kHeads; ++head)
    for (std::int64_t n = 0; n < piece.count * kHeadWidth; ++n, ++at) {
      const std::int64_t from = (head * document.size() + piece.first) * kHeadWidth + n;
      const double difference = std::abs(want[at] - o[static_cast<std::size_t>(from)]);
      // NaN compares false: it must not pass for a small error.
      error.absolute = difference <= error.absolute ? error.absolute
                       : std::isnan(difference)     ? INFINITY
                                                    : difference;
      error.largest = std::max(error.largest, std::abs(want[at]));
    }
  return error;
}

}  // namespace

View heads(const Document& document, std::int64_t first, std::int64_t count) {
  return view(document.x.data() + first * kWidth, {kHeads, count, kHeadWidth},
              {kHeadWidth, kWidth, 1});
}

std::vector<Piece> pieces(std::int64_t words, std::int64_t rows) {
  std::vector<Piece> list;
  for (std::int64_t first = 0; first < words; first += rows)
    list.push_back({first, std::min(rows, words - first)});
  return list;
}

std::vector<float> attend(const Kernel& kernel, const Document& document) {
  const std::int64_t n = document.size();
  std::vector<float> o(static_cast<std::size_t>(n * kWidth));
  const View all = heads(document, 0, n);
  kernel.run({{"q", all}, {"k", all}, {"v", all}},
             {{"o", view(o.data(), {kHeads, n, kHeadWidth})}});
  return o;
}

double check(const Graph& graph, const Document& document, const std::vector<float>& o,
             const std::function<void(double)>& progress) {
  const std::vector<Piece> list = pieces(document.size(), kCheckedRows);
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  Deviation worst;
  const auto work = [&] {
    for (std::size_t n = next++; n < list.size(); n = next++) {
      const Deviation error = check_piece(graph, document, o, list[n]);
      const std::scoped_lock lock(mutex);
      worst.add(error);
      progress(static_cast<double>(n + 1) / static_cast<double>(list.size()));
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned n = 1; n < std::thread::hardware_concurrency(); ++n) threads.emplace_back(work);
    work();
  }
  return worst.absolute / worst.largest;
}

}  // namespace fovea::document
