// tests/frontend/coverage.h — what of the language and of the compiler random programs reach.
#pragma once

#include <map>
#include <string>

#include "fovea/fovea.h"

namespace fovea::test {

class Coverage {
 public:
  Coverage();
  // Ops and functions of a program, and the rules of `simplify` that it lets apply.
  void add_program(const Graph& graph);
  // Kernels as the passes leave them for one of the target's specializations ("many rows").
  void add_kernels(const Graph& graph, const std::string& specialization);
  void add_pass(const std::string& name) { ++counts_["pass " + name]; }

  // How many programs reached each, those that none did last.
  std::string table() const;

 private:
  void count(const std::string& what) { ++counts_[what]; }

  std::map<std::string, int> counts_;
};

}  // namespace fovea::test
