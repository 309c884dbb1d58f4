// Cross attention: the rows ask, another set of another width and count answers.
//
//   o = [head_1 ‖ … ‖ head_H] W_o
//   head_h = softmax(x W_q,h · memory W_k,h / √d) memory W_v,h
#include <array>
#include <cmath>

#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    std::array{Option{"model", 512, "width of x and of the output"},
               Option{"memory", 512, "width of the set that is asked"}, Option{"heads", 8, "heads"},
               Option{"d", 64, "width of queries and keys in a head"},
               Option{"e", 64, "width of values in a head"}};

ir::Graph build(const Problem& problem) {
  const Axis b{"b"}, h{"h", problem.integer("heads")}, i{"i"}, j{"j"};
  const Axis d{"d", problem.integer("d")}, e{"e", problem.integer("e")};
  const Axis m{"m", problem.integer("model")}, n{"n", problem.integer("memory")};
  const Tensor x = input("x", f32, {b, i, m}), memory = input("memory", f32, {b, j, n});
  const Tensor q = sum(m, x * input("wq", f32, {h, m, d}));
  const Tensor k = sum(n, memory * input("wk", f32, {h, n, d}));
  const Tensor v = sum(n, memory * input("wv", f32, {h, n, e}));
  const Tensor p = softmax(j, sum(d, q * k) * (1 / std::sqrt(problem["d"])));
  const Tensor o = sum({h, e}, sum(j, p * v) * input("wo", f32, {h, e, m}));
  return ir::make_graph({{"o", o}}, {b, h, i, j, d, e, m, n});
}

ir::Arrays reference(const Problem&, const ir::Arrays& inputs, const ir::Sizes&) {
  const ir::Array& memory = inputs.at("memory");
  const ir::Arrays by_head{{"q", project(inputs.at("x"), inputs.at("wq"))},
                           {"k", project(memory, inputs.at("wk"))},
                           {"v", project(memory, inputs.at("wv"))}};
  return {{"o", unproject(attend(by_head, {}).at("o"), inputs.at("wo"))}};
}

void special_inputs(const Problem& problem, const ir::Sizes&, unsigned, ir::Arrays& inputs) {
  // Projections that keep the size of what they project.
  scale_input(inputs.at("wq"), 1 / std::sqrt(problem["model"]));
  scale_input(inputs.at("wk"), 1 / std::sqrt(problem["memory"]));
  scale_input(inputs.at("wv"), 1 / std::sqrt(problem["memory"]));
  scale_input(inputs.at("wo"), 1 / std::sqrt(problem["heads"] * problem["e"]));
}

}  // namespace

extern constinit const Mechanism cross{
    .name = "cross",
    .family = "dot product",
    .doc = "queries of one set, keys and values of another, each with its own width",
    .formula = "o = concat_h(softmax(x W_q·y W_k / √d) y W_v) W_o",
    .paper = "Vaswani 2017",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
