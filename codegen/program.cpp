#include "codegen/program.h"

#include <chrono>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "codegen/jit.h"
#include "codegen/lower_program.h"
#include "codegen/object.h"
#include "ir/error.h"

namespace fovea::codegen {
namespace {

class Compiled : public CompiledProgram {
 public:
  Compiled(const ir::Graph& graph, const ir::Target& target) : graph_(graph), target_(target) {
    const auto start = std::chrono::steady_clock::now();
    LoweredProgram lowered = lower_program(graph_, target_);
    program_ = std::move(lowered.program);
    code_ = load(object(lowered.functions, target_));
    link();
    milliseconds_ =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }

  const runtime::Program& program() const override { return program_; }
  double milliseconds() const override { return milliseconds_; }
  bool cached() const override { return false; }

  std::string assembly(std::string_view step) const override {
    std::vector<Bitcode> wanted = lower_program(graph_, target_).functions;
    std::erase_if(wanted, [&](const Bitcode& function) { return !belongs(function.name, step); });
    return wanted.empty() ? std::string() : codegen::assembly(wanted, target_);
  }

 private:
  void link() {
    for_each_call(program_, [&](runtime::Call& call, const std::string& symbol) {
      call.function = code_->find(symbol);
      invariant(call.function != nullptr, "a compiled function is missing");
    });
    program_.exact = [](void* context, int step) {
      return static_cast<Compiled*>(context)->exact(static_cast<std::size_t>(step));
    };
    program_.context = this;
  }

  bool belongs(const std::string& symbol, std::string_view step) const {
    for (std::size_t n = 0; n < program_.steps.size(); n++)
      if ((step.empty() || program_.steps[n].name == step) &&
          symbol.starts_with(symbol_prefix(n, program_.steps[n].name)))
        return true;
    return false;
  }

  const runtime::Call* exact(std::size_t step) {
    using Kind = runtime::Step::Kind;
    std::size_t kernel = 0;
    for (std::size_t n = 0; n < step; n++) kernel += program_.steps[n].kind != Kind::check;
    if (program_.steps[step].kind == Kind::check || kernel >= graph_.kernels.size()) return nullptr;
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
  runtime::Program program_;
  std::shared_ptr<const LoadedObject> code_;
  double milliseconds_ = 0;
  std::mutex exact_mutex_;
  std::map<std::size_t, Exact> exact_;
};

}  // namespace

std::shared_ptr<const CompiledProgram> compile_program(const ir::Graph& graph,
                                                       const ir::Target& target) {
  return std::make_shared<Compiled>(graph, target);
}

}  // namespace fovea::codegen
