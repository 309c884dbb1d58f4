// Attention over two neighbourhoods of a node, that of a graph and that of a latent space, and over
// the second again on what the first gave.
//
//   A(x, N)_i = Σ_{j in N(i)} softmax_j(x_i·x_j / √m T) x_j
//   g = A(h, N_graph),  l = A(h, N_latent),  x = A(g, N_latent),  o = g W_g + l W_l + x W_x
//
// Neighbours come in CSR form: those of node i are neighbour[start[i]] to neighbour[start[i + 1] -
// 1], in any order, any of them twice. A node without neighbours keeps its features. Lists that do
// not fit are errors, as ops/neighbours.h has them.
#include <array>
#include <cmath>

#include "ops/curved.h"
#include "ops/neighbours.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions = std::array{Option{"model", 64, "width of the features"},
                                     Option{"e", 64, "width of the output"}, kTemperature};

ir::Graph build(const Problem& problem) {
  const Axis i{"i"}, r{"r", Extent(i) + 1};
  const Axis graph_edge{"graph_pair"}, latent_edge{"latent_pair"};
  const Axis m{"m", problem.integer("model")}, e{"e", problem.integer("e")};
  const double scale = 1 / (std::sqrt(problem["model"]) * problem.positive("temperature"));
  const auto lists = [&](const std::string& name, const Axis& edge) {
    return lists_of(i, r, edge, input(name + "_start", i32, {r}), name + "_");
  };
  const Lists graph = lists("graph", graph_edge), latent = lists("latent", latent_edge);
  const Tensor graph_node = input("graph_neighbour", i32, {graph_edge}).at(graph_edge, graph.at);
  const Tensor latent_node =
      input("latent_neighbour", i32, {latent_edge}).at(latent_edge, latent.at);
  const auto attend = [&](const Tensor& x, const Lists& among, const Tensor& neighbour) {
    const Tensor near = x.at(i, neighbour);
    const Tensor p = softmax(among.n, sum(m, x * near) * scale);
    return where(among.degree > 0, sum(among.n, p * near), x);
  };
  const Tensor h = input("h", f32, {i, m});
  const Tensor g = attend(h, graph, graph_node).named("g");
  const Tensor l = attend(h, latent, latent_node).named("l");
  const Tensor x = attend(g, latent, latent_node).named("x");
  const auto project = [&](const Tensor& of, const char* name) {
    return sum(m, of * input(name, f32, {m, e}));
  };
  return ir::make_graph({{"o", project(g, "wg") + project(l, "wl") + project(x, "wx")}},
                        {i, r, graph_edge, latent_edge, m, e});
}

using Nodes = std::vector<Vector>;

Nodes attended(const Nodes& x, const ir::Arrays& inputs, const std::string& name, double scale) {
  const ir::Array &start = inputs.at(name + "_start"), &neighbour = inputs.at(name + "_neighbour");
  Nodes result;
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::vector<std::size_t> near;
    for (auto n = start.data[i]; n < start.data[i + 1]; ++n)
      near.push_back(static_cast<std::size_t>(neighbour.data[static_cast<std::size_t>(n)]));
    Vector scores, sum(x[i].size(), 0);
    for (const std::size_t j : near) scores.push_back(dot(x[i], x[j]) * scale);
    const Vector weights = softmax_of(scores);
    for (std::size_t n = 0; n < near.size(); ++n)
      for (std::size_t f = 0; f < sum.size(); ++f) sum[f] += weights[n] * x[near[n]][f];
    result.push_back(near.empty() ? x[i] : sum);
  }
  return result;
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array& h = inputs.at("h");
  const double scale = 1 / (std::sqrt(problem["model"]) * problem["temperature"]);
  Nodes nodes;
  for (std::int64_t i = 0; i < h.shape[0]; ++i) {
    nodes.emplace_back();
    for (std::int64_t m = 0; m < h.shape[1]; ++m) nodes.back().push_back(at(h, {i, m}));
  }
  const Nodes g = attended(nodes, inputs, "graph", scale);
  const Nodes l = attended(nodes, inputs, "latent", scale);
  const Nodes x = attended(g, inputs, "latent", scale);
  ir::Array o = zeros({h.shape[0], inputs.at("wg").shape[1]});
  for (std::int64_t i = 0; i < o.shape[0]; ++i)
    for (std::int64_t e = 0; e < o.shape[1]; ++e)
      for (std::int64_t m = 0; m < h.shape[1]; ++m) {
        const auto node = static_cast<std::size_t>(i), feature = static_cast<std::size_t>(m);
        at(o, {i, e}) += g[node][feature] * at(inputs.at("wg"), {m, e}) +
                         l[node][feature] * at(inputs.at("wl"), {m, e}) +
                         x[node][feature] * at(inputs.at("wx"), {m, e});
      }
  return {{"o", o}};
}

void special_inputs(const Problem& problem, const ir::Sizes&, unsigned seed, ir::Arrays& inputs) {
  for (const char* name : {"wg", "wl", "wx"})
    scale_input(inputs.at(name), 1 / std::sqrt(problem["model"]));
  const auto nodes = static_cast<double>(inputs.at("h").shape[0]);
  for (const std::string name : {"graph", "latent"}) {
    ir::Array &start = inputs.at(name + "_start"), &neighbour = inputs.at(name + "_neighbour");
    // Every third node has no neighbours; the others share the list, or the last node has it.
    const auto edges = static_cast<double>(neighbour.data.size());
    double share = 0, at = 0;
    for (double i = 0; i < nodes; ++i) share += std::fmod(i + seed, 3) == 0 ? 0 : 1;
    start.data[0] = 0;
    for (std::size_t i = 0; i + 1 < start.data.size(); ++i) {
      at += std::fmod(static_cast<double>(i) + seed, 3) == 0 ? 0 : 1;
      start.data[i + 1] = share == 0 ? 0 : std::floor(edges * at / share);
    }
    start.data.back() = edges;
    for (std::size_t n = 0; n < neighbour.data.size(); ++n)
      neighbour.data[n] = std::fmod(static_cast<double>(n * 7 + n * n) + seed, nodes);
  }
}

}  // namespace

extern constinit const Mechanism dual_space{
    .name = "dual_space",
    .family = "geometric",
    .doc = "attention over graph and latent neighbours and over latent ones of the former, mixed",
    .formula = "o = A(h, N_graph) W_g + A(h, N_latent) W_l + A(A(h, N_graph), N_latent) W_x",
    .paper = "Veličković 2018",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs};

}  // namespace fovea::ops
