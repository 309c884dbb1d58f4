// ops/neighbours.h — graphs as compressed rows (CSR): what mechanisms over neighbours share.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ir/tensor.h"
#include "ops/mechanism.h"

namespace fovea::ops {

inline constexpr Option kEdgeFeatures{"edges", 0, "features of an edge; 0: edges have none"};
inline constexpr Option kSlope{"slope", 0.2, "of the leaky ReLU"};

// The options of mechanisms that project nodes to heads, then the mechanism's own.
template <class... Own>
constexpr std::array<Option, sizeof...(Own) + 3> graph_options(Own... own) {
  return {Option{"features", 16, "width of the nodes' features"}, Option{"heads", 8, "heads"},
          Option{"d", 16, "width of a head"}, own...};
}

// Lists of neighbours, one for each row i: its n-th is at the place `at` along `edge`, for the
// places from start[i] to below start[i + 1].
struct Lists {
  Axis n;
  Tensor degree, at;
};

// Of start: i32[r], r of one more than the rows. Errors when run: one that falls (invalid_input),
// or does not go from 0 to the number of edges (out_of_bounds). `prefix` begins the names of what
// is made.
Lists lists_of(const Axis& i, const Axis& r, const Axis& edge, const Tensor& start,
               const std::string& prefix = "");

// Nodes i with features x: f32[i, c]. The neighbours of node i are neighbour[edge] for the edges
// from row_start[i] to below row_start[i + 1]: in any order, any number of times, of any number.
// Errors when run: a row_start of another length than the nodes and one (dimension_mismatch), that
// falls (invalid_input), or does not go from 0 to the number of edges (out_of_bounds), and a
// neighbour that is no node (out_of_bounds).
struct Neighbours {
  Axis i, edge, n, c, h, d;
  Tensor x, degree, at, to;  // at: the edge, to: the node of the n-th neighbour

  Tensor of_edge(const Tensor& value) const { return value.at(edge, at); }
  Tensor of_neighbour(const Tensor& value) const { return value.at(i, to); }
  // sum(c, x * weight) for weights f32[h, c, d] of that name.
  Tensor project(const char* weight) const;
  // q_i·k_j / √d of each neighbour, of nodes projected by w_query and w_key.
  Tensor dot_products(const Problem& problem) const;
  // softmax over the neighbours; `own` where there are none.
  Tensor attend(const Tensor& score, const Tensor& values, const Tensor& own) const;
  // With the output `o` [i, h, d].
  ir::Graph graph(const Tensor& o) const;
};

// `heads`: 0 for those of the option.
Neighbours neighbours(const Problem& problem, int heads = 0);

// LeakyReLU(a·[z_i ‖ z_j ‖ W_e e_ij]) of projected features z [i, h, d] (Veličković 2018), by the
// options `edges` and `slope`; inputs a_own, a_neighbour and, for edges' features, a_edge, w_edge
// and edge_features.
Tensor additive_score(const Problem& problem, const Neighbours& graph, const Tensor& z);

// Sum, mean or maximum over the neighbours by the option `aggregate` (0, 1, 2); 0 where there are
// none.
Tensor aggregate(const Problem& problem, const Neighbours& graph, const Tensor& x);

// For references: plain loops over the rows.
struct Edge {
  std::int64_t edge, node;
};
std::vector<Edge> edges_of(const ir::Arrays& inputs, std::int64_t i);

// sum_c x[i, c] w[h, c, d] as [i, h, d].
ir::Array project_nodes(const ir::Array& x, const ir::Array& w);

// o [i, h, d]: softmax of score(i, h, edge) over the edges of i, of values(edge, h, d); own [i, h,
// d] where there are none.
using EdgeScore = std::function<double(std::int64_t i, std::int64_t h, const Edge& edge)>;
using EdgeValue = std::function<double(const Edge& edge, std::int64_t h, std::int64_t d)>;
ir::Array attend_edges(const ir::Arrays& inputs, const ir::Array& own, const EdgeScore& score,
                       const EdgeValue& value);

// The same of dot products (Neighbours::dot_products) plus bias(i, h, edge), with values and `own`
// projected by w_value; as the output o.
ir::Arrays attend_dot_products(const Problem& problem, const ir::Arrays& inputs,
                               const EdgeScore& bias);

// What additive_score means, at one edge.
double additive_score_of(const Problem& problem, const ir::Arrays& inputs, const ir::Array& z,
                         std::int64_t i, std::int64_t h, const Edge& edge);

// What `aggregate` means, at one feature; in x [i, c].
double aggregate_of(const Problem& problem, const ir::Array& x, const std::vector<Edge>& edges,
                    std::int64_t c);

// Rows of uneven length, some empty, and neighbours in no order, some twice.
void fill_neighbours(const ir::Sizes& sizes, unsigned seed, ir::Arrays& inputs);
// Weights that keep the size of what they project.
void scale_weights(const ir::Sizes& sizes, ir::Arrays& inputs);

}  // namespace fovea::ops
