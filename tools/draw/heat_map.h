// tools/draw/heat_map.h — weights between 0 and 1 as coloured squares, in SVG.
#pragma once

#include <span>
#include <string>

namespace fovea::tools {

// From white by blue to nearly black; small weights show too.
std::string shade(float weight);

// A square of one weight, with a title that shows under the pointer.
std::string square(double x, double y, double side, float weight, const std::string& title);

// A picture of rows x columns weights, slowest first, with the names of both axes.
std::string heat_map(std::span<const double> weights, std::size_t columns, const std::string& row,
                     const std::string& column);

}  // namespace fovea::tools
