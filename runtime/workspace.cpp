#include "runtime/workspace.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "runtime/sizes.h"

namespace fovea::runtime {

namespace {

// As many elements as indices of 32 bits reach.
constexpr std::int64_t kNarrow = INT32_MAX;

// Whether the text says how much it is.
bool is_fixed(const Program& program, const Size& size) {
  return std::ranges::all_of(size, [&](const SizeTerm& term) {
    if (term.kind != SizeTerm::Kind::symbol) return true;
    const Size& of = program.symbols[static_cast<std::size_t>(term.value)].size;
    return !of.empty() && is_fixed(program, of);
  });
}

// Finds the first row of an empty buffer, and returns how many elements it has.
std::int64_t find_row(const Program& program, const Buffer& buffer, Extents& extents) {
  std::int64_t elements = 1;
  for (std::size_t n = buffer.shape.size(); n-- > 0;) {
    elements *= std::max<std::int64_t>(extents.shape[n], 1);
    extents.row_rank = buffer.shape.size() - n;
    if (!is_fixed(program, buffer.shape[n]) || elements > kNarrow) break;
  }
  return elements;
}

// Copies of tensors that are not dense, and the rows that stand in for empty ones.
bool lies_in_arena(const Bound& bound) { return !bound.dense || bound.elements == 0; }

}  // namespace

Workspace::Workspace(const Program& program, const Layout& layout, int threads)
    : program_(program),
      layout_(layout),
      symbols_(program.symbols.size(), -1),
      numbers_(program.symbols.size(), 0),
      buffers_(program.buffers.size()),
      arenas_(layout.ragged.size()),
      settled_(layout.ragged.size(), false) {
  for (int index = 0; index < threads; ++index) {
    lanes_.push_back(std::make_unique<Lane>(program, *this, index));
  }
}

bool Workspace::matches(std::span<const Binding> bindings, std::span<const NamedSize> sizes,
                        int threads) const {
  if (!planned_ || threads != this->threads() || bindings.size() != bound_.size() ||
      sizes.size() != sizes_.size()) {
    return false;
  }
  for (std::size_t n = 0; n < sizes.size(); ++n) {
    if (sizes[n].value != sizes_[n].second || sizes[n].name != sizes_[n].first) return false;
  }
  for (std::size_t n = 0; n < bindings.size(); ++n) {
    const Buffer& buffer = program_.buffers[static_cast<std::size_t>(bound_[n].buffer)];
    const View& view = bindings[n].view;
    if (view.type != buffer.type || bindings[n].name != buffer.name ||
        !std::ranges::equal(view.shape, bound_[n].shape) ||
        !std::ranges::equal(view.strides, bound_[n].strides)) {
      return false;
    }
  }
  return true;
}

Status Workspace::plan(std::span<const Binding> bindings, std::span<const NamedSize> sizes) {
  planned_ = false;
  bound_.assign(bindings.size(), {});
  sizes_.clear();
  for (const NamedSize& size : sizes) sizes_.emplace_back(size.name, size.value);
  for (std::size_t n = 0; n < bindings.size(); ++n) {
    if (Status status = check_binding(bindings[n], bound_[n]); !status.ok()) return status;
  }
  for (const int wanted : layout_.bound) {
    const Buffer& buffer = program_.buffers[static_cast<std::size_t>(wanted)];
    if (std::ranges::count(bound_, wanted, &Bound::buffer) == 1) continue;
    const bool input = buffer.role == Buffer::Role::input;
    return failure(Code::empty_input, input ? "input '" : "output '", buffer.name,
                   "' is not bound, expected a tensor of ", name(buffer.type));
  }
  settled_.assign(settled_.size(), false);
  for (Extents& extents : buffers_) extents.data = nullptr;
  if (Status status = learn_sizes(sizes); !status.ok()) return status;
  if (Status status = settle(0); !status.ok()) return status;
  planned_ = true;
  return {};
}

Status Workspace::check_binding(const Binding& binding, Bound& bound) const {
  for (const int index : layout_.bound) {
    const Buffer& buffer = program_.buffers[static_cast<std::size_t>(index)];
    if (buffer.name != binding.name) continue;
    if (std::ranges::count(bound_, index, &Bound::buffer) > 0) {
      return failure(Code::invalid_config, "tensor '", binding.name,
                     "' is bound twice, expected once");
    }
    bound.buffer = index;
    return examine(buffer, binding.view, bound);
  }
  Suggestion suggestion(binding.name);
  for (const int index : layout_.bound)
    suggestion.offer(program_.buffers[static_cast<std::size_t>(index)].name);
  return failure(Code::invalid_config, "there is no tensor called '", binding.name, "'",
                 suggestion.text());
}

Status Workspace::learn_sizes(std::span<const NamedSize> sizes) {
  std::ranges::fill(symbols_, -1);
  std::vector<std::string> told_by(symbols_.size());
  const auto contradicts = [&](std::size_t symbol, std::int64_t value, const std::string& source) {
    if (symbols_[symbol] >= 0) return symbols_[symbol] != value;
    symbols_[symbol] = value;
    told_by[symbol] = source;
    return false;
  };
  for (const Bound& bound : bound_) {
    const Buffer& buffer = program_.buffers[static_cast<std::size_t>(bound.buffer)];
    if (buffer.role != Buffer::Role::input) continue;
    for (std::size_t n = 0; n < bound.shape.size(); ++n) {
      const int symbol = single_symbol(buffer.shape[n]);
      if (symbol < 0) continue;
      const Symbol& axis = program_.symbols[static_cast<std::size_t>(symbol)];
      if (!axis.size.empty() || axis.largest_of >= 0) continue;
      const auto index = static_cast<std::size_t>(symbol);
      if (!contradicts(index, bound.shape[n], "tensor '" + buffer.name + "'")) continue;
      return failure(Code::dimension_mismatch, "tensor '", buffer.name, "' gives axis '", axis.name,
                     "' the extent ", bound.shape[n], ", expected ", symbols_[index], " as in ",
                     told_by[index]);
    }
  }
  for (const NamedSize& size : sizes) {
    const auto axis = std::ranges::find(program_.symbols, size.name, &Symbol::name);
    if (axis == program_.symbols.end()) {
      Suggestion suggestion(size.name);
      for (const Symbol& symbol : program_.symbols) suggestion.offer(symbol.name);
      return failure(Code::invalid_config, "there is no axis called '", size.name, "'",
                     suggestion.text());
    }
    if (size.value < 0) {
      return failure(Code::dimension_mismatch, "the size of axis '", size.name, "' is given as ",
                     size.value, ", expected one that is not negative");
    }
    if (axis->largest_of >= 0) {
      return failure(Code::invalid_config, "the size of axis '", size.name, "' is given as ",
                     size.value, ", expected none: it is ragged, its extents are in '",
                     program_.buffers[static_cast<std::size_t>(axis->largest_of)].name, "'");
    }
    const auto symbol = static_cast<std::size_t>(axis - program_.symbols.begin());
    if (!contradicts(symbol, size.value, "the same call")) continue;
    return failure(Code::dimension_mismatch, "the size of axis '", size.name, "' is given as ",
                   size.value, ", expected ", symbols_[symbol], " as in ", told_by[symbol]);
  }
  return {};
}

Status Workspace::settle(int phase) {
  if (Status status = settle_symbols(phase); !status.ok()) return status;
  if (Status status = settle_shapes(phase); !status.ok()) return status;
  if (Status status = allocate(phase); !status.ok()) return status;
  ++shapes_version_;
  settled_[static_cast<std::size_t>(phase)] = true;
  return {};
}

Status Workspace::settle_symbols(int phase) {
  for (const int index : layout_.order) {
    const auto s = static_cast<std::size_t>(index);
    if (layout_.symbol_phase[s] != phase) continue;
    const Symbol& symbol = program_.symbols[s];
    if (!symbol.size.empty()) {
      const std::optional<std::int64_t> value = evaluate(symbol.size, symbols_);
      const std::string formula = print(symbol.size, program_);
      if (!value || *value < 0) {
        return failure(Code::dimension_mismatch, "axis '", symbol.name, "' = ", formula, " is ",
                       value ? std::to_string(*value) : "no number",
                       ", expected an extent that is not negative");
      }
      // A phase after the first finds the value of the last run here; only callers can contradict.
      const auto given =
          std::ranges::find(sizes_, symbol.name, &std::pair<std::string, std::int64_t>::first);
      if (given != sizes_.end() && given->second != *value) {
        return failure(Code::dimension_mismatch, "the size of axis '", symbol.name,
                       "' is given as ", given->second, ", expected ", *value, " = ", formula);
      }
      symbols_[s] = *value;
    } else if (symbols_[s] < 0) {
      return failure(Code::empty_input, "the size of axis '", symbol.name,
                     "' is missing, expected it by name, for no input has this axis");
    }
    if (symbols_[s] > INT32_MAX) {
      return failure(Code::input_too_large, "axis '", symbol.name, "' has the extent ", symbols_[s],
                     ", expected at most 2147483647");
    }
    numbers_[s] = static_cast<std::int32_t>(symbols_[s]);
  }
  return {};
}

Status Workspace::settle_shapes(int phase) {
  const Buffer* beyond = nullptr;  // what indices of these functions reach
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    if (layout_.buffer_phase[b] != phase) continue;
    const Buffer& buffer = program_.buffers[b];
    Extents& extents = buffers_[b];
    extents.shape.clear();
    extents.elements = 1;
    std::int64_t stored = 1;
    bool large = false;
    for (const Size& size : buffer.shape) {
      const std::int64_t extent = evaluate(size, symbols_).value_or(-1);
      if (extent < 0) {
        return failure(Code::dimension_mismatch, "buffer '", buffer.name, "' has the extent ",
                       extent, " = ", print(size, program_), ", expected one that is not negative");
      }
      extents.shape.push_back(extent);
      const bool packed = is_packed(buffer.type) && extents.shape.size() == buffer.shape.size();
      large |= extent > INT32_MAX;
      large |= __builtin_mul_overflow(extents.elements, extent, &extents.elements);
      large |= __builtin_mul_overflow(stored, packed ? (extent + 1) / 2 : extent, &stored);
    }
    // Bound tensors were measured when they were examined.
    const bool bound = buffer.role == Buffer::Role::input || buffer.role == Buffer::Role::output;
    if (std::ranges::count(extents.shape, 0) > 0) {
      extents.elements = 0;
      stored = find_row(program_, buffer, extents);
      large = false;
    }
    if (large || stored > kMostElements) {
      return failure(Code::input_too_large, "tensor '", buffer.name,
                     "' has more elements than memory can hold");
    }
    if (!program_.wide_indices && stored > kNarrow) beyond = &buffer;
    extents.bytes = static_cast<std::size_t>(stored) * element_bytes(buffer.type);
    if (!bound) continue;
    const auto found = std::ranges::find(bound_, static_cast<int>(b), &Bound::buffer);
    for (std::size_t n = 0; n < extents.shape.size(); ++n) {
      if (found->shape[n] == extents.shape[n]) continue;
      const int symbol = single_symbol(buffer.shape[n]);
      const std::string axis =
          symbol >= 0 ? " (axis '" + program_.symbols[static_cast<std::size_t>(symbol)].name + "')"
          : buffer.shape[n].size() > 1 ? " (" + print(buffer.shape[n], program_) + ")"
                                       : "";
      return failure(Code::dimension_mismatch, "tensor '", buffer.name, "' has the extent ",
                     found->shape[n], " in dimension ", static_cast<std::int64_t>(n), axis,
                     ", expected ", extents.shape[n]);
    }
  }
  if (beyond == nullptr) return {};
  return failure(Code::needs_wide_indices, "tensor '", beyond->name,
                 "' has more elements than indices of 32 bits reach");
}

