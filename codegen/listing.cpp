#include "codegen/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "codegen/lower_program.h"
#include "codegen/object.h"
#include "ir/require.h"

namespace fovea::codegen {
namespace {

// The functions that one kernel, or any, was lowered to.
std::vector<Bitcode> functions_of(LoweredProgram&& lowered, const ir::Graph& graph,
                                  std::string_view kernel) {
  if (kernel.empty()) return std::move(lowered.functions);
  std::string names;
  for (const ir::Kernel& each : graph.kernels)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", each.name);
  require(std::ranges::find(graph.kernels, kernel, &ir::Kernel::name) != graph.kernels.end(),
          Code::invalid_config, "there is no kernel '{}'; expected one of {}", kernel, names);
  std::vector<Bitcode> own;
  for (std::size_t n = 0; n < lowered.program.steps.size(); ++n) {
    const runtime::Step& step = lowered.program.steps[n];
    if (step.name != kernel || step.check()) continue;
    for (Bitcode& function : lowered.functions)
      if (function.name.starts_with(symbol_prefix(n, step.name)))
        own.push_back(std::move(function));
  }
  return own;
}

}  // namespace

std::string listing(const ir::Graph& graph, std::string_view kernel, Listing what,
                    const ir::Target& target) {
  const bool statements = what == Listing::halide;
  const auto functions = functions_of(lower_program(graph, target, statements), graph, kernel);
  if (functions.empty()) return "";
  switch (what) {
    case Listing::llvm: return intermediate(functions, target);
    case Listing::assembly: return assembly(functions, target);
    case Listing::halide: break;
  }
  std::string text;
  for (const Bitcode& function : functions) text += function.statement;
  return text;
}

}  // namespace fovea::codegen
