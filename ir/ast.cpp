#include "ir/ast.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "ir/require.h"

namespace fovea::ir {
namespace {

struct Operator {
  std::string_view symbol;
  Fn fn;
  int level;  // higher binds tighter
};
constexpr Operator kOperators[] = {
    {"||", Fn::Or, 0}, {"&&", Fn::And, 1}, {"==", Fn::Eq, 2}, {"!=", Fn::Ne, 2}, {"<", Fn::Lt, 2},
    {"<=", Fn::Le, 2}, {">", Fn::Gt, 2},   {">=", Fn::Ge, 2}, {"+", Fn::Add, 3}, {"-", Fn::Sub, 3},
    {"*", Fn::Mul, 4}, {"/", Fn::Div, 4},  {"%", Fn::Mod, 4},
};

std::string dtype_names() {
  std::string names;
  for (const auto& row : runtime::kDtypes)
    names += fmt::format("{}{}", names.empty() ? "" : " ", row.name);
  return names;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), tokens_(tokenize(text)) {}

  Program run() {
    while (here().kind != Token::Kind::EndOfText) {
      statement();
      if (here().kind != Token::Kind::EndOfLine) fail(expected_after_statement());
      next();
    }
    return std::move(program_);
  }

 private:
  const Token& here() const { return tokens_[position_]; }
  const Token& after() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  const Token& next() { return tokens_[position_++]; }

  [[noreturn]] void fail(std::string_view expected) const {
    fail_at(text_, here().at, describe(here()), expected);
  }
  [[noreturn]] void fail(Position at, std::string_view found, std::string_view expected) const {
    fail_at(text_, at, found, expected);
  }

  bool accept(std::string_view symbol) {
    if (!here().is(symbol)) return false;
    next();
    return true;
  }
  void expect(std::string_view symbol) {
    if (!accept(symbol)) fail(fmt::format("'{}'", symbol));
  }
  Word expect_name(std::string_view what) {
    if (here().kind != Token::Kind::Name) fail(what);
    const Token& token = next();
    constexpr std::string_view kReserved[] = {"inf", "nan", "true", "false"};
    if (std::ranges::find(kReserved, token.text) != std::end(kReserved))
      fail(token.at, fmt::format("the constant '{}'", token.text), what);
    return {token.text, token.at};
  }

  // Where something in brackets goes on, or not.
  bool list_goes_on(std::string_view close, Position opened) {
    if (accept(",")) return true;
    if (accept(close)) return false;
    fail(fmt::format("',' or '{}' to close the bracket at {}:{}", close, opened.line,
                     opened.column));
  }

  std::string_view expected_after_statement() const {
    const auto& last = program_.statements.back();
    return std::holds_alternative<Definition>(last) ? "an operator or the end of the line"
                                                    : "the end of the line";
  }

  // ---- statements

  // `axis`, `out` and `kernel` are words of the language only where a name follows, so values may
  // be called so.
  bool at_keyword(std::string_view word) const {
    return here().is_name(word) && !after().is("=") && !after().is(":") && !after().is("[");
  }

  void statement() {
    if (here().kind != Token::Kind::Name) fail("a statement");
    if (at_keyword("axis")) return axes();
    if (at_keyword("kernel")) return kernel();
    if (!at_keyword("out") && after().is(":")) return input();
    definition();
  }

  void axes() {
    next();
    do {
      AxisDeclaration axis;
      axis.name = expect_name("the name of an axis");
      if (accept("=")) extent(axis.extent, 0);
      if (accept("<")) axis.degree = expect_name("the name of the degree of a ragged axis");
      program_.statements.emplace_back(std::move(axis));
    } while (accept(","));
  }

  void extent(std::vector<AxisDeclaration::Term>& terms, int level) {
    using Kind = ExtentTerm::Kind;
    if (level == 2) return extent_primary(terms);
    extent(terms, level + 1);
    for (;;) {
      const Token& token = here();
      Kind kind = level == 0 ? Kind::Add : Kind::Mul;
      if (token.is(level == 0 ? "-" : "/")) {
        kind = level == 0 ? Kind::Sub : Kind::Div;
      } else if (!token.is(level == 0 ? "+" : "*")) {
        return;
      }
      next();
      extent(terms, level + 1);
      terms.push_back({kind, 0, {}});
    }
  }

  void extent_primary(std::vector<AxisDeclaration::Term>& terms) {
    if (here().kind == Token::Kind::Integer) {
      terms.push_back({ExtentTerm::Kind::Number, integer(false), {}});
    } else if (here().kind == Token::Kind::Name) {
      terms.push_back({ExtentTerm::Kind::Axis, 0, expect_name("an integer or an axis")});
    } else if (accept("(")) {
      const Nesting nesting(*this);
      extent(terms, 0);
      expect(")");
    } else {
      fail("an integer, an axis or '('");
    }
  }