Status Workspace::allocate(int phase) {
  std::vector<std::size_t> slots(static_cast<std::size_t>(program_.slots),
                                 0);  // sizes, then offsets
  std::size_t scratch = 0, total = 0;
  const auto in_phase = [&](std::size_t b) { return layout_.buffer_phase[b] == phase; };
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    if (!in_phase(b)) continue;
    const Buffer& buffer = program_.buffers[b];
    if (buffer.role == Buffer::Role::scratch) scratch += padded(buffers_[b].bytes);
    if (buffer.role != Buffer::Role::stored) continue;
    std::size_t& slot = slots[static_cast<std::size_t>(buffer.slot)];
    slot = std::max(slot, padded(buffers_[b].bytes));
  }
  for (std::size_t& slot : slots) total += std::exchange(slot, total);
  const std::size_t copies = total;
  for (const Bound& bound : bound_) {
    const auto b = static_cast<std::size_t>(bound.buffer);
    if (in_phase(b) && lies_in_arena(bound)) total += padded(buffers_[b].bytes);
  }
  const std::size_t lanes = total;
  total += scratch * lanes_.size();
  Arena& arena = arenas_[static_cast<std::size_t>(phase)];
  if (!arena.reserve(total)) {
    return failure(Code::input_too_large, "there is no room for ", static_cast<std::int64_t>(total),
                   " bytes of intermediate results");
  }
  std::size_t next = lanes, copy = copies;
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    const Buffer& buffer = program_.buffers[b];
    if (!in_phase(b)) continue;
    if (buffer.role == Buffer::Role::scratch) {
      buffers_[b].data = arena.data() + next;
      buffers_[b].lane_step = scratch;
      next += padded(buffers_[b].bytes);
    } else if (buffer.role == Buffer::Role::stored) {
      buffers_[b].data = arena.data() + slots[static_cast<std::size_t>(buffer.slot)];
    }
  }
  for (const Bound& bound : bound_) {
    const auto b = static_cast<std::size_t>(bound.buffer);
    if (!in_phase(b)) continue;
    if (!lies_in_arena(bound)) {
      buffers_[b].data = bound.data;
      continue;
    }
    buffers_[b].data = arena.data() + copy;
    if (bound.elements == 0) std::memset(buffers_[b].data, 0, buffers_[b].bytes);
    copy += padded(buffers_[b].bytes);
  }
  return {};
}

