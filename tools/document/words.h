// tools/document/words.h — text as words, words as vectors.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fovea::document {

// The text of the repository at `root`: its README and its headers, in the order of their paths.
std::string repository_text(const std::string& root);

// Runs of letters, in lower case; what is joined by an underscore or by capitals is several words.
std::vector<std::string> split_words(std::string_view text);

// One vector of `width` numbers per word, row after row: the hashed 2- to 5-grams of its letters
// (and the whole), brought to mean 0 and variance 1. Equal words have equal vectors, similar ones
// similar.
std::vector<float> embed(const std::vector<std::string>& words, int width);

}  // namespace fovea::document
