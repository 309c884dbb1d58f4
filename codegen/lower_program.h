// codegen/lower_program.h — a partitioned graph to the steps of a program and the bitcode of their
// functions, not yet machine code.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/bitcode.h"
#include "ir/graph.h"
#include "ir/target.h"
#include "runtime/program.h"

namespace fovea::codegen {

struct LoweredProgram {
  // What a step took so far, and how much it left to be made machine code.
  struct Effort {
    double milliseconds = 0;
    std::size_t bytes = 0;  // of bitcode
  };

  runtime::Program program;  // calls without functions
  std::vector<Bitcode> functions;
  std::vector<Effort> efforts;  // one a step
};

// Of a graph after all passes. The first steps that are no checks are the kernels, in
// their order and called like them.
// `with_statements` keeps what people may read of each function (Bitcode::statement).
LoweredProgram lower_program(const ir::Graph& graph, const ir::Target& target,
                             bool with_statements = false);

// The results of one kernel in double, as runtime::Step::exact wants it.
struct LoweredCall {
  std::vector<runtime::Argument> arguments;
  Bitcode function;
};
LoweredCall lower_exact(const ir::Graph& graph, std::size_t kernel, const ir::Target& target);

// All calls that a program makes, each with the name that its function has in the object.
void for_each_call(runtime::Program& program,
                   const std::function<void(runtime::Call&, const std::string& symbol)>& visit);

// The functions of one step begin so.
std::string symbol_prefix(std::size_t step, std::string_view name);

}  // namespace fovea::codegen
