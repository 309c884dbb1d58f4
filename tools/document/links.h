// tools/document/links.h — which words look at which, as numbers and as a picture.
#pragma once

#include <string>
#include <vector>

#include "tools/document/model.h"

namespace fovea::document {

// A word that looks at another, over the whole document.
struct Link {
  std::string from, to;
  double weight = 0;  // the sum of the heads' mean weights over its places
  int places = 0;     // where that is at least a tenth
};

// The strongest links between different words (no forms of one: kernel, kernels), strongest first,
// and where a single link is strongest.
struct Links {
  std::vector<Link> strongest;
  std::int64_t place = 0;
};

// `weights` is attention.fov with the output `w` of kWeights; it runs piece by piece.
inline constexpr std::string_view kWeights = "out w[i, j] = sum(h, p) / 4\n";
Links find_links(const Kernel& weights, const Document& document, std::size_t count);

// The weights of the words [first, first + count) on each other, drawn with their names. SVG.
std::string heat_map(const Kernel& weights, const Document& document, std::int64_t first,
                     std::int64_t count);

}  // namespace fovea::document
