// tests/ops/variants.h — mechanisms with other options than the defaults.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ops/mechanism.h"

namespace fovea::ops::test {

using Options = std::map<std::string, double>;

// Options small enough that 13 keys have several windows, blocks and heads, but for those given.
inline Options small_options(const Options& given = {}) {
  Options options{{"d", 6},     {"e", 5},      {"model", 12}, {"memory", 5},
                  {"heads", 3}, {"window", 3}, {"global", 2}, {"stride", 3},
                  {"block", 3}, {"k", 4},      {"c", 3},      {"random", 2},
                  {"seed", 5},  {"m", 9},      {"n", 5},      {"hidden", 7}};
  for (const auto& [name, value] : given) options[name] = value;
  return options;
}

// Those of the options that a mechanism has.
inline Options declared(const Mechanism& mechanism, const Options& options) {
  Options known;
  for (const Option& option : mechanism.options) {
    const auto found = options.find(std::string(option.name));
    if (found != options.end()) known.insert(*found);
  }
  return known;
}

struct Variant {
  std::string name;
  Options options;
};

// What the defaults do not reach.
inline const std::vector<Variant> kVariants{
    {"scaled_dot_product", {{"temperature", 2.5}, {"lse", 1}}},
    {"multi_head", {{"identity", 1}, {"weights", 1}}},
    {"multi_head", {{"heads", 1}}},
    {"alibi", {{"heads", 4}, {"causal", 0}}},
    {"alibi", {{"heads", 7}, {"start", 1}}},
    {"additive_bias", {{"batch", 0}, {"rows", 0}}},
    {"additive_bias", {{"heads", 0}, {"columns", 0}}},
    {"softcap", {{"cap", 0.5}}},
    {"sigmoid", {{"bias", 1.5}}},
    {"dropout", {{"rate", 0}}},
    {"rope", {{"half", 1}}},
    {"rope", {{"half", 1}, {"width", 4}, {"base", 100}}},
    {"rope", {{"width", 2}}},
    {"causal", {{"start", 1}}},
    {"sliding_window", {{"radius", 2}}},
    {"sliding_window", {{"window", 1}, {"start", 1}}},
    {"local_global", {{"causal", 1}}},
    {"local_global", {{"global", 0}, {"start", 1}}},
    {"strided", {{"start", 1}}},
    {"dilated", {{"stride", 1}}},
    {"document", {{"causal", 1}}},
    {"dense_mask", {{"batch", 1}}},
    {"dense_mask", {{"heads", 1}}},
    {"dense_mask", {{"batch", 1}, {"heads", 1}}},
    {"random_blocks", {{"random", 9}, {"seed", 123456789}}},
    {"random_blocks", {{"block", 1}, {"random", 1}, {"start", 1}}},
    {"big_bird", {{"global", 0}, {"random", 0}}},
    {"poincare", {{"c", 1}}},
    {"poincare", {{"c", 0.25}, {"temperature", 2}, {"frechet", 2}}},
    {"poincare", {{"c", 1}, {"temperature", 0.05}}},
    {"poincare", {{"c", 1}, {"tolerance", 1e9}}},
    {"poincare", {{"c", 4}, {"epsilon", 0.5}, {"group", 2}}},
    {"lorentz", {{"temperature", 0.1}}},
    {"lorentz", {{"c", 1}}},
    {"spherical", {{"r", 3}, {"temperature", 0.5}}},
    {"mixed_curvature", {{"sum", 1}}},
    {"mixed_curvature", {{"flat_weight", 0}, {"hyperbolic_weight", 2}, {"spherical_weight", 0.5}}},
    {"top_k", {{"k", 100}}},
    {"top_k", {{"k", 1}}},
    {"top_k_blocks", {{"k", 1}, {"block", 4}}},
    {"mixture_of_experts", {{"k", 1}, {"experts", 1}}},
    {"mixture_of_experts", {{"k", 3}, {"experts", 3}}},
    {"mixture_of_mechanisms", {{"k", 1}, {"start", 1}}},
    {"mixture_of_mechanisms", {{"k", 2}, {"experts", 2}}},
    {"dynamic_heads", {{"threshold", 0}}},
    {"dynamic_heads", {{"threshold", 1}}},
    {"multi_scale", {{"start", 1}}},
    {"transformer_block", {{"causal", 0}, {"heads", 2}}},
    {"gat", {{"edges", 2}}},
    {"graph_attention", {{"edges", 2}, {"residual", 1}}},
    {"gat", {{"average", 1}, {"slope", 0.5}}},
    {"gatv2", {{"edges", 2}, {"slope", 0}}},
    {"graph_transformer", {{"bias", 0}}},
    {"gin", {{"aggregate", 1}, {"epsilon", 0}}},
    {"gin", {{"aggregate", 2}, {"hidden", 3}}},
    {"sage", {{"aggregate", 0}}},
    {"sage", {{"aggregate", 2}}},
    {"relational", {{"relations", 1}}},
    {"layer_encoding", {{"layers", 2}}},
    {"graph_rope", {{"base", 5}}},
};

}  // namespace fovea::ops::test
