// Attention to a fixed number of mixtures of the keys, projected along the sequence.
//
//   o = softmax(q (E k)ᵀ / √d) F v
//
// E and F are inputs, f32[n, j]: rows are mixtures, shared by the heads.
#include <algorithm>
#include <cmath>

#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = head_options(Option{"n", 256, "mixtures of the keys, and of the values"});

ir::Graph build(const Problem& problem) {
  const Heads x = heads(problem);
  const Axis n{"n", problem.integer("n")};
  const Tensor k = sum(x.j, input("project_k", f32, {n, x.j}) * x.k);
  const Tensor v = sum(x.j, input("project_v", f32, {n, x.j}) * x.v);
  const Tensor p = softmax(n, sum(x.d, x.q * k) * x.scale);
  return graph_of(x, {{"o", sum(n, p * v)}});
}

// The keys or values [b, g, j, d] as mixtures [b, g, n, d].
ir::Array mixed(const ir::Array& x, const ir::Array& by) {
  ir::Array y = zeros({x.shape[0], x.shape[1], by.shape[0], x.shape[3]});
  for (std::int64_t b = 0; b < y.shape[0]; ++b) {
    for (std::int64_t g = 0; g < y.shape[1]; ++g) {
      for (std::int64_t n = 0; n < y.shape[2]; ++n) {
        for (std::int64_t j = 0; j < x.shape[2]; ++j) {
          for (std::int64_t d = 0; d < y.shape[3]; ++d) {
            at(y, {b, g, n, d}) += at(by, {n, j}) * at(x, {b, g, j, d});
          }
        }
      }
    }
  }
  return y;
}

ir::Arrays reference(const Problem&, const ir::Arrays& inputs, const ir::Sizes&) {
  return attend({{"q", inputs.at("q")},
                 {"k", mixed(inputs.at("k"), inputs.at("project_k"))},
                 {"v", mixed(inputs.at("v"), inputs.at("project_v"))}},
                {});
}

void special_inputs(const Problem&, const ir::Sizes& sizes, unsigned, ir::Arrays& inputs) {
  // Projections that keep the size of what they project.
  const double count = static_cast<double>(std::max<std::int64_t>(sizes.at("j"), 1));
  for (const char* name : {"project_k", "project_v"}) {
    scale_input(inputs.at(name), 1 / std::sqrt(count));
  }
}

}  // namespace

extern constinit const Mechanism linformer{
    .name = "linformer",
    .family = "linear time",
    .doc = "keys and values are projected along the sequence to a fixed number",
    .formula = "o = softmax(q (E k)ᵀ / √d) F v",
    .paper = "Wang 2020",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
