// codegen/program.h — a partitioned graph to a runnable program.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/target.h"
#include "runtime/program.h"

namespace fovea::codegen {

// Outputs whose name begins so are not the caller's: pairs "?low N" and "?high N" of coordinates that
// must be inside axis N's extent, which the program checks (see check_reads).
constexpr std::string_view kCheckPrefix = "?";

// A graph with, for every read at a coordinate that depends on an input, outputs for the smallest and
// the largest coordinate. To be called before the passes.
ir::Graph check_reads(const ir::Graph& graph);

// Compiled code, kept alive as long as this.
class CompiledProgram {
 public:
  virtual ~CompiledProgram() = default;
  CompiledProgram(const CompiledProgram&) = delete;
  CompiledProgram& operator=(const CompiledProgram&) = delete;

  virtual const runtime::Program& program() const = 0;
  virtual double milliseconds() const = 0;  // that making it took
  virtual bool cached() const = 0;          // from the cache on disk
  // Assembly text of the step called so.
  virtual std::string assembly(std::string_view step) const = 0;

 protected:
  CompiledProgram() = default;
};

// Compiles a graph that has kernels with tiles. Steps are called as the kernels are, in their order.
std::shared_ptr<const CompiledProgram> compile_program(const ir::Graph& graph, const ir::Target& target);

}  // namespace fovea::codegen