  std::vector<Word> bracketed_axes() {
    const Position opened = here().at;
    expect("[");
    std::vector<Word> names;
    if (accept("]")) return names;
    do {
      names.push_back(expect_name("the name of an axis"));
    } while (list_goes_on("]", opened));
    return names;
  }

  void input() {
    InputDeclaration input;
    input.name = expect_name("the name of an input");
    expect(":");
    const std::string expected = "a dtype: " + dtype_names();
    const Word word = expect_name(expected);
    const std::optional<Dtype> dtype = find_dtype(word.text);
    if (!dtype) fail(word.at, fmt::format("'{}'", word.text), expected);
    input.dtype = *dtype;
    input.axes = bracketed_axes();
    program_.statements.emplace_back(std::move(input));
  }

  void definition() {
    Definition definition;
    definition.is_output = at_keyword("out");
    if (definition.is_output) next();
    definition.name = expect_name("the name of a value");
    if (here().is("[")) definition.axes = bracketed_axes();
    if (!accept("=")) fail(definition.is_output ? "'=' or '['" : "'=', ':' or '['");
    definition.first = static_cast<ExprId>(program_.exprs.size());
    definition.root = expression();
    program_.statements.emplace_back(std::move(definition));
  }

  void kernel() {
    KernelDeclaration declared;
    declared.at = next().at;
    if (here().kind == Token::Kind::String) {
      declared.kernel.name = unquote(next().text);
    } else {
      declared.kernel.name = std::string(expect_name("the name of a kernel").text);
    }
    const Position opened = here().at;
    expect("(");
    do {
      declared.results.push_back(expect_name("the name of a result"));
    } while (list_goes_on(")", opened));
    if (here().is_name("over")) {
      next();
      declared.row = expect_name("the row axis, or _");
      if (accept(",")) declared.column = expect_name("the column axis");
    }
    std::vector<std::string_view> given;
    while (here().kind == Token::Kind::Name) {
      const Token& key = here();
      if (std::ranges::find(given, key.text) != given.end())
        fail(key.at, fmt::format("'{}' a second time", key.text), "each setting once");
      given.push_back(key.text);
      attribute(declared);
    }
    if (declared.shared.has_value() != (declared.kernel.members > 0))
      fail(declared.at, declared.shared ? "share= without members=" : "members= without share=",
           "both or neither");
    program_.statements.emplace_back(std::move(declared));
  }

  void attribute(KernelDeclaration& declared) {
    constexpr std::string_view kAttributes =
        "visible=, solid=, carry=, rows=, columns=, chunk=, lanes=, share=, members=, slots= or "
        "because";
    const Token& key = next();
    Kernel& kernel = declared.kernel;
    if (key.text == "because") {
      if (here().kind != Token::Kind::String) fail("a string");
      kernel.reason = unquote(next().text);
      return;
    }
    constexpr std::string_view kKeys[] = {"visible", "solid", "carry", "rows",    "columns",
                                          "chunk",   "lanes", "share", "members", "slots"};
    if (std::ranges::find(kKeys, key.text) == std::end(kKeys))
      fail(key.at, fmt::format("'{}'", key.text), kAttributes);
    expect("=");
    if (key.text == "visible") declared.visible = expect_name("the name of a value");
    if (key.text == "solid") declared.solid = expect_name("the name of a value");
    if (key.text == "carry") kernel.carries = carries();
    if (key.text == "rows") kernel.row_tile = count();
    if (key.text == "columns") kernel.column_block = count();
    if (key.text == "chunk") kernel.chunk = count();
    if (key.text == "lanes") kernel.lanes = lanes();
    if (key.text == "share") declared.shared = expect_name("the name of an axis");
    if (key.text == "members") kernel.members = count();
    if (key.text == "slots") kernel.slots = slots(key, declared.results.size());
  }

  std::vector<int> slots(const Token& key, std::size_t results) {
    std::vector<int> all;
    do {
      const bool none = here().is_name("_");
      all.push_back(none ? kNone : count());
      if (none) next();
    } while (accept(","));
    if (all.size() != results)
      fail(key.at, fmt::format("{} slots", all.size()),
           fmt::format("one to a result, {}", results));
    return all;
  }

  int count() {
    if (here().kind != Token::Kind::Integer) fail("an integer");
    return static_cast<int>(integer(false));
  }

  bool carries() {
    const Word word = expect_name("solid");
    if (word.text != "solid") fail(word.at, fmt::format("'{}'", word.text), "solid");
    return true;
  }

  Lanes lanes() {
    const Word word = expect_name("rows or columns");
    if (word.text == "rows") return Lanes::Rows;
    if (word.text == "columns") return Lanes::Columns;
    fail(word.at, fmt::format("'{}'", word.text), "rows or columns");
  }

  // ---- expressions

  struct Nesting {
    explicit Nesting(Parser& parser) : of(parser) {
      if (++of.nesting_ > kMaxNesting)
        of.fail(of.here().at, "an expression nested too deeply",
                fmt::format("at most {} levels; give parts of it names", kMaxNesting));
    }
    ~Nesting() { --of.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    Parser& of;
  };

