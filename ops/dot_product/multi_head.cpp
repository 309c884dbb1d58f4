// Multi-head attention with its projections, or with heads that are slices of the model's width.
//
//   o = [head_1 ‖ … ‖ head_H] W_o
//   head_h = softmax(query W_q,h · key W_k,h / √d) value W_v,h
//
// W_o is given by head, f32[h, e, m]: the concatenation is not stored.
#include <array>
#include <cmath>
#include <string>

#include "ir/require.h"
#include "ops/heads.h"
#include "ops/reference.h"

namespace fovea::ops {
namespace {

constexpr auto kOptions =
    std::array{Option{"model", 512, "width of queries, keys, values and the output"},
               Option{"heads", 8, "heads; the width is divided among them"},
               Option{"identity", 0, "1: no projections, heads are slices"},
               Option{"weights", 0, "1: also the weights of each head"}};

int head_width(const Problem& problem) {
  const int model = problem.integer("model"), heads = problem.integer("heads");
  require(model % heads == 0, Code::invalid_config,
          "option heads is {}; expected a divisor of the model's width {}", heads, model);
  return model / heads;
}

// W[h, m, d] that takes columns h * width to (h + 1) * width.
ir::Array slices(std::int64_t heads, std::int64_t width) {
  ir::Array w = zeros({heads, heads * width, width});
  for (std::int64_t h = 0; h < heads; ++h) {
    for (std::int64_t d = 0; d < width; ++d) at(w, {h, h * width + d, d}) = 1;
  }
  return w;
}

ir::Array transposed(const ir::Array& w) {
  ir::Array t = zeros({w.shape[0], w.shape[2], w.shape[1]});
  for (std::int64_t h = 0; h < w.shape[0]; ++h) {
    for (std::int64_t m = 0; m < w.shape[1]; ++m) {
      for (std::int64_t d = 0; d < w.shape[2]; ++d) at(t, {h, d, m}) = at(w, {h, m, d});
    }
  }
  return t;
}

ir::Graph build(const Problem& problem) {
  const int heads = problem.integer("heads"), width = head_width(problem);
  const bool identity = problem.flag("identity");
  const Axis b{"b"}, h{"h", heads}, i{"i"}, j{"j"}, d{"d", width}, e{"e", width};
  const Axis m{"m", problem.integer("model")};
  const auto project = [&](const Tensor& x, const std::string& name, const Axis& to) {
    if (identity) return x.at(m, h * width + to);
    return sum(m, x * input(name, f32, {h, m, to}));
  };
  const Tensor q = project(input("query", f32, {b, i, m}), "wq", d);
  const Tensor k = project(input("key", f32, {b, j, m}), "wk", d);
  const Tensor v = project(input("value", f32, {b, j, m}), "wv", e);
  const Tensor p = softmax(j, sum(d, q * k) * (1 / std::sqrt(width)));
  const Tensor a = sum(j, p * v);
  const auto joined = [&] {
    if (identity) return a.at({{h, m / width}, {e, m % width}});
    return sum({h, e}, a * input("wo", f32, {h, e, m}));
  };
  std::vector<NamedOutput> outputs{{"o", joined()}};
  if (problem.flag("weights")) outputs.push_back({"weights", p});
  return ir::make_graph(outputs, {b, h, i, j, d, e, m});
}

ir::Arrays reference(const Problem& problem, const ir::Arrays& inputs, const ir::Sizes&) {
  const int heads = problem.integer("heads"), width = head_width(problem);
  const ir::Array &query = inputs.at("query"), &key = inputs.at("key");
  const auto matrix = [&](const char* name) {
    return problem.flag("identity") ? slices(heads, width) : inputs.at(name);
  };
  const ir::Arrays by_head{{"q", project(query, matrix("wq"))},
                           {"k", project(key, matrix("wk"))},
                           {"v", project(inputs.at("value"), matrix("wv"))}};
  ir::Array all = zeros({query.shape[0], heads, query.shape[1], key.shape[1]});
  const auto weigh = [&](const Pair& at, const std::vector<double>& scores) {
    const std::vector<double> weights = softmax_of(scores);
    for (std::size_t j = 0; j < weights.size(); ++j) {
      ops::at(all, {at.b, at.h, at.i, static_cast<std::int64_t>(j)}) = weights[j];
    }
    return weights;
  };
  const ir::Array o = attend(by_head, {.weigh = weigh}).at("o");
  ir::Arrays outputs{{"o", problem.flag("identity") ? unproject(o, transposed(slices(heads, width)))
                                                    : unproject(o, inputs.at("wo"))}};
  if (problem.flag("weights")) outputs["weights"] = all;
  return outputs;
}

void special_inputs(const Problem& problem, const ir::Sizes&, unsigned, ir::Arrays& inputs) {
  // Projections that keep the size of what they project.
  for (const char* name : {"wq", "wk", "wv", "wo"}) {
    if (inputs.contains(name)) scale_input(inputs.at(name), 1 / std::sqrt(problem["model"]));
  }
}

}  // namespace

extern constinit const Mechanism multi_head{
    .name = "multi_head",
    .family = "dot product",
    .doc = "projects to heads, attends in each, and projects back; identity projections by option",
    .formula = "o = concat_h(softmax(q W_q·k W_k / √d) v W_v) W_o",
    .paper = "Vaswani 2017",
    .options = kOptions,
    .build = build,
    .reference = reference,
    .special_inputs = special_inputs,
    .properties = {.permutable = true}};

}  // namespace fovea::ops
