// ir/lexer.h — the text form as tokens, and the one way to point into it when something is wrong.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/error.h"

namespace fovea::ir {

// Counted from 1; columns in characters, not bytes.
struct Position {
  int line = 1;
  int column = 1;
};

// "line:column: message", then the line itself, then a caret below the column.
std::string locate(std::string_view text, Position at, std::string_view message);

// Throws Code::syntax_error: "line:column: found X, expected Y".
[[noreturn]] void fail_at(std::string_view text, Position at, std::string_view found,
                          std::string_view expected);

struct Token {
  enum class Kind { Name, Integer, Float, String, Symbol, EndOfLine, EndOfText };
  Kind kind = Kind::EndOfText;
  std::string_view text;  // as written; a string with its quotes
  Position at;

  bool is(std::string_view symbol) const { return kind == Kind::Symbol && text == symbol; }
  bool is_name(std::string_view word) const { return kind == Kind::Name && text == word; }
};

// "'softmax'", "the end of the line" and so on, for messages.
std::string describe(const Token& token);

// Splits the text; ends with EndOfText. Lines end with EndOfLine unless a bracket is open; empty
// lines and comments leave nothing. Unknown characters, text that is not UTF-8 and numbers that run
// into letters are syntax errors.
std::vector<Token> tokenize(std::string_view text);

// Whether the text form can call something so: a letter or `_`, then letters, digits and `_`.
bool is_identifier(std::string_view word);

// `_1`, `_2`, …: what the text form calls a value that has no name.
bool is_generated_name(std::string_view word);

// A quoted string and back. `unquote` takes a String token's text.
std::string quote(std::string_view content);
std::string unquote(std::string_view quoted);

}  // namespace fovea::ir