  ExprId add(Position at, decltype(Expr::form) form) {
    program_.exprs.push_back({at, std::move(form)});
    return static_cast<ExprId>(program_.exprs.size()) - 1;
  }

  ExprId expression() {
    const Nesting nesting(*this);
    return binary(0);
  }

  ExprId binary(int level) {
    ExprId left = unary();
    for (;;) {
      const Token& token = here();
      const auto* found = std::ranges::find(kOperators, token.text, &Operator::symbol);
      if (token.kind != Token::Kind::Symbol || found == std::end(kOperators)) return left;
      if (found->level < level) return left;
      next();
      const ExprId right = binary(found->level + 1);
      left = add(token.at, Operation{found->fn, {left, right}});
    }
  }

  static bool is_number(const Token& token) {
    return token.kind == Token::Kind::Integer || token.kind == Token::Kind::Float ||
           token.is_name("inf") || token.is_name("nan");
  }

  ExprId unary() {
    const Token& token = here();
    if (token.is("-") && is_number(after())) {
      next();
      return postfix(add(token.at, literal(true)));
    }
    if (token.is("-") || token.is("!")) {
      next();
      const Nesting nesting(*this);
      return add(token.at, Operation{token.is("-") ? Fn::Neg : Fn::Not, {unary()}});
    }
    return postfix(primary());
  }

  ExprId postfix(ExprId of) {
    while (here().is("[")) {
      const Position opened = next().at;
      Elsewhere read{of, {}};
      do {
        Elsewhere::At at;
        at.axis = expect_name("the axis to read along");
        expect("=");
        at.coordinate = expression();
        if (here().is_name("else")) {
          next();
          at.otherwise = expression();
        }
        read.at.push_back(at);
      } while (list_goes_on("]", opened));
      of = add(opened, std::move(read));
    }
    return of;
  }

  ExprId primary() {
    const Token& token = here();
    if (is_number(token)) return add(token.at, literal(false));
    if (token.is_name("true") || token.is_name("false")) {
      next();
      return add(token.at, Literal{token.text == "true" ? 1.0 : 0.0, Dtype::Bool});
    }
    if (token.kind == Token::Kind::Name) {
      next();
      if (here().is("(")) return call(token);
      return add(token.at, Reference{token.text});
    }
    if (!token.is("(")) fail("an expression");
    if (const auto list = axis_list()) return *list;
    next();
    const ExprId inner = expression();
    if (!accept(")"))
      fail(fmt::format("an operator or ')' to close the bracket at {}:{}", token.at.line,
                       token.at.column));
    return inner;
  }

  // `(a, b)`, told from an expression in brackets by the comma.
  std::optional<ExprId> axis_list() {
    const std::size_t begin = position_;
    const Position opened = next().at;
    const bool listed = here().kind == Token::Kind::Name && after().is(",");
    if (!listed) {
      position_ = begin;
      return std::nullopt;
    }
    AxisList list;
    do {
      list.axes.push_back(expect_name("the name of an axis"));
    } while (list_goes_on(")", opened));
    return add(opened, std::move(list));
  }

  ExprId call(const Token& function) {
    const Position opened = next().at;
    Call call{function.text, {}};
    do {
      call.arguments.push_back(expression());
    } while (list_goes_on(")", opened));
    return add(function.at, std::move(call));
  }

  // ---- numbers

  Literal literal(bool negative) {
    const Token& token = here();
    constexpr auto kInfinity = std::numeric_limits<double>::infinity();
    constexpr auto kNan = std::numeric_limits<double>::quiet_NaN();
    if (token.kind == Token::Kind::Integer)
      return {static_cast<double>(integer(negative)), Dtype::I32};
    double value = token.text == "inf" ? kInfinity : kNan;
    if (token.kind == Token::Kind::Float) {
      const char* end = token.text.data() + token.text.size();
      if (std::from_chars(token.text.data(), end, value).ec != std::errc{})
        fail("a number that a double can hold");
    }
    next();
    return {negative ? -value : value, Dtype::F32};
  }

  std::int64_t integer(bool negative) {
    const Token& token = here();
    constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
    std::int64_t value = 0;
    const char* end = token.text.data() + token.text.size();
    const bool read = std::from_chars(token.text.data(), end, value).ec == std::errc{};
    if (!read || value > kMax + (negative ? 1 : 0))
      fail(fmt::format("an integer that i32 can hold, at most {}", kMax));
    next();
    return negative ? -value : value;
  }

  std::string_view text_;
  std::vector<Token> tokens_;
  std::size_t position_ = 0;
  int nesting_ = 0;
  Program program_;
};

}  // namespace

std::optional<Dtype> find_dtype(std::string_view word) {
  for (const runtime::DtypeRow& row : runtime::kDtypes)
    if (row.name == word) return row.dtype;
  return std::nullopt;
}

Program parse_syntax(std::string_view text) { return Parser(text).run(); }

}  // namespace fovea::ir