Status Workspace::bind(std::span<const Binding> bindings) {
  for (std::size_t n = 0; n < bindings.size(); ++n) bound_[n].data = bindings[n].view.data;
  if (Status status = check_memory(program_, bound_); !status.ok()) return status;
  for (const Bound& bound : bound_) {
    const auto b = static_cast<std::size_t>(bound.buffer);
    const bool known = settled_[static_cast<std::size_t>(layout_.buffer_phase[b])];
    if (known && !lies_in_arena(bound)) buffers_[b].data = bound.data;
  }
  ++data_version_;
  return {};
}

Status Workspace::begin_phase(int phase) {
  const auto index = static_cast<std::size_t>(phase);
  for (const int symbol : layout_.ragged[index]) {
    const Symbol& axis = program_.symbols[static_cast<std::size_t>(symbol)];
    std::int64_t largest = 0;
    const Extents& degrees = buffers_[static_cast<std::size_t>(axis.largest_of)];
    if (Status status = largest_degree(program_, axis, degrees, largest); !status.ok())
      return status;
    // Later phases may depend on this one.
    const bool changed = largest != symbols_[static_cast<std::size_t>(symbol)];
    if (changed) std::fill(settled_.begin() + phase, settled_.end(), false);
    symbols_[static_cast<std::size_t>(symbol)] = largest;
  }
  return settled_[index] ? Status{} : settle(phase);
}

