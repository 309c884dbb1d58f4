// codegen/program.h — a partitioned graph to a runnable program.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ir/graph.h"
#include "ir/target.h"
#include "runtime/program.h"

namespace fovea::codegen {

// Compiled code, kept alive as long as this.
class CompiledProgram {
 public:
  virtual ~CompiledProgram() = default;
  CompiledProgram(const CompiledProgram&) = delete;
  CompiledProgram& operator=(const CompiledProgram&) = delete;

  virtual const runtime::Program& program() const = 0;
  virtual double milliseconds() const = 0;  // that making it took
  virtual bool cached() const = 0;          // from the cache on disk
  // That each step took: lowering it, and its share by size of making machine code, which is made
  // for all together. Nothing where that came from the cache.
  virtual std::span<const double> step_milliseconds() const = 0;
  // Assembly text of the step called so; of all for an empty name, nothing where there is none.
  virtual std::string assembly(std::string_view step) const = 0;

 protected:
  CompiledProgram() = default;
};

// Compiles a graph after all passes. Steps are called as the kernels are, in their order. Machine
// code comes from the cache on disk where that has it (codegen/cache.h), and the program of an
// equal graph that is still in use is given out again.
std::shared_ptr<const CompiledProgram> compile_program(const ir::Graph& graph,
                                                       const ir::Target& target);

}  // namespace fovea::codegen
