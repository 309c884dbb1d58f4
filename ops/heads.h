// ops/heads.h — the axes, inputs and options that mechanisms over queries, keys and values share.
#pragma once

#include <array>
#include <vector>

#include "ir/tensor.h"
#include "ops/mechanism.h"

namespace fovea::ops {

// The options of heads(), then the mechanism's own.
template <class... Own>
constexpr std::array<Option, sizeof...(Own) + 3> head_options(Own... own) {
  return {Option{"d", 64, "width of queries and keys"}, Option{"e", 64, "width of values"},
          Option{"group", 1, "query heads to a key head"}, own...};
}

// Queries f32[b, h, i, d], keys f32[b, h, j, d] and values f32[b, h, j, e]. With groups the inputs
// k and v have heads g, h = g * group, and the tensors k and v are those of each query head.
struct Heads {
  Axis b, h, g, i, j, d, e;  // g is h without groups
  Tensor q, k, v;
  double scale;  // 1 / √d
  int group;

  Tensor dot() const { return sum(d, q * k); }
  Tensor score() const { return dot() * scale; }
  // What belongs to a key head, for each query head.
  Tensor of_head(const Tensor& x) const { return group == 1 ? x : x.at(g, h / group); }
};

Heads heads(const Problem& problem);

// A graph with these outputs and the axes in the usual order.
ir::Graph graph_of(const Heads& x, const std::vector<NamedOutput>& outputs);

// sum(j, weights * v), as the output `o`.
ir::Graph weighted(const Heads& x, const Tensor& weights);

// softmax(j, score) as the weights; only over the visible pairs.
ir::Graph attention(const Heads& x, const Tensor& score);
ir::Graph attention(const Heads& x, const Tensor& score, const Tensor& visible);

}  // namespace fovea::ops
