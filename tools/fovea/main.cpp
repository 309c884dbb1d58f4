// The fovea command: runs, prints, draws, explains and measures attention.
#include <CLI/CLI.hpp>

#include <unistd.h>

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <new>

#include "fovea/fovea.h"
#include "ir/require.h"
#include "tools/fovea/command.h"

namespace {

constexpr int kUsersError = 1;
constexpr int kOurError = 2;

// An invariant that fails has said so on stderr and aborts: that, too, is our error.
extern "C" void exit_ours(int) { _exit(kOurError); }

int report(const CLI::ParseError& error, const CLI::App& app) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help
  fmt::print(stderr, "fovea: {} (try --help)\n", error.what());
  return kUsersError;
}

int report(const fovea::Error& error) {
  // The lines that follow show the place in the text; here one line is all there is.
  const std::string_view message = error.what();
  fmt::print(stderr, "fovea: {}: {}\n", name(error.code()), message.substr(0, message.find('\n')));
  return error.code() == fovea::Code::internal ? kOurError : kUsersError;
}

// The parser itself would only say that a command is missing.
void require_command(const CLI::App& app, int count, char** arguments) {
  if (count < 2 || arguments[1][0] == '-') return;
  std::string names;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == arguments[1]) return;
    names += ' ' + command->get_name();
  }
  fovea::fail(fovea::Code::invalid_config, "there is no command '{}'; expected one of{}",
              arguments[1], names);
}

int run(int count, char** arguments) {
  CLI::App app("Compiles attention, written as mathematics over named axes, to fused kernels.",
               "fovea");
  app.require_subcommand(1);
  app.footer(
      "GRAPH is a .fov file, '-' for standard input, or @mechanism (see `fovea list`).\n"
      "Exit codes: 0, 1 for an error of the user's, 2 for one of ours.\n\n"
      "Examples:\n"
      "  fovea run attention.fov --in q=q.npy --in k=k.npy --in v=v.npy --out o=o.npy\n"
      "  fovea explain @causal --size i=4096 --size j=4096");
  fovea::tools::add_run(app);
  fovea::tools::add_list(app);
  fovea::tools::add_print(app);
  fovea::tools::add_code(app);
  fovea::tools::add_dot(app);
  fovea::tools::add_explain(app);
  fovea::tools::add_bench(app);
  fovea::tools::add_gallery(app);
  require_command(app, count, arguments);
  try {
    app.parse(count, arguments);
    return 0;
  } catch (const CLI::ParseError& error) {
    return report(error, app);
  }
}

}  // namespace

int main(int count, char** arguments) {
  std::signal(SIGABRT, exit_ours);
  try {
    return run(count, arguments);
  } catch (const fovea::Error& error) {
    return report(error);
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "fovea: input_too_large: not enough memory\n");
    return kUsersError;
  } catch (const std::exception& error) {
    fmt::print(stderr, "fovea: internal error: {}\n", error.what());
    return kOurError;
  }
}
