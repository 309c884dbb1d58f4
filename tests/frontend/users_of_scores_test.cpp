// Two outputs of one score: what one of them asks of the score must not be lost on the other. The
// kernels that compute both are compiled for many rows and for few.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "tests/frontend/trial.h"

namespace fovea::test {
namespace {

// t is the score, s the same where it may be masked.
constexpr const char* kScores[] = {
    "t = sum(d, q * k)\ns = t\n",
    "t = sum(d, q * k)\ns = where(j <= i + 1, t, -inf)\n",
    "t = tanh(sum(d, q * k)) * 3 + bias\ns = t\n",
    "t = max(d, q + k)\ns = t\n",
};

constexpr const char* kOutputs[] = {
    "logsumexp(j, s)",
    "softmax(j, s)",
    "sum(j, softmax(j, s) * v)",
    "s",
    "mean(j, t)",
    "max(j, s)",
    "argmax(j, s)",
    "sum(j, exp2(s - max(j, s)))",
    "sum(j, (exp(s - max(j, s)) + exp2(s - max(j, s))) * v)",
    "logsumexp(i, s)",
    "sum(j, relu(s) * v)",
    "sum(i, t)",
    "t * 2.0",
    "sum(j, softmax(j, where(j <= i + 1, s, -inf)) * v)",
    "s[j = topk(j, n, s) else 0.0]",
    "sum(j, sigmoid(s))",
    "t - max(j, t)",
    "softmax(j, s * 0.5)",
    "any(j, s > 1)",
    "softmax(i, s) * softmax(j, s)",
    "t - logsumexp(j, s)",
    "sum(j, t * softmax(j, s))",
    "min(i, s)",
    "sum(j, cumsum(j, t) * v)",
    "sum(j, t[i = i - 1] * v)",
    "where(s == max(j, s), 1.0, 0.0)",
    "sum(j, softmax(j, s) * sigmoid(t) * v)",
    "sum(i, softmax(j, s) * w)",
    "v[j = argmax(j, s)]",
};

void check(const std::string& score, const std::string& a, const std::string& b,
           std::vector<Sizes> sizes, unsigned seed) {
  const std::string text =
      "axis i, j, d = 8, e = 8, n = 2\n"
      "q : f32[i, d]\nk : f32[j, d]\nv : f32[j, e]\nw : f32[i, e]\nbias : f32[i, j]\n" +
      score + fmt::format("out a = {}\nout b = {}\n", a, b);
  Trial trial{text, {}, std::move(sizes), {}, Layout::Dense, seed};
  trial.options.fuse = true;
  trial.options.threads = 2;
  const std::string what = verdict(trial);
  CHECK_MESSAGE(what.empty(), text, what);
}

}  // namespace

TEST_CASE("users of scores: two outputs of one score") {
  constexpr std::size_t kShare = 9;  // of all pairs, which take minutes
  for (std::size_t b = 0; b < std::size(kOutputs); ++b)
    for (std::size_t a = 0; a < b; ++a)
      if ((a + 3 * b) % kShare == 0)
        check(kScores[(a + b) % std::size(kScores)], kOutputs[a], kOutputs[b],
              {{{"i", 5}, {"j", 130}}, {{"i", 100}, {"j", 33}}}, static_cast<unsigned>(b));
}

TEST_CASE("users of scores: outputs beside a logsumexp of few rows") {
  for (const char* output : {"s", "mean(j, t)", "sum(j, exp2(s - max(j, s)))", "t * 2.0"})
    for (const char* score : kScores)
      check(score, "logsumexp(j, s)", output, {{{"i", 3}, {"j", 70}}}, 1);
}

// What one kernel computes again, because other results of it are not finite, another compares with.
TEST_CASE("users of scores: a maximum beside what is not finite") {
  constexpr const char* kHead =
      "axis i, j, d = 8, e = 8\nq : f32[i, d]\nk : f32[j, d]\nv : f32[j, e]\nseen : bool[j]\n"
      "t = sum(d, q * k)\ns = where(j <= i + 1, t, -inf)\n";
  for (const char* output :
       {"logsumexp(i, s)", "sum(j, softmax(j, s) * v)", "sum(i, softmax(j, s) * v[j = i])"}) {
    Trial trial{
        fmt::format("{}out a = {}\nout b = where(s == max(j, s), 1.0, 0.0)\n", kHead, output),
        {{"v", parse_rule("hidden by seen")}},
        {{{"i", 5}, {"j", 8}}, {{"i", 50}, {"j", 60}}, {{"i", 130}, {"j", 130}}},
        {},
        Layout::Dense,
        1};
    trial.options.fuse = true;
    const std::string what = verdict(trial);
    CHECK_MESSAGE(what.empty(), trial.text, what);
  }
}

}  // namespace fovea::test
