// tools/draw/render.h — Graphviz's language to pictures, through libgvc.
#pragma once

#include <string>
#include <string_view>

namespace fovea::tools {

// Writes `dot` to a file in the format that its ending tells: .svg, .png and .pdf drawn, .dot and
// .gv as text. Code::invalid_config for another ending or a file that cannot be written.
void render(std::string_view dot, const std::string& path);

// Whether `path` has one of those endings.
bool is_picture(std::string_view path);

}  // namespace fovea::tools
