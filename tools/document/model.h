// tools/document/model.h — attention.fov over the words of a document.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "fovea/fovea.h"
#include "ir/interpret.h"

namespace fovea::document {

inline constexpr int kHeads = 4, kHeadWidth = 64, kWidth = kHeads * kHeadWidth, kWindow = 256;

// A document: its words, and their embeddings [word, kWidth].
struct Document {
  std::vector<std::string> words;
  std::vector<float> x;
  std::int64_t size() const { return static_cast<std::int64_t>(words.size()); }
};

// Words [first, first + count) of all heads as [h, word, d], without a copy.
View heads(const Document& document, std::int64_t first, std::int64_t count);

// Rows [first, first + count) with all the words that they see: one piece of the document.
struct Piece {
  std::int64_t first = 0, count = 0;
  std::int64_t key_first() const { return std::max<std::int64_t>(first - kWindow + 1, 0); }
  std::int64_t key_count() const { return first + count - key_first(); }
};
std::vector<Piece> pieces(std::int64_t words, std::int64_t rows);

// The attention of the whole document, [h, word, e].
std::vector<float> attend(const Kernel& kernel, const Document& document);

// The largest error of `o` against the interpreter, relative to the largest value. `progress` is
// told the share done.
double check(const Graph& graph, const Document& document, const std::vector<float>& o,
             const std::function<void(double)>& progress);

}  // namespace fovea::document
