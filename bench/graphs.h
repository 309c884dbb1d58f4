// bench/graphs.h — the texts that several questions are asked about.
#pragma once

#include <string>
#include <string_view>

namespace fovea::bench {

// softmax(score) v for heads of `width`. `score` is made of s, the scaled product, h, i and j;
// `more` declares what else it needs.
std::string attention(int width, std::string_view score = "s", std::string_view more = "");

inline constexpr std::string_view kCausal = "where(j <= i, s, -inf)";

// The gradients of softmax attention, written out by hand.
std::string backward(int width, std::string_view score = "s");

}  // namespace fovea::bench
