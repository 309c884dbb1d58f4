#include "codegen/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "codegen/asserts.h"
#include "codegen/cache.h"
#include "codegen/jit.h"
#include "codegen/lower_program.h"
#include "codegen/object.h"
#include "codegen/program_file.h"
#include "codegen/recent.h"
#include "codegen/source_hash.h"
#include "codegen/targets.h"
#include "ir/require.h"
#include "ir/text.h"

namespace fovea::codegen {
namespace {

class Compiled : public CompiledProgram {
 public:
  Compiled(const ir::Graph& graph, const ir::Target& target) : graph_(graph), target_(target) {
    const auto start = Clock::now();
    const Cache cache;
    const std::string description = describe();
    cached_ = restore(cache.get(description));
    if (!cached_) compile(cache, description);
    program_.wide_indices = target_.wide_indices;
    program_.exact = [](void* context, int step) {
      return static_cast<Compiled*>(context)->exact(static_cast<std::size_t>(step));
    };
    program_.context = this;
    milliseconds_ = milliseconds_since(start);
  }

  bool is_of(const ir::Graph& graph, const ir::Target& target) const {
    return target_ == target && graph_ == graph && asserts_ == has_asserts();
  }

  const runtime::Program& program() const override { return program_; }
  double milliseconds() const override { return milliseconds_; }
  bool cached() const override { return cached_; }
  std::span<const double> step_milliseconds() const override { return step_milliseconds_; }

  std::string assembly(std::string_view step) const override {
    std::vector<Bitcode> wanted = lower_program(graph_, target_).functions;
    std::erase_if(wanted, [&](const Bitcode& function) { return !belongs(function.name, step); });
    return wanted.empty() ? std::string() : codegen::assembly(wanted, target_);
  }

 private:
  using Clock = std::chrono::steady_clock;

  static double milliseconds_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  }

  std::string describe() const {
    return fmt::format("program{}{}\n{}\n{}\n{}", asserts_ ? " with asserts" : "",
                       target_.wide_indices ? " with wide indices" : "", compiler_version(target_),
                       source_hash(), ir::print(graph_));
  }

  void compile(const Cache& cache, const std::string& description) {
    LoweredProgram lowered = lower_program(graph_, target_);
    const auto start = Clock::now();
    const std::string object = codegen::object(lowered.functions, target_);
    share_out(lowered.efforts, milliseconds_since(start));
    program_ = std::move(lowered.program);
    const bool complete = link(object);
    invariant(complete, "a compiled function is missing");
    if (cache.is_on()) cache.put(description, write_program(program_, object));
  }

  void share_out(const std::vector<LoweredProgram::Effort>& efforts, double milliseconds) {
    double all = 0;
    for (const LoweredProgram::Effort& each : efforts) all += static_cast<double>(each.bytes);
    for (const LoweredProgram::Effort& each : efforts)
      step_milliseconds_.push_back(each.milliseconds +
                                   milliseconds * static_cast<double>(each.bytes) / all);
  }

  bool restore(const std::optional<std::string>& bytes) {
    std::optional<ProgramFile> file = bytes ? read_program(*bytes) : std::nullopt;
    if (!file) return false;
    program_ = std::move(file->program);
    return link(file->object);
  }

  // False where the object lacks a function of the program.
  bool link(std::string_view object) {
    code_ = load(object);
    bool complete = true;
    for_each_call(program_, [&](runtime::Call& call, const std::string& symbol) {
      call.function = code_->find(symbol);
      complete = complete && call.function != nullptr;
    });
    return complete;
  }

  bool belongs(const std::string& symbol, std::string_view step) const {
    for (std::size_t n = 0; n < program_.steps.size(); n++)
      if ((step.empty() || program_.steps[n].name == step) &&
          symbol.starts_with(symbol_prefix(n, program_.steps[n].name)))
        return true;
    return false;
  }

  const runtime::Call* exact(std::size_t step) {
    std::size_t kernel = 0;
    for (std::size_t n = 0; n < step; n++) kernel += !program_.steps[n].check();
    if (program_.steps[step].check() || kernel >= graph_.kernels.size()) return nullptr;
    const std::lock_guard guard(exact_mutex_);
    Exact& made = exact_[step];
    if (made.code == nullptr) {
      const LoweredCall lowered = lower_exact(graph_, kernel, target_);
      made.code = load(object({{lowered.function}}, target_));
      made.call = {made.code->find(lowered.function.name), lowered.arguments};
    }
    return &made.call;
  }

  struct Exact {
    std::shared_ptr<const LoadedObject> code;
    runtime::Call call;
  };

  ir::Graph graph_;
  ir::Target target_;
  bool asserts_ = has_asserts();
  runtime::Program program_;
  std::shared_ptr<const LoadedObject> code_;
  bool cached_ = false;
  double milliseconds_ = 0;
  std::vector<double> step_milliseconds_;
  std::mutex exact_mutex_;
  std::map<std::size_t, Exact> exact_;
};

Recent<const Compiled>& recent() {
  static Recent<const Compiled> programs;
  return programs;
}

}  // namespace

std::shared_ptr<const CompiledProgram> compile_program(const ir::Graph& graph,
                                                       const ir::Target& target) {
  const auto is_it = [&](const Compiled& program) { return program.is_of(graph, target); };
  if (auto known = recent().find(is_it)) return known;
  const auto program = std::make_shared<Compiled>(graph, target);
  recent().add(program);
  return program;
}

}  // namespace fovea::codegen
