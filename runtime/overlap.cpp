// Two arrays share a byte where the distance between an element of one and an element of the other
//
//   other.address - one.address + sum(strides of other * coordinates) - sum(strides of one * …)
//
// is within their widths. That is a sum of multiples, each of its own range: a tree of few branches
// where every stride steps over all that smaller ones reach, as those of arrays do.
#include "runtime/overlap.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace fovea::runtime {

namespace {

constexpr std::size_t kMostTerms = 32;
constexpr int kMostSteps = 1000;

std::int64_t divide_down(std::int64_t a, std::int64_t b) {  // b > 0
  return a / b - (a % b < 0 ? 1 : 0);
}

// Multiples of a stride, from low to high; what all smaller strides reach, and their common divisor
// with this one.
struct Term {
  std::int64_t stride, low, high;
  std::int64_t rest_low = 0, rest_high = 0, divisor = 0;
};

// Whether a constant plus one multiple of every term can be from `low` to `high`.
class Distances {
 public:
  Distances(std::int64_t low, std::int64_t high) : low_(low), high_(high) {}

  // An extent along a stride of any sign; equal strides are one term. False: there is no room.
  bool add(std::int64_t stride, std::int64_t extent) {
    if (stride == 0 || extent == 1) return true;
    const std::int64_t size = stride < 0 ? -stride : stride, last = extent - 1;
    const auto end = terms_.begin() + static_cast<std::ptrdiff_t>(count_);
    auto term = std::find_if(terms_.begin(), end, [&](const Term& t) { return t.stride == size; });
    if (term == end) {
      if (count_ == kMostTerms) return false;
      *term = {.stride = size, .low = 0, .high = 0};
      ++count_;
    }
    (stride < 0 ? term->low : term->high) += stride < 0 ? -last : last;
    return true;
  }

  bool may_be(std::int64_t constant) {
    const auto end = terms_.begin() + static_cast<std::ptrdiff_t>(count_);
    std::sort(terms_.begin(), end,
              [](const Term& a, const Term& b) { return a.stride > b.stride; });
    Term rest{};
    for (std::size_t n = count_; n-- > 0;) {
      Term& term = terms_[n];
      term.rest_low = rest.low;
      term.rest_high = rest.high;
      rest.low += term.stride * term.low;
      rest.high += term.stride * term.high;
      term.divisor = rest.divisor = std::gcd(rest.divisor, term.stride);
    }
    steps_ = 0;
    return reaches(0, constant);
  }

 private:
  bool reaches(std::size_t n, std::int64_t constant) {
    if (++steps_ > kMostSteps) return true;
    if (n == count_) return low_ <= constant && constant <= high_;
    const Term& term = terms_[n];
    const std::int64_t at_most = divide_down(high_ - constant, term.divisor);
    if (at_most * term.divisor + constant < low_) return false;
    const std::int64_t first =
        std::max(term.low, -divide_down(constant + term.rest_high - low_, term.stride));
    const std::int64_t last =
        std::min(term.high, divide_down(high_ - constant - term.rest_low, term.stride));
    for (std::int64_t k = first; k <= last; ++k)
      if (reaches(n + 1, constant + k * term.stride)) return true;
    return false;
  }

  std::int64_t low_, high_;
  std::array<Term, kMostTerms> terms_{};
  std::size_t count_ = 0;
  int steps_ = 0;
};

}  // namespace

bool may_overlap(const Footprint& one, const Footprint& other) {
  const auto width = static_cast<std::int64_t>(one.bytes);
  const auto other_width = static_cast<std::int64_t>(other.bytes);
  Distances distances(1 - other_width, width - 1);
  for (std::size_t n = 0; n < one.shape.size(); ++n)
    if (!distances.add(-one.strides[n] * width, one.shape[n])) return true;
  for (std::size_t n = 0; n < other.shape.size(); ++n)
    if (!distances.add(other.strides[n] * other_width, other.shape[n])) return true;
  return distances.may_be(static_cast<std::int64_t>(other.address - one.address));
}

}  // namespace fovea::runtime
