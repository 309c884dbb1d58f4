#include "ir/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace fovea::ir {
namespace {

// Not <cctype>: the language does not change with the locale.
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
constexpr bool is_word(char c) { return is_letter(c) || is_digit(c); }
constexpr bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

struct Character {
  int bytes = 0;  // 0: not UTF-8
  std::uint32_t code = 0;
};

Character decode(std::string_view rest) {
  const auto first = static_cast<unsigned char>(rest.front());
  if (first < 0x80) return {1, first};
  const int bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || rest.size() < static_cast<std::size_t>(bytes)) return {};
  std::uint32_t code = first & (0xffu >> (bytes + 1));
  for (char c : rest.substr(1, static_cast<std::size_t>(bytes) - 1)) {
    if (!is_continuation(c)) return {};
    code = code << 6 | (static_cast<unsigned char>(c) & 0x3fu);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (code < kLeast[bytes] || code > 0x10ffff || surrogate) return {};
  return {bytes, code};
}

std::string_view line_of(std::string_view text, int line) {
  for (; line > 1; --line) text.remove_prefix(std::min(text.find('\n') + 1, text.size()));
  text = text.substr(0, text.find('\n'));
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    if (text_.starts_with("\xef\xbb\xbf")) offset_ = 3;
    while (offset_ < text_.size()) step();
    end_line();
    tokens_.push_back({Token::Kind::EndOfText, {}, at_});
    return std::move(tokens_);
  }

 private:
  void step() {
    const char c = text_[offset_];
    if (c == '\n') return new_line();
    if (c == ' ' || c == '\t' || c == '\r') return advance();
    if (c == '#') return comment();
    if (c == '"') return string();
    if (is_letter(c)) return word(Token::Kind::Name);
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
    symbol();
  }

  char peek(std::size_t ahead) const {
    return offset_ + ahead < text_.size() ? text_[offset_ + ahead] : '\0';
  }

  void advance() {
    const Character character = decode(text_.substr(offset_));
    if (character.bytes == 0)
      fail_at(text_, at_,
              fmt::format("the byte 0x{:02x}", static_cast<unsigned char>(text_[offset_])),
              "text in UTF-8");
    offset_ += static_cast<std::size_t>(character.bytes);
    ++at_.column;
  }

  void new_line() {
    if (open_ == 0) end_line();
    ++offset_;
    at_ = {at_.line + 1, 1};
  }

  void end_line() {
    if (!tokens_.empty() && tokens_.back().kind != Token::Kind::EndOfLine)
      tokens_.push_back({Token::Kind::EndOfLine, {}, at_});
  }

  void comment() {
    while (offset_ < text_.size() && text_[offset_] != '\n') advance();
  }

  void push(Token::Kind kind, std::size_t begin, Position at) {
    tokens_.push_back({kind, text_.substr(begin, offset_ - begin), at});
  }

  void word(Token::Kind kind) {
    const std::size_t begin = offset_;
    const Position at = at_;
    while (is_word(peek(0))) advance();
    push(kind, begin, at);
  }

  void digits() {
    while (is_digit(peek(0))) advance();
  }

  void number() {
    const std::size_t begin = offset_;
    const Position at = at_;
    Token::Kind kind = Token::Kind::Integer;
    digits();
    if (peek(0) == '.') {
      kind = Token::Kind::Float;
      advance();
      digits();
    }
    const bool exponent = peek(0) == 'e' || peek(0) == 'E';
    const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
    if (exponent && is_digit(peek(1 + sign))) {
      kind = Token::Kind::Float;
      for (std::size_t skip = 0; skip < 1 + sign; ++skip) advance();
      digits();
    }
    if (is_letter(peek(0))) {
      while (is_word(peek(0))) advance();
      const std::string_view found = text_.substr(begin, offset_ - begin);
      fail_at(text_, at, fmt::format("'{}'", found), "a number or a name");
    }
    push(kind, begin, at);
  }

  void string() {
    const std::size_t begin = offset_;
    const Position at = at_;
    advance();
    while (peek(0) != '"') {
      if (peek(0) == '\\' && peek(1) != '\n') advance();
      if (offset_ >= text_.size() || text_[offset_] == '\n')
        fail_at(text_, at, "a string without an end", "'\"' on the same line");
      advance();
    }
    advance();
    push(Token::Kind::String, begin, at);
  }

  void symbol() {
    constexpr std::string_view kPairs[] = {"||", "&&", "==", "!=", "<=", ">="};
    constexpr std::string_view kSingles = "()[],=:<>+-*/%!";
    const std::size_t begin = offset_;
    const Position at = at_;
    const std::string_view pair = text_.substr(offset_, 2);
    if (std::ranges::find(kPairs, pair) != std::end(kPairs)) {
      advance();
    } else if (kSingles.find(text_[offset_]) == std::string_view::npos) {
      unknown();
    }
    const char c = text_[begin];
    if (c == '(' || c == '[') ++open_;
    if ((c == ')' || c == ']') && open_ > 0) --open_;
    advance();
    push(Token::Kind::Symbol, begin, at);
  }

  [[noreturn]] void unknown() {
    const Position at = at_;
    const std::size_t begin = offset_;
    const std::uint32_t code = decode(text_.substr(offset_)).code;
    advance();
    const std::string_view character = text_.substr(begin, offset_ - begin);
    fail_at(text_, at,
            code < 0x20 || code == 0x7f ? fmt::format("the character U+{:04X}", code)
                                        : fmt::format("'{}' (U+{:04X})", character, code),
            "a name, a number, an operator or a bracket");
  }

  std::string_view text_;
  std::size_t offset_ = 0;
  Position at_;
  int open_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

std::string locate(std::string_view text, Position at, std::string_view message) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const std::string_view line = line_of(text, at.line);
  std::string below;
  int column = 1;
  for (char c : line) {
    if (column == at.column) break;
    if (is_continuation(c)) continue;
    // A tab stays a tab, so that the caret stands right whatever a tab's width is.
    below += c == '\t' ? '\t' : ' ';
    ++column;
  }
  return fmt::format("{}:{}: {}\n{}\n{}^", at.line, at.column, message, line, below);
}

void fail_at(std::string_view text, Position at, std::string_view found,
             std::string_view expected) {
  throw Error(Code::syntax_error,
              locate(text, at, fmt::format("found {}, expected {}", found, expected)));
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case Token::Kind::EndOfLine: return "the end of the line";
    case Token::Kind::EndOfText: return "the end of the text";
    case Token::Kind::String: return "a string";
    default: return fmt::format("'{}'", token.text);
  }
}

std::vector<Token> tokenize(std::string_view text) { return Lexer(text).run(); }

bool is_identifier(std::string_view word) {
  return !word.empty() && is_letter(word.front()) && std::ranges::all_of(word, is_word);
}

bool is_generated_name(std::string_view word) {
  return word.size() > 1 && word.front() == '_' && std::ranges::all_of(word.substr(1), is_digit);
}

std::string quote(std::string_view content) {
  std::string quoted = "\"";
  for (char c : content) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '\n') {
      quoted += "\\n";
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string unquote(std::string_view quoted) {
  std::string content;
  for (std::size_t k = 1; k + 1 < quoted.size(); ++k) {
    const bool escaped = quoted[k] == '\\';
    if (escaped) ++k;
    content += escaped && quoted[k] == 'n' ? '\n' : quoted[k];
  }
  return content;
}

}  // namespace fovea::ir
