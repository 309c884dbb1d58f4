// runtime/executor.h — runs compiled programs on the caller's tensors.
#pragma once

#include <memory>
#include <span>

#include "runtime/block_list.h"
#include "runtime/program.h"
#include "runtime/status.h"
#include "runtime/threads.h"
#include "runtime/view.h"

namespace fovea::runtime {

// More threads than this are refused.
inline constexpr int kMostThreads = 1024;

struct RunOptions {
  int threads = 0;  // 0: as many as the machine runs at once
  // The seconds that each step of the program took are written here; empty: nothing is measured.
  // Otherwise as long as Program::steps.
  std::span<double> step_times = {};
  // What each step with a mask visited is written here; empty: nothing is counted. Otherwise as
  // long as Program::steps.
  std::span<Visits> visits = {};
};

// A program made ready to run. `run` may be called from many threads at once; each run works in
// memory of its own, which is kept for the next run with tensors of the same shapes: such runs
// allocate nothing. Functions that the program points to must outlive it.
class Executor {
 public:
  // Executors may share threads; without a pool this one has its own, started when first needed.
  explicit Executor(Program program, std::shared_ptr<ThreadPool> pool = nullptr);
  ~Executor();
  Executor(Executor&&) noexcept;
  Executor& operator=(Executor&&) noexcept;

  const Program& program() const;

  // Binds every input and output by name, exactly once each, in any order, checks all of them, and
  // writes the outputs. `sizes` are the extents of axes that no input has. On failure outputs hold
  // anything. Results do not depend on the number of threads.
  Status run(std::span<const Binding> bindings, std::span<const NamedSize> sizes = {},
             const RunOptions& options = {}) const noexcept;

  // What run() refuses before it computes anything.
  Status check(std::span<const Binding> bindings,
               std::span<const NamedSize> sizes = {}) const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Runs a program once.
Status run(const Program& program, std::span<const Binding> bindings,
           std::span<const NamedSize> sizes = {}, const RunOptions& options = {}) noexcept;

}  // namespace fovea::runtime
