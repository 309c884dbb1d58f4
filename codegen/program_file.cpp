#include "codegen/program_file.h"

#include <bit>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace fovea::codegen {
namespace {

using namespace runtime;

constexpr std::string_view kMagic = "fovea program 3";

// Numbers are little-endian, enumerations one byte, strings and lists have their length in front.
// Writer and Reader have the same interface, so that each structure is described once, by `visit`.
class Writer {
 public:
  void number(std::int64_t value) {
    for (int n = 0; n < 8; n++)
      bytes_.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * n)));
  }
  void number(int value) { number(std::int64_t{value}); }
  void number(bool value) { number(std::int64_t{value}); }
  void number(float value) { number(std::int64_t{std::bit_cast<std::int32_t>(value)}); }
  template <class Enum>
  void kind(Enum value, Enum) {
    bytes_.push_back(static_cast<char>(value));
  }
  void text(std::string_view value) {
    number(static_cast<std::int64_t>(value.size()));
    bytes_ += value;
  }
  template <class... Kinds, class Visit>
  void one_of(const std::variant<Kinds...>& value, Visit visit) {
    bytes_.push_back(static_cast<char>(value.index()));
    std::visit([&](const auto& kind) { visit(*this, kind); }, value);
  }
  template <class Item, class Visit>
  void list(const std::vector<Item>& items, Visit visit) {
    number(static_cast<std::int64_t>(items.size()));
    for (const Item& item : items) visit(*this, item);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// After the first thing that is not right everything reads as 0 or empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  void number(std::int64_t& value) {
    value = 0;
    if (!take(8)) return;
    std::uint64_t bits = 0;
    for (int n = 0; n < 8; n++)
      bits |= std::uint64_t{static_cast<unsigned char>(taken_[n])} << (8 * n);
    value = static_cast<std::int64_t>(bits);
  }
  void number(int& value) { value = static_cast<int>(within(INT32_MIN, INT32_MAX)); }
  void number(bool& value) { value = within(0, 1) != 0; }
  void number(float& value) {
    value = std::bit_cast<float>(static_cast<std::int32_t>(within(INT32_MIN, INT32_MAX)));
  }
  template <class Enum>
  void kind(Enum& value, Enum last) {
    value = {};
    if (!take(1)) return;
    const auto found = static_cast<unsigned char>(taken_[0]);
    good_ = good_ && found <= static_cast<std::underlying_type_t<Enum>>(last);
    if (good_) value = static_cast<Enum>(found);
  }
  void text(std::string& value) {
    const std::int64_t length = within(0, static_cast<std::int64_t>(rest_.size()));
    value.clear();
    if (take(static_cast<std::size_t>(length))) value = taken_;
  }
  template <class... Kinds, class Visit>
  void one_of(std::variant<Kinds...>& value, Visit visit) {
    if (!take(1)) return;
    const auto index = static_cast<unsigned char>(taken_[0]);
    good_ = good_ && index < sizeof...(Kinds);
    std::size_t at = 0;
    ((at++ == index ? static_cast<void>(value.template emplace<Kinds>()) : void()), ...);
    std::visit([&](auto& kind) { visit(*this, kind); }, value);
  }
  template <class Item, class Visit>
  void list(std::vector<Item>& items, Visit visit) {
    items.clear();
    // Every item takes a byte at least, so that no length makes for more memory than there are
    // bytes.
    const std::int64_t length = within(0, static_cast<std::int64_t>(rest_.size()));
    for (std::int64_t n = 0; good_ && n < length; n++) visit(*this, items.emplace_back());
  }
  bool is_at_end() const { return good_ && rest_.empty(); }

 private:
  bool take(std::size_t size) {
    good_ = good_ && size <= rest_.size();
    if (!good_) return false;
    taken_ = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  std::int64_t within(std::int64_t low, std::int64_t high) {
    std::int64_t value = 0;
    number(value);
    good_ = good_ && low <= value && value <= high;
    return good_ ? value : 0;
  }

  std::string_view rest_, taken_;
  bool good_ = true;
};

constexpr auto visit_number = [](auto& file, auto& value) { file.number(value); };

