// tests/frontend/corpus_references.h — programs of tests/corpus/published as plain loops in double,
// written from what is published and not from the text: they show that the text says what it
// should.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ir/interpret.h"

namespace fovea::test {

struct CorpusReference {
  std::string program;  // "family/name", without .fov
  std::function<ir::Arrays(const ir::Arrays& inputs, const ir::Sizes& sizes)> compute;
  double tolerance = 1e-9;  // of the largest element
};

// Masks, positions, caches, normalisers and retrieval; graphs, proteins, vision and recurrences.
std::vector<CorpusReference> references_of_attention();
std::vector<CorpusReference> references_of_structures();

}  // namespace fovea::test
