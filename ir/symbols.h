// ir/symbols.h — what the names of a text stand for. Axes and values share one space of names.
#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "ir/ast.h"

namespace fovea::ir {

struct Symbol {
  std::size_t statement = 0;  // that defines it
  Position at;
  AxisId axis = kNone;  // or a value:
  NodeId node = kNone;  // once it is built
};

// Every failure is a syntax error at the word, with the name that was probably meant.
class Symbols {
 public:
  explicit Symbols(std::string_view text) : text_(text) {}

  void define(Word word, std::size_t statement, AxisId axis = kNone);
  bool has(std::string_view name) const { return named_.contains(name); }

  enum class Kind { Axis, Value, Either };
  // `expected` describes what the place takes, `kind` what is suggested.
  const Symbol& find(Word word, std::string_view expected, Kind kind) const;
  // The same, defined by a statement before `user`.
  const Symbol& find_above(Word word, std::size_t user, std::string_view expected, Kind kind) const;

  AxisId axis(Word word) const;
  std::vector<AxisId> axes(const std::vector<Word>& words) const;  // each once

  // Of names that are known to be defined.
  const Symbol& operator[](std::string_view name) const { return named_.find(name)->second; }
  void set_node(std::string_view name, NodeId node) { named_.find(name)->second.node = node; }

 private:
  std::string_view text_;
  std::map<std::string_view, Symbol> named_;
};

}  // namespace fovea::ir
