// tools/fovea/command.h — the subcommands of `fovea`, each in its own file.
#pragma once

namespace CLI {
class App;
}

namespace fovea::tools {

// Each adds its subcommand, whose callback does the work and throws Error where it fails.
void add_run(CLI::App& app);
void add_list(CLI::App& app);
void add_code(CLI::App& app);
void add_print(CLI::App& app);
void add_dot(CLI::App& app);
void add_explain(CLI::App& app);
void add_bench(CLI::App& app);
void add_gallery(CLI::App& app);

}  // namespace fovea::tools
