// ir/ast.h — a text as it was written: statements and expressions, names not yet looked up.
//
// Expressions lie in one list, operands before what uses them, so that a pass over a range of it is
// a walk without recursion. All views point into the text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ir/graph.h"
#include "ir/lexer.h"

namespace fovea::ir {

struct Word {
  std::string_view text;
  Position at;
};

using ExprId = std::int32_t;  // index into Program::exprs, or kNone

struct Literal {
  double value = 0;
  Dtype dtype = Dtype::F32;
};

// A value, or an axis.
struct Reference {
  std::string_view name;
};

// `(n, w)`: several axes, the first argument of a function of axes.
struct AxisList {
  std::vector<Word> axes;
};

struct Operation {
  Fn fn = Fn::Add;
  std::vector<ExprId> operands;
};

struct Call {
  std::string_view function;
  std::vector<ExprId> arguments;
};

// `of[axis = coordinate else otherwise, …]`
struct Elsewhere {
  struct At {
    Word axis;
    ExprId coordinate = kNone;
    ExprId otherwise = kNone;
  };
  ExprId of = kNone;
  std::vector<At> at;
};

struct Expr {
  Position at;  // of the operator, the function's name, the bracket: what an error would point at
  std::variant<Literal, Reference, AxisList, Operation, Call, Elsewhere> form;
};

// One axis of an `axis` statement.
struct AxisDeclaration {
  struct Term {
    ExtentTerm::Kind kind = ExtentTerm::Kind::Number;
    std::int64_t number = 0;
    Word axis;
  };
  Word name;
  std::vector<Term> extent;  // postfix
  std::optional<Word> degree;
};

struct InputDeclaration {
  Word name;
  Dtype dtype = Dtype::F32;
  std::vector<Word> axes;
};

struct Definition {
  Word name;
  bool is_output = false;
  std::optional<std::vector<Word>> axes;  // `name[axes] = …`
  ExprId first = kNone;                   // its expressions are first … root
  ExprId root = kNone;
};

struct KernelDeclaration {
  Position at;
  Kernel kernel;  // the names below not yet filled in
  std::vector<Word> results;
  std::optional<Word> row, column, visible, solid, shared;
};

using Statement = std::variant<AxisDeclaration, InputDeclaration, Definition, KernelDeclaration>;

struct Program {
  std::vector<Expr> exprs;
  std::vector<Statement> statements;
};

// Brackets and unary operators nested deeper than this are an error, so that no text overflows the
// stack.
constexpr int kMaxNesting = 200;

Program parse_syntax(std::string_view text);

// The dtype of this name.
std::optional<Dtype> find_dtype(std::string_view word);

}  // namespace fovea::ir
