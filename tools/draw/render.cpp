#include "tools/draw/render.h"

#include <graphviz/gvc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>

#include "ir/require.h"
#include "tools/io/files.h"

namespace fovea::tools {
namespace {

constexpr std::array<std::string_view, 5> kEndings = {".svg", ".png", ".pdf", ".dot", ".gv"};

using Context = std::unique_ptr<GVC_t, decltype([](GVC_t* context) { gvFreeContext(context); })>;
using Drawing = std::unique_ptr<Agraph_t, decltype([](Agraph_t* graph) { agclose(graph); })>;

enum class Drawn { yes, not_read, not_supported };

Drawn draw(std::string_view dot, const std::string& format, std::FILE* into) {
  const Context context(gvContext());
  const Drawing graph(agmemread(std::string(dot).c_str()));
  if (graph == nullptr || gvLayout(context.get(), graph.get(), "dot") != 0) return Drawn::not_read;
  const int status = gvRender(context.get(), graph.get(), format.c_str(), into);
  gvFreeLayout(context.get(), graph.get());
  return status == 0 && std::fflush(into) == 0 ? Drawn::yes : Drawn::not_supported;
}

std::string contents(std::FILE* file) {
  std::string text;
  std::rewind(file);
  for (char piece[4096]; const std::size_t count = std::fread(piece, 1, sizeof(piece), file);)
    text.append(piece, count);
  return text;
}

std::string ending(std::string_view path) { return std::filesystem::path(path).extension(); }

}  // namespace

bool is_picture(std::string_view path) { return std::ranges::count(kEndings, ending(path)) > 0; }

void render(std::string_view dot, const std::string& path) {
  require(is_picture(path), Code::invalid_config,
          "'{}' is of no format that is drawn here; expected one of {}", path,
          fmt::join(kEndings, " "));
  const std::string format = ending(path).substr(1);
  if (format == "dot" || format == "gv") return write_file(path, dot);
  const std::unique_ptr<std::FILE, decltype([](std::FILE* file) { std::fclose(file); })> picture(
      std::tmpfile());
  require(picture != nullptr, Code::internal, "there is no room to draw '{}' in", path);
  // Graphviz 2.43 compares fonts with those of graphs that it has freed, and frees twice what it
  // cannot lay out: each drawing gets a process of its own.
  const pid_t child = fork();
  require(child >= 0, Code::internal, "there is no process to draw '{}' in", path);
  if (child == 0) _exit(static_cast<int>(draw(dot, format, picture.get())));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  const int result = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  require(result != static_cast<int>(Drawn::not_supported), Code::unsupported,
          "this Graphviz cannot draw {}; try .svg or .dot", format);
  require(result == static_cast<int>(Drawn::yes), Code::internal,
          "Graphviz cannot lay out the graph for '{}'", path);
  write_file(path, contents(picture.get()));
}

}  // namespace fovea::tools
