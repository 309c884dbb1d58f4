#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>

#include "tests/tools/process.h"
#include "tools/document/words.h"

namespace fovea::document {
namespace {

double cosine(const std::vector<float>& rows, std::size_t a, std::size_t b, std::size_t width) {
  double product = 0;
  for (std::size_t n = 0; n < width; ++n) product += rows[a * width + n] * rows[b * width + n];
  return product / static_cast<double>(width);
}

TEST_CASE("words are runs of letters, cut at underscores and capitals") {
  CHECK(split_words("The block_mask of a BlockList, x2 (causal).") ==
        std::vector<std::string>{"the", "block", "mask", "of", "block", "list", "causal"});
  CHECK(split_words("1 2 x").empty());
}

TEST_CASE("embeddings have mean 0 and variance 1, and words that look alike lie near each other") {
  const std::vector<float> rows = embed({"kernel", "kernels", "softmax", "kernel"}, 256);
  for (std::size_t row = 0; row < 4; ++row) {
    double mean = 0;
    for (std::size_t n = 0; n < 256; ++n) mean += rows[row * 256 + n] / 256;
    CHECK(std::abs(mean) < 1e-6);
    CHECK(cosine(rows, row, row, 256) == doctest::Approx(1));
  }
  CHECK(cosine(rows, 0, 3, 256) == doctest::Approx(1));
  CHECK(cosine(rows, 0, 1, 256) > 0.4);
  CHECK(std::abs(cosine(rows, 0, 2, 256)) < 0.3);
}

TEST_CASE("the main job runs, checks itself and writes its pictures") {
  const test::Folder folder;
  const test::Outcome outcome = test::run_program(
      FOVEA_DOCUMENT, {"--words", "600", "--out", folder / "out", "--threads", "1"});
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
  for (const char* part :
       {"largest error against the interpreter", "strongest links between different words",
        "of the FMA peak", "times as fast"})
    CHECK(outcome.out.find(part) != std::string::npos);
  CHECK(std::filesystem::file_size(folder / "out/attention.svg") > 5000);
  CHECK(std::filesystem::file_size(folder / "out/graph.svg") > 1000);
}

}  // namespace
}  // namespace fovea::document