constexpr auto visit_size = [](auto& file, auto& size) {
  file.list(size, [](auto& f, auto& term) {
    f.kind(term.kind, SizeTerm::Kind::min);
    f.number(term.value);
  });
};

constexpr auto visit_symbol = [](auto& file, auto& symbol) {
  file.text(symbol.name);
  visit_size(file, symbol.size);
  file.number(symbol.largest_of);
  file.text(symbol.from);
};

constexpr auto visit_buffer = [](auto& file, auto& buffer) {
  file.text(buffer.name);
  file.kind(buffer.role, Buffer::Role::scratch);
  file.kind(buffer.type, Dtype::Bool);
  file.list(buffer.shape, visit_size);
  file.number(buffer.slot);
};

constexpr auto visit_call = [](auto& file, auto& call) {
  file.list(call.arguments, [](auto& f, auto& argument) {
    f.kind(argument.kind, Argument::Kind::from);
    f.number(argument.index);
  });
};

constexpr auto visit_predicate = [](auto& file, auto& predicate) {
  file.list(predicate, [](auto& f, auto& op) {
    f.kind(op.kind, PredicateOp::Kind::unknown);
    f.number(op.value);
  });
};

constexpr auto visit_plain = [](auto& file, auto& plain) {
  visit_call(file, plain.call);
  file.list(plain.results, visit_number);
  file.number(plain.divisible);
  file.number(plain.excludes);
  file.number(plain.cuttable);
};

constexpr auto visit_tiled = [](auto& file, auto& tiled) {
  file.list(tiled.batch, visit_number);
  for (auto* number : {&tiled.rows, &tiled.columns, &tiled.row_tile, &tiled.column_block,
                       &tiled.chunk, &tiled.doubt, &tiled.shared, &tiled.members})
    file.number(*number);
  for (auto* call : {&tiled.prepare, &tiled.step, &tiled.revisit, &tiled.finish,
                     &tiled.mask.evaluate, &tiled.absorb, &tiled.recall})
    visit_call(file, *call);
  file.list(tiled.carried, visit_number);
  visit_predicate(file, tiled.mask.visible);
  visit_predicate(file, tiled.mask.solid);
  file.list(tiled.states, [](auto& f, auto& state) {
    f.number(state.buffer);
    f.kind(state.fold, Tiled::State::Fold::min);
    f.number(state.follows);
    f.list(state.along, visit_number);
    f.number(state.scale);
  });
  file.list(tiled.packed, visit_number);
  file.number(tiled.pair_work);
  file.list(tiled.accumulators, [](auto& f, auto& accumulator) {
    f.number(accumulator.buffer);
    f.number(accumulator.value);
  });
  file.list(tiled.results, [](auto& f, auto& result) {
    f.number(result.buffer);
    f.list(result.along, visit_number);
    f.number(result.excludes);
    f.number(result.maxima);
  });
};

constexpr auto visit_check = [](auto& file, auto& check) {
  for (auto* number : {&check.low, &check.high, &check.symbol}) file.number(*number);
  file.text(check.what);
};

constexpr auto visit_step = [](auto& file, auto& step) {
  file.text(step.name);
  file.one_of(step.work, [](auto& f, auto& work) {
    using Work = std::remove_cvref_t<decltype(work)>;
    if constexpr (std::is_same_v<Work, Plain>)
      visit_plain(f, work);
    else if constexpr (std::is_same_v<Work, Tiled>)
      visit_tiled(f, work);
    else
      visit_check(f, work);
  });
};

constexpr auto visit_program = [](auto& file, auto& program) {
  file.list(program.symbols, visit_symbol);
  file.list(program.buffers, visit_buffer);
  file.list(program.steps, visit_step);
  file.number(program.slots);
};

}  // namespace

std::string write_program(const Program& program, std::string_view object) {
  Writer file;
  file.text(kMagic);
  visit_program(file, program);
  file.text(object);
  return file.take();
}

std::optional<ProgramFile> read_program(std::string_view bytes) {
  Reader file(bytes);
  ProgramFile read;
  std::string magic;
  file.text(magic);
  if (magic != kMagic) return {};
  visit_program(file, read.program);
  file.text(read.object);
  if (!file.is_at_end()) return {};
  return read;
}

}  // namespace fovea::codegen
