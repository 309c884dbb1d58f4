#include "tools/draw/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fovea::tools {

std::string shade(float weight) {
  // The square root shows small weights too.
  const double depth = std::sqrt(std::clamp(weight, 0.0f, 1.0f));
  const auto mix = [&](double light, double middle, double dark) {
    return static_cast<int>(depth < 0.5 ? light + (middle - light) * 2 * depth
                                        : middle + (dark - middle) * (2 * depth - 1));
  };
  return fmt::format("rgb({},{},{})", mix(247, 66, 8), mix(251, 146, 29), mix(255, 198, 88));
}

std::string square(double x, double y, double side, float weight, const std::string& title) {
  return fmt::format(
      "<rect x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{2}\" fill=\"{3}\"><title>{4}</title>"
      "</rect>\n",
      x, y, side, shade(weight), title);
}

std::string heat_map(std::span<const double> weights, std::size_t columns, const std::string& row,
                     const std::string& column) {
  constexpr double kCell = 9, kMargin = 18;
  const std::size_t rows = columns == 0 ? 0 : weights.size() / columns;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} "
      "{1}\" font-family=\"sans-serif\" font-size=\"12\">\n",
      kMargin + kCell * static_cast<double>(columns), kMargin + kCell * static_cast<double>(rows));
  svg += fmt::format("<text x=\"{}\" y=\"12\">{} →</text>\n<text x=\"2\" y=\"{}\">{} ↓</text>\n",
                     kMargin, column, kMargin + 12, row);
  for (std::size_t n = 0; n < rows * columns; ++n)
    svg += square(
        kMargin + kCell * static_cast<double>(n % columns),
        kMargin + kCell * static_cast<double>(n / columns), kCell - 1,
        static_cast<float>(weights[n]),
        fmt::format("{} {}, {} {}: {:.4f}", row, n / columns, column, n % columns, weights[n]));
  return svg + "</svg>\n";
}

}  // namespace fovea::tools
