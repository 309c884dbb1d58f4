// bench/programs.h — every program that there is to measure: the library's mechanisms and those of
// tests/corpus, at any number of rows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fovea/fovea.h"
#include "ops/mechanism.h"
#include "tools/io/tensor.h"

namespace fovea::bench {

struct Program {
  std::string name;  // "@alibi", "faults/t5_buckets"
  Graph graph;
  const ops::Mechanism* mechanism = nullptr;  // of "@alibi"
};

std::vector<Program> all_programs();

// Extents with so many rows and columns: axes that attention runs along, as far as the text leaves
// them open. Features have 64, everything else is small.
Sizes sizes_for(const Program& program, std::int64_t rows);

// A program with random inputs and memory for its outputs.
class BoundProgram {
 public:
  // Refuses more than so many bytes of tensors with Code::input_too_large.
  BoundProgram(const Program& program, const Sizes& sizes, double most_bytes);

  const Sizes& sizes() const { return sizes_; }  // those that a run has to be told
  const std::vector<NamedView>& inputs() const { return from_; }
  void run(const Kernel& kernel) const { kernel.run(from_, to_, sizes_); }

 private:
  Sizes sizes_;
  tools::Tensors inputs_, outputs_;
  std::vector<NamedView> from_, to_;
};

}  // namespace fovea::bench