void Workspace::gather(int phase) const {
  for (const Bound& bound : bound_) {
    const auto b = static_cast<std::size_t>(bound.buffer);
    if (bound.dense || layout_.buffer_phase[b] != phase ||
        program_.buffers[b].role != Buffer::Role::input)
      continue;
    copy_strided(bound.stored_shape, element_bytes(program_.buffers[b].type), bound.data,
                 bound.stored_strides, buffers_[b].data, bound.dense_strides);
  }
}

void Workspace::deliver() const {
  for (const Bound& bound : bound_) {
    const auto b = static_cast<std::size_t>(bound.buffer);
    if (bound.dense || program_.buffers[b].role != Buffer::Role::output) continue;
    copy_strided(bound.stored_shape, element_bytes(program_.buffers[b].type), buffers_[b].data,
                 bound.dense_strides, bound.data, bound.stored_strides);
  }
}

const BlockList& Workspace::all_blocks(std::int64_t count, bool masked) {
  const auto before = static_cast<std::int64_t>(all_blocks_.blocks.size());
  if (before != count) {
    all_blocks_.blocks.resize(static_cast<std::size_t>(count));
    std::iota(all_blocks_.blocks.begin(), all_blocks_.blocks.end(), 0);
  }
  all_blocks_.clear = masked ? 0 : static_cast<int>(count);
  return all_blocks_;
}

std::span<const BufferRef> Workspace::references() {
  references_.clear();
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    const Extents& extents = buffers_[b];
    references_.push_back({extents.data, program_.buffers[b].type, extents.shape.data(),
                           static_cast<int>(extents.shape.size())});
  }
  return references_;
}

Visits Workspace::take_visits() {
  Visits all;
  for (const std::unique_ptr<Lane>& lane : lanes_) all += std::exchange(lane->visits, {});
  return all;
}

}  // namespace fovea::runtime
