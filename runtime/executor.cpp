#include "runtime/executor.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <new>
#include <vector>

#include "runtime/steps.h"
#include "runtime/workspace.h"

namespace fovea::runtime {

namespace {

// Workspaces that wait for their shapes to come again.
constexpr std::size_t kKept = 4;

}  // namespace

struct Executor::State {
  State(Program given, std::shared_ptr<ThreadPool> shared_pool)
      : program(std::move(given)),
        layout(lay_out(program)),
        pool(shared_pool ? std::move(shared_pool) : std::make_shared<ThreadPool>()),
        machine_threads(
            std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostThreads)) {}

  // A workspace planned for such a run if there is one, the one longest unused if there are enough.
  std::unique_ptr<Workspace> take(std::span<const Binding> bindings,
                                  std::span<const NamedSize> sizes, int threads, bool& planned) {
    const std::lock_guard lock(mutex);
    const auto pop = [&](std::size_t index) {
      std::unique_ptr<Workspace> taken = std::move(idle[index]);
      idle.erase(idle.begin() + static_cast<std::ptrdiff_t>(index));
      return taken;
    };
    for (std::size_t n = idle.size(); n-- > 0;) {
      planned = idle[n]->matches(bindings, sizes, threads);
      if (planned) return pop(n);
    }
    if (idle.size() < kKept) return nullptr;
    std::unique_ptr<Workspace> oldest = pop(0);
    return oldest->threads() == threads ? std::move(oldest) : nullptr;
  }
  void give(std::unique_ptr<Workspace> workspace) {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(workspace));
  }

  Status run_in(Workspace& workspace, std::span<const Binding> bindings, const RunOptions& options);
  Status run_watched(Workspace& workspace, int step, const RunOptions& options);
  Status run_step(Workspace& workspace, int step);
  Status begin_phase(Workspace& workspace, int phase);

  const Program program;
  const Layout layout;
  const std::shared_ptr<ThreadPool> pool;
  const int machine_threads;
  std::mutex mutex;
  std::vector<std::unique_ptr<Workspace>> idle;  // the last used at the end
};

Status Executor::State::begin_phase(Workspace& workspace, int phase) {
  Status status = workspace.begin_phase(phase);
  if (status.ok()) workspace.gather(phase);
  return status;
}

Status Executor::State::run_step(Workspace& workspace, int index) {
  const Step& step = program.steps[static_cast<std::size_t>(index)];
  if (const Check* check = step.check()) return run_check(workspace, *check);
  return step.tiled() ? run_tiled(workspace, index, *pool) : run_plain(workspace, index, *pool);
}

Status Executor::State::run_watched(Workspace& workspace, int step, const RunOptions& options) {
  const auto index = static_cast<std::size_t>(step);
  const auto begin = std::chrono::steady_clock::now();
  Status status = run_step(workspace, step);
  if (!options.step_times.empty())
    options.step_times[index] =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!options.visits.empty()) options.visits[index] = workspace.take_visits();
  return status;
}

Status Executor::State::run_in(Workspace& workspace, std::span<const Binding> bindings,
                               const RunOptions& options) {
  if (Status status = workspace.bind(bindings); !status.ok()) return status;
  workspace.gather(0);
  if (layout.ragged_inputs) {
    if (Status status = begin_phase(workspace, 1); !status.ok()) return status;
  }
  const bool is_watched = !options.step_times.empty() || !options.visits.empty();
  workspace.count_visits(!options.visits.empty());
  for (int step = 0; step < static_cast<int>(program.steps.size()); ++step) {
    Status status = is_watched ? run_watched(workspace, step, options) : run_step(workspace, step);
    if (!status.ok()) return status;
    const int phase = layout.phase_after[static_cast<std::size_t>(step)];
    if (phase == 0) continue;
    if (status = begin_phase(workspace, phase); !status.ok()) return status;
  }
  workspace.deliver();
  return {};
}

Executor::Executor(Program program, std::shared_ptr<ThreadPool> pool)
    : state_(std::make_unique<State>(std::move(program), std::move(pool))) {}
Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;
Executor& Executor::operator=(Executor&&) noexcept = default;

const Program& Executor::program() const { return state_->program; }

Status Executor::run(std::span<const Binding> bindings, std::span<const NamedSize> sizes,
                     const RunOptions& options) const noexcept {
  try {
    if (!state_->layout.status.ok()) return state_->layout.status;
    if (options.threads < 0 || options.threads > kMostThreads) {
      return failure(Code::invalid_config, "the number of threads is ", options.threads,
                     ", expected one from 0 (all of the machine) to ", kMostThreads);
    }
    const std::size_t steps = state_->program.steps.size();
    const auto check_room = [&](const char* what, std::size_t room) -> Status {
      if (room == 0 || room == steps) return {};
      return failure(Code::invalid_config, "there is room for the ", what, " of ",
                     static_cast<std::int64_t>(room), " steps, expected ",
                     static_cast<std::int64_t>(steps));
    };
    if (Status status = check_room("times", options.step_times.size()); !status.ok()) return status;
    if (Status status = check_room("visits", options.visits.size()); !status.ok()) return status;
    const int threads = options.threads > 0 ? options.threads : state_->machine_threads;
    bool planned = false;
    std::unique_ptr<Workspace> workspace = state_->take(bindings, sizes, threads, planned);
    if (!workspace)
      workspace = std::make_unique<Workspace>(state_->program, state_->layout, threads);
    Status status = planned ? Status{} : workspace->plan(bindings, sizes);
    if (status.ok()) status = state_->run_in(*workspace, bindings, options);
    state_->give(std::move(workspace));
    return status;
  } catch (const std::bad_alloc&) {
    return {Code::input_too_large, "out of memory"};
  } catch (const std::exception& error) {
    return {Code::internal, error.what()};
  }
}

Status Executor::check(std::span<const Binding> bindings,
                       std::span<const NamedSize> sizes) const noexcept {
  try {
    if (!state_->layout.status.ok()) return state_->layout.status;
    Workspace workspace(state_->program, state_->layout, 1);
    Status status = workspace.plan(bindings, sizes);
    return status.ok() ? workspace.bind(bindings) : status;
  } catch (const std::bad_alloc&) {
    return {Code::input_too_large, "out of memory"};
  } catch (const std::exception& error) {
    return {Code::internal, error.what()};
  }
}

Status run(const Program& program, std::span<const Binding> bindings,
           std::span<const NamedSize> sizes, const RunOptions& options) noexcept {
  try {
    return Executor(program).run(bindings, sizes, options);
  } catch (const std::exception&) {
    return {Code::input_too_large, "out of memory"};
  }
}

}  // namespace fovea::runtime
