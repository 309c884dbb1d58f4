#include "tools/document/words.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <unordered_map>

#include "ir/require.h"
#include "tools/io/files.h"

namespace fovea::document {
namespace {

namespace fs = std::filesystem;

bool is_built(const fs::path& path) {
  const std::string name = path.filename();
  return name.starts_with("build") || name.starts_with(".") || name == "out";
}

std::vector<fs::path> sources(const std::string& root) {
  std::vector<fs::path> paths;
  for (auto entry = fs::recursive_directory_iterator(root);
       entry != fs::recursive_directory_iterator(); ++entry) {
    if (entry->is_directory() && is_built(entry->path())) entry.disable_recursion_pending();
    const bool is_text =
        entry->path().extension() == ".h" || entry->path().filename() == "README.md";
    if (entry->is_regular_file() && is_text) paths.push_back(entry->path());
  }
  std::ranges::sort(paths);
  return paths;
}

// FNV-1a, finished by the mixer of splitmix64 so that all bits are good.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

// Adds a vector of signs that only the n-gram determines.
void add_signs(std::vector<float>& vector, std::string_view gram) {
  std::uint64_t bits = 0;
  for (std::size_t n = 0; n < vector.size(); ++n) {
    if (n % 64 == 0) bits = hash(std::string(gram) + static_cast<char>('0' + n / 64));
    vector[n] += (bits >> (n % 64) & 1) != 0 ? 1.0f : -1.0f;
  }
}

std::vector<float> embed(const std::string& word, int width) {
  std::vector<float> vector(static_cast<std::size_t>(width));
  const std::string marked = "<" + word + ">";
  for (std::size_t length = 2; length <= 5; ++length)
    for (std::size_t at = 0; at + length <= marked.size(); ++at)
      add_signs(vector, std::string_view(marked).substr(at, length));
  add_signs(vector, marked);
  double mean = 0, square = 0;
  for (const float x : vector) mean += x / static_cast<double>(width);
  for (const float x : vector) square += (x - mean) * (x - mean) / width;
  for (float& x : vector) x = static_cast<float>((x - mean) / std::sqrt(square + 1e-12));
  return vector;
}

}  // namespace

std::string repository_text(const std::string& root) {
  std::string text;
  for (const fs::path& path : sources(root)) {
    const tools::Bytes bytes = tools::read_file(path);
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    text += '\n';
  }
  require(!text.empty(), Code::empty_input, "there is no README.md and no header below '{}'", root);
  return text;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  char before = ' ';
  for (const char c : text) {
    const bool letter = std::isalpha(static_cast<unsigned char>(c)) != 0;
    const bool continues = std::isalpha(static_cast<unsigned char>(before)) != 0 &&
                           !(std::islower(static_cast<unsigned char>(before)) != 0 &&
                             std::isupper(static_cast<unsigned char>(c)) != 0);
    if (letter && !continues) words.emplace_back();
    if (letter) words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    before = c;
  }
  // Single letters are names of axes and variables: nothing to read.
  std::erase_if(words, [](const std::string& word) { return word.size() < 2; });
  return words;
}

std::vector<float> embed(const std::vector<std::string>& words, int width) {
  std::unordered_map<std::string, std::vector<float>> known;
  std::vector<float> rows;
  rows.reserve(words.size() * static_cast<std::size_t>(width));
  for (const std::string& word : words) {
    auto [entry, is_new] = known.try_emplace(word);
    if (is_new) entry->second = embed(word, width);
    rows.insert(rows.end(), entry->second.begin(), entry->second.end());
  }
  return rows;
}

}  // namespace fovea::document
