// bench/mechanism_text.h — mechanisms of the library as texts that a Job can be made of.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "ir/text.h"
#include "ops/mechanism.h"

namespace fovea::bench {

// With those of its outputs that are f32.
inline std::string mechanism_text(std::string_view name,
                                  const std::map<std::string, double>& options) {
  const ops::Mechanism& mechanism = ops::find(name);
  ir::Graph graph = mechanism.build(ops::Problem(mechanism.options, options));
  std::erase_if(graph.outputs, [&](const ir::Output& output) {
    return graph.node(output.node).type.dtype != ir::Dtype::F32;
  });
  return ir::print(graph);
}

}  // namespace fovea::bench
