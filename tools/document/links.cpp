#include "tools/document/links.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "tools/draw/heat_map.h"

namespace fovea::document {
namespace {

constexpr std::int64_t kRows = 128;          // of a piece
constexpr double kNoticed = 0.1;             // a weight that counts as a place
constexpr std::size_t kReadable = 4;         // letters of a word that says something
constexpr double kCell = 16, kMargin = 120;  // of the picture

// The mean weights over heads of a piece, [row, key].
std::vector<float> weights_of(const Kernel& kernel, const Document& document, const Piece& piece) {
  std::vector<float> weights(static_cast<std::size_t>(piece.count * piece.key_count()));
  kernel.run({{"q", heads(document, piece.first, piece.count)},
              {"k", heads(document, piece.key_first(), piece.key_count())}},
             {{"w", view(weights.data(), {piece.count, piece.key_count()})}});
  return weights;
}

// A word and another form of it: kernel, kernels. That these look at each other goes without
// saying.
bool are_forms(const std::string& a, const std::string& b) {
  return a.starts_with(b) || b.starts_with(a);
}

bool is_readable(const std::string& word) { return word.size() >= kReadable; }

class Collector {
 public:
  explicit Collector(const Document& document) : document_(document) {}

  void add(std::int64_t row, std::int64_t key, float weight) {
    const std::string& from = document_.words[static_cast<std::size_t>(row)];
    const std::string& to = document_.words[static_cast<std::size_t>(key)];
    if (are_forms(from, to) || !is_readable(from) || !is_readable(to)) return;
    Link& link = links_.try_emplace(from + ' ' + to, Link{from, to}).first->second;
    link.weight += weight;
    ++link.places;
    if (row >= kWindow / 4 && weight > most_) most_ = weight, place_ = row;
  }

  Links take(std::size_t count) {
    std::vector<Link> all;
    for (auto& [key, link] : links_) all.push_back(std::move(link));
    std::ranges::sort(all, [](const Link& a, const Link& b) {
      return a.weight != b.weight ? a.weight > b.weight : a.from + ' ' + a.to < b.from + ' ' + b.to;
    });
    all.resize(std::min(count, all.size()));
    return {std::move(all), place_};
  }

 private:
  const Document& document_;
  std::unordered_map<std::string, Link> links_;
  float most_ = 0;
  std::int64_t place_ = 0;
};

std::string label(double x, double y, double turn, std::string_view anchor,
                  const std::string& word) {
  return fmt::format(
      "<text x=\"{0}\" y=\"{1}\" transform=\"rotate({2} {0} {1})\" "
      "text-anchor=\"{3}\">{4}</text>\n",
      x, y, turn, anchor, word);
}

std::string square(double x, double y, float weight, const std::string& title) {
  return tools::square(x, y, kCell - 1, weight, title);
}

// What the picture shows, and which colour is which weight, in the empty upper right.
std::string legend(double side) {
  std::string svg;
  const double x = side - 20, y = kMargin + 40;
  for (const auto& [line, size, down] :
       {std::tuple{"Which words each word looks at", 18, 0},
        std::tuple{"one row a word; columns: the words before it", 12, 22},
        std::tuple{"mean attention weight of the heads", 12, 40}})
    svg += fmt::format("<text x=\"{}\" y=\"{}\" font-size=\"{}\" text-anchor=\"end\">{}</text>\n",
                       x, y + down, size, line);
  double left = x - 5 * 3 * kCell;
  for (const float weight : {0.01f, 0.05f, 0.2f, 0.5f, 1.0f}) {
    svg += square(left + 2 * kCell, y + 54, weight, fmt::format("{}", weight)) +
           label(left + 2.5 * kCell, y + 84, 0, "middle", fmt::format("{}", weight));
    left += 3 * kCell;
  }
  return svg;
}

}  // namespace

Links find_links(const Kernel& weights, const Document& document, std::size_t count) {
  Collector collector(document);
  for (const Piece& piece : pieces(document.size(), kRows)) {
    const std::vector<float> all = weights_of(weights, document, piece);
    std::size_t at = 0;
    for (std::int64_t row = 0; row < piece.count; ++row)
      for (std::int64_t key = 0; key < piece.key_count(); ++key, ++at)
        if (all[at] >= kNoticed) collector.add(piece.first + row, piece.key_first() + key, all[at]);
  }
  return collector.take(count);
}

std::string heat_map(const Kernel& weights, const Document& document, std::int64_t first,
                     std::int64_t count) {
  const Piece piece{first, count};
  const std::vector<float> all = weights_of(weights, document, piece);
  const std::int64_t skipped = first - piece.key_first();
  const double side = kMargin + kCell * static_cast<double>(count) + 10;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{0}\" viewBox=\"0 0 {0} "
      "{0}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" "
      "fill=\"white\"/>\n",
      side);
  for (std::int64_t row = 0; row < count; ++row) {
    const double y = kMargin + kCell * static_cast<double>(row);
    const std::string& word = document.words[static_cast<std::size_t>(first + row)];
    svg +=
        label(kMargin - 4, y + 12, 0, "end", word) + label(y + 12, kMargin - 4, -90, "start", word);
    for (std::int64_t column = 0; column < row; ++column) {
      const float weight =
          all[static_cast<std::size_t>(row * piece.key_count() + skipped + column)];
      const std::string& seen = document.words[static_cast<std::size_t>(first + column)];
      svg += square(kMargin + kCell * static_cast<double>(column), y, weight,
                    fmt::format("{} looks at {}: {:.3f}", word, seen, weight));
    }
  }
  return svg + legend(side) + "</svg>\n";
}

}  // namespace fovea::document
