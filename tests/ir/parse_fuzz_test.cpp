// Whatever the bytes: a graph that prints and parses to itself, or an error that says where. Other
// bytes for another FOVEA_FUZZ_SEED.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>

#include "ir/error.h"
#include "ir/text.h"

using namespace fovea;
using namespace fovea::ir;

namespace {

constexpr std::string_view kSeeds[] = {
    "axis b, h, g, i, j, d = 64, e = 64\nq : f32[b, h, i, d]\nk : f32[b, g, j, d]\n"
    "v : f32[b, g, j, e]\ns = sum(d, q * k[g = h / 4]) * 0.125\n"
    "p = softmax(j, where(j <= i, s, -inf))\nout o[i, b, h, e] = sum(j, p * v[g = h / 4])\n",
    "axis r, i, n < degree, t\nstart : i32[r]\nx : f32[t]\n"
    "out o = sum(n, x[t = start[r = i] + n])\ndegree = start[r = i + 1] - start[r = i]\n",
    "axis past, new, j = past + new, n = 2 * (past - 1) / 3\nx : bf16[j]\n"
    "out c = topk(j, n, x)\nout m = max(j, x) + min(j + 0, 3)\n"
    "out y = x[j = c else -1.5e-3] % 2.0 - -x\nout z = any(j, x > 0.0 && !(j == 1))\n",
    "axis i, j\nq : f32[i]\nk : f32[j]\nm = i != j\n_1 = where(m, q * k, nan)\n"
    "out o = max((i, j), _1)\nout u = sum(j, q * k) + f32(i8(q))\n"
    "kernel all(o, _1) over i, j visible=m carry=solid rows=48 lanes=columns slots=_,1 because "
    "\"so \\\"it\\\" is\"\n",
};

constexpr std::string_view kPieces[] = {
    "axis ", "out ", "kernel ", "a",     "i",    "j",       "n",       "x",    "o",    "_1",
    "sum",   "max",  "softmax", "where", "exp",  "f32",     "i4",      "bool", "size", "topk",
    "inf",   "nan",  "true",    "else",  "over", "because", "visible", "(",    ")",    "[",
    "]",     ",",    "=",       ":",     "<",    "<=",      "==",      "&&",   "||",   "!",
    "+",     "-",    "*",       "/",     "%",    " ",       "\n",      "0",    "1",    "2147483648",
    "0.5",   "1e39", "\"",      "\\",    "#",    "é",       "\xff",    "\t"};

bool begins_with_a_place(std::string_view message) {
  for (int part = 0; part < 2; ++part) {
    const std::size_t digits = std::min(message.find_first_not_of("0123456789"), message.size());
    if (digits == 0 || digits == message.size() || message[digits] != ':') return false;
    message.remove_prefix(digits + 1);
  }
  return true;
}

// Whether it parsed.
bool check(const std::string& text) {
  CAPTURE(text);
  try {
    const Graph graph = parse(text);
    const std::string printed = print(graph);
    CAPTURE(printed);
    CHECK(parse(printed) == graph);
    return true;
  } catch (const Error& error) {
    const std::string_view message = error.what();
    if (!begins_with_a_place(message)) FAIL_CHECK(message);
    return false;
  }
}

unsigned first_seed() {
  const char* value = std::getenv("FOVEA_FUZZ_SEED");
  return value == nullptr ? 0 : 3 * static_cast<unsigned>(std::atoi(value));
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(first_seed() + seed) {}

  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }

  std::string bytes() {
    std::string text(below(80), ' ');
    for (char& c : text) c = static_cast<char>(below(256));
    return text;
  }

  std::string pieces() {
    std::string text;
    for (std::size_t count = below(40); count > 0; --count)
      text += kPieces[below(std::size(kPieces))];
    return text;
  }

  std::string mutated() {
    std::string text(kSeeds[below(std::size(kSeeds))]);
    for (std::size_t count = 1 + below(2); count > 0; --count) mutate(text);
    return text;
  }

 private:
  void mutate(std::string& text) {
    const std::size_t at = below(text.size() + 1);
    const std::size_t length = std::min(below(12), text.size() - at);
    switch (below(6)) {
      case 0: text.erase(at, length); break;
      case 1: text.insert(at, kPieces[below(std::size(kPieces))]); break;
      case 2: text.replace(at, length, kPieces[below(std::size(kPieces))]); break;
      case 3: text.insert(below(text.size() + 1), text.substr(at, length)); break;
      case 4: text.insert(at, 1, static_cast<char>(below(256))); break;
      default: swap_words(text); break;
    }
  }

  // Another name from the same text keeps more programs near to meaning something.
  void swap_words(std::string& text) {
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz_0123456789";
    const auto word = [&](std::size_t from) {
      const std::size_t begin = std::min(text.find_first_of(kLetters, from), text.size());
      const std::size_t end = std::min(text.find_first_not_of(kLetters, begin), text.size());
      return std::pair{begin, end - begin};
    };
    const auto [from, from_length] = word(below(text.size() + 1));
    const std::string taken = text.substr(from, from_length);
    const auto [to, to_length] = word(below(text.size() + 1));
    text.replace(to, to_length, taken);
  }

  std::mt19937 random_;
};

}  // namespace

TEST_CASE("random bytes never crash the parser") {
  Mutator random(1);
  for (int k = 0; k < 20000; ++k) check(random.bytes());
}

TEST_CASE("random words never crash the parser") {
  Mutator random(2);
  for (int k = 0; k < 40000; ++k) check(random.pieces());
}

TEST_CASE("mutated programs parse to what they print, or say where they are wrong") {
  for (std::string_view seed : kSeeds) CHECK(check(std::string(seed)));
  Mutator random(3);
  int parsed = 0;
  for (int k = 0; k < 60000; ++k) parsed += check(random.mutated()) ? 1 : 0;
  CHECK(parsed > 2000);  // otherwise the mutations are too wild to say much
  MESSAGE("programs that still parsed: ", parsed);
}

TEST_CASE("every beginning of a program is a program or an error with a place") {
  for (std::string_view seed : kSeeds)
    for (std::size_t length = 0; length < seed.size(); ++length)
      check(std::string(seed.substr(0, length)));
}
