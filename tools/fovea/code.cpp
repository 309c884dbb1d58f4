// fovea code: what becomes of kernels below the passes.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>
#include <string>

#include "codegen/listing.h"
#include "ir/require.h"
#include "passes/run.h"
#include "tools/fovea/command.h"
#include "tools/fovea/source.h"

namespace fovea::tools {
namespace {

struct Arguments {
  Source source;
  std::string kernel, stage = "asm", form, target;
};

codegen::Listing stage_called(const std::string& name) {
  if (name == "halide") return codegen::Listing::halide;
  if (name == "llvm") return codegen::Listing::llvm;
  require(name == "asm", Code::invalid_config,
          "there is no stage '{}'; expected halide, llvm or asm", name);
  return codegen::Listing::assembly;
}

passes::Form form_called(const std::string& path) {
  std::string names;
  for (const passes::Form& form : passes::forms()) {
    if (form.path() == path) return form;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", form.path());
  }
  fail(Code::invalid_config, "there is no form '{}'; expected one of {}", path, names);
}

}  // namespace

void add_code(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("code", "Print what kernels are compiled to");
  add_source(*command, arguments->source);
  command->add_option("--kernel", arguments->kernel,
                      "of this kernel, as `fovea print --after fuse` names it; else of all");
  command->add_option("--stage", arguments->stage,
                      "halide: loop nests; llvm: LLVM's IR; asm: assembly (the default)");
  command->add_option("--as", arguments->form,
                      "in another form: decode, unfused, few_rows, unfused/decode, …");
  command->add_option("--target", arguments->target,
                      "row of the target table to compile for, also of other machines");
  command->footer(
      "Examples:\n"
      "  fovea code @causal --kernel o --stage halide\n"
      "  fovea code attention.fov --as decode --target avx2");
  command->callback([arguments] {
    const codegen::Listing stage = stage_called(arguments->stage);
    const passes::Form form = form_called(arguments->form);
    const ir::Target target = choose_target(arguments->target);
    const Graph graph = load(arguments->source).graph;
    const ir::Graph made =
        passes::run_form(form, graph, target, passes::options_from_environment());
    fmt::print("{}", codegen::listing(made, arguments->kernel, stage, target));
  });
}

}  // namespace fovea::tools
