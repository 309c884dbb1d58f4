#include "tools/draw/render.h"

#include <graphviz/gvc.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <span>

#include "ir/error.h"
#include "tools/io/files.h"

namespace fovea::tools {
namespace {

constexpr std::array<std::string_view, 5> kEndings = {".svg", ".png", ".pdf", ".dot", ".gv"};

using Context = std::unique_ptr<GVC_t, decltype([](GVC_t* context) { gvFreeContext(context); })>;
using Drawing = std::unique_ptr<Agraph_t, decltype([](Agraph_t* graph) { agclose(graph); })>;

std::string ending(std::string_view path) { return std::filesystem::path(path).extension(); }

}  // namespace

bool is_picture(std::string_view path) { return std::ranges::count(kEndings, ending(path)) > 0; }

void render(std::string_view dot, const std::string& path) {
  require(is_picture(path), Code::invalid_config,
          "'{}' is of no format that is drawn here; expected one of {}", path,
          fmt::join(kEndings, " "));
  const std::string format = ending(path).substr(1);
  if (format == "dot" || format == "gv") return write_file(path, dot);
  const Context context(gvContext());
  const Drawing graph(agmemread(std::string(dot).c_str()));
  require(graph != nullptr, Code::internal, "Graphviz does not read the graph that was written");
  require(gvLayout(context.get(), graph.get(), "dot") == 0, Code::internal,
          "Graphviz cannot lay the graph out");
  char* data = nullptr;
  unsigned length = 0;
  const int status = gvRenderData(context.get(), graph.get(), format.c_str(), &data, &length);
  gvFreeLayout(context.get(), graph.get());
  const std::unique_ptr<char, decltype([](char* p) { gvFreeRenderData(p); })> owned(data);
  require(status == 0 && data != nullptr, Code::unsupported,
          "this Graphviz cannot draw {}; try .svg or .dot", format);
  write_file(path, std::string_view(data, length));
}

}  // namespace fovea::tools
