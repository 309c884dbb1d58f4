#include "ir/symbols.h"

#include <fmt/format.h>

#include <algorithm>

#include "ir/functions.h"

namespace fovea::ir {

void Symbols::define(Word word, std::size_t statement, AxisId axis) {
  const auto [old, is_new] = named_.try_emplace(word.text, Symbol{statement, word.at, axis, kNone});
  if (!is_new)
    fail_at(text_, word.at,
            fmt::format("'{}', which is defined on line {}", word.text, old->second.at.line),
            "a new name");
}

const Symbol& Symbols::find(Word word, std::string_view expected, Kind kind) const {
  const auto found = named_.find(word.text);
  if (found != named_.end()) return found->second;
  std::vector<std::string_view> candidates;
  for (const auto& [name, symbol] : named_)
    if (kind == Kind::Either || (kind == Kind::Axis) == (symbol.axis != kNone))
      candidates.push_back(name);
  fail_at(text_, word.at, fmt::format("the undefined name '{}'", word.text),
          fmt::format("{}{}", expected, suggestion(word.text, candidates)));
}

const Symbol& Symbols::find_above(Word word, std::size_t user, std::string_view expected,
                                  Kind kind) const {
  const Symbol& symbol = find(word, expected, kind);
  if (symbol.statement >= user)
    fail_at(text_, word.at,
            fmt::format("'{}' before its definition on line {}", word.text, symbol.at.line),
            expected);
  return symbol;
}

AxisId Symbols::axis(Word word) const {
  const AxisId id = find(word, "an axis", Kind::Axis).axis;
  if (id == kNone) fail_at(text_, word.at, fmt::format("the value '{}'", word.text), "an axis");
  return id;
}

std::vector<AxisId> Symbols::axes(const std::vector<Word>& words) const {
  std::vector<AxisId> ids;
  for (Word word : words) {
    ids.push_back(axis(word));
    if (std::ranges::count(ids, ids.back()) > 1)
      fail_at(text_, word.at, fmt::format("axis '{}' a second time", word.text), "each axis once");
  }
  return ids;
}

}  // namespace fovea::ir
