#include "runtime/layout.h"

#include <algorithm>

#include "runtime/view.h"

namespace fovea::runtime {

namespace {

std::vector<int> results_of(const Step& step) {
  if (const Plain* plain = step.plain()) return plain->results;
  std::vector<int> buffers;
  const Tiled* tiled = step.tiled();
  if (!tiled) return buffers;
  for (const Tiled::Result& result : tiled->results) buffers.push_back(result.buffer);
  for (const Tiled::Accumulator& sum : tiled->accumulators) {
    if (std::ranges::find(buffers, sum.buffer) == buffers.end()) buffers.push_back(sum.buffer);
  }
  return buffers;
}

std::vector<bool> independent_batch(const Tiled& tiled) {
  std::vector<bool> independent(tiled.batch.size(), true);
  for (const Tiled::Accumulator& sum : tiled.accumulators) {
    const auto result = std::ranges::find(tiled.results, sum.buffer, &Tiled::Result::buffer);
    for (std::size_t n = 0; n < independent.size(); ++n) {
      const bool runs = result != tiled.results.end() &&
                        std::ranges::count(result->along, static_cast<int>(n)) > 0;
      if (!runs) independent[n] = false;
    }
  }
  return independent;
}

class Layouter {
 public:
  explicit Layouter(const Program& program) : program_(program) {
    for (const Step& step : program.steps) {
      layout_.results.push_back(results_of(step));
      const Tiled* tiled = step.tiled();
      layout_.independent.push_back(tiled ? independent_batch(*tiled) : std::vector<bool>());
    }
  }

  Layout make() {
    if (!(check_sizes() && check_steps() && find_phases() && order_symbols())) return layout_;
    for (std::size_t b = 0; b < program_.buffers.size(); ++b) {
      const Buffer& buffer = program_.buffers[b];
      int phase = 0;
      for (const Size& size : buffer.shape) phase = std::max(phase, phase_of(size));
      layout_.buffer_phase.push_back(phase);
      const bool bound = buffer.role == Buffer::Role::input || buffer.role == Buffer::Role::output;
      if (bound) layout_.bound.push_back(static_cast<int>(b));
    }
    return layout_;
  }

 private:
  template <class... Parts>
  bool wrong(const Parts&... parts) {
    layout_.status = failure(Code::internal, "the program is inconsistent: ", parts...);
    return false;
  }
  bool is_buffer(int b) const { return b >= 0 && b < static_cast<int>(program_.buffers.size()); }
  bool is_symbol(std::int64_t s) const {
    return s >= 0 && s < static_cast<std::int64_t>(program_.symbols.size());
  }
  bool is_size(const Size& size) const {
    return std::ranges::all_of(size, [&](const SizeTerm& term) {
      return term.kind != SizeTerm::Kind::symbol || is_symbol(term.value);
    });
  }

  bool check_sizes() {
    for (const Symbol& symbol : program_.symbols) {
      if (!is_size(symbol.size)) return wrong("axis '", symbol.name, "' needs an unknown one");
      if (symbol.largest_of < 0) continue;
      const bool buffer = is_buffer(symbol.largest_of);
      const Dtype type =
          buffer ? program_.buffers[static_cast<std::size_t>(symbol.largest_of)].type : Dtype::F32;
      if (is_float(type)) return wrong("axis '", symbol.name, "' has no integer degree");
    }
    for (const Buffer& buffer : program_.buffers) {
      if (!std::ranges::all_of(buffer.shape, [&](const Size& size) { return is_size(size); })) {
        return wrong("buffer '", buffer.name, "' has an unknown axis");
      }
      if (buffer.role == Buffer::Role::stored &&
          (buffer.slot < 0 || buffer.slot >= program_.slots)) {
        return wrong("buffer '", buffer.name, "' has no slot");
      }
    }
    return true;
  }

  // Of a tiled step, or of one that knows neither rows nor batch coordinates.
  bool check_arguments(const Step& step, const Call& call, const Tiled* tiled) {
    using Kind = Argument::Kind;
    for (const Argument& argument : call.arguments) {
      const bool fits = argument.kind == Kind::buffer ? is_buffer(argument.index)
                        : argument.kind == Kind::size ? is_symbol(argument.index)
                        : argument.kind == Kind::batch
                            ? tiled && argument.index >= 0 &&
                                  argument.index < static_cast<int>(tiled->batch.size())
                            : tiled != nullptr;
      if (!fits) return wrong("an argument of step '", step.name, "' does not exist");
    }
    return true;
  }

  bool check_parts(const Tiled& tiled) {
    const auto rank = [&](int b) {
      return static_cast<int>(program_.buffers[static_cast<std::size_t>(b)].shape.size());
    };
    for (const Tiled::State& state : tiled.states) {
      if (!is_buffer(state.buffer)) return false;
      if (state.follows < 0) continue;
      if (state.follows >= static_cast<int>(tiled.states.size())) return false;
      const int maximum = tiled.states[static_cast<std::size_t>(state.follows)].buffer;
      if (!is_buffer(maximum) || rank(maximum) != static_cast<int>(state.along.size()) ||
          std::ranges::any_of(state.along, [&](int d) { return d < 0 || d >= rank(state.buffer); }))
        return false;
    }
    const bool packed = std::ranges::all_of(tiled.packed, [&](int b) { return is_buffer(b); });
    const bool alone = tiled.shared < 0 && tiled.members == 1;
    const bool shared = tiled.shared >= 0 && tiled.members >= 1 && tiled.accumulators.empty() &&
                        tiled.shared < static_cast<int>(tiled.batch.size());
    return packed && (alone || shared);
  }

  bool check_tiled(const Step& step, const Tiled& tiled) {
    if (!is_symbol(tiled.rows) || !is_symbol(tiled.columns) || !tiled.step.function ||
        tiled.row_tile < 1 || tiled.column_block < 1 || tiled.chunk < 1 ||
        !std::ranges::all_of(tiled.batch, [&](int symbol) { return is_symbol(symbol); })) {
      return wrong("step '", step.name, "' has no plane");
    }
    for (const Tiled::Accumulator& sum : tiled.accumulators) {
      if (!is_buffer(sum.buffer)) return wrong("step '", step.name, "' adds to nothing");
      const Dtype type = program_.buffers[static_cast<std::size_t>(sum.buffer)].type;
      if (type != Dtype::F32 && type != Dtype::I32 && type != Dtype::Bool) {
        return wrong("step '", step.name, "' adds to a buffer of type ", name(type));
      }
    }
    for (const Tiled::Result& result : tiled.results) {
      const bool fits =
          is_buffer(result.buffer) &&
          result.along.size() ==
              program_.buffers[static_cast<std::size_t>(result.buffer)].shape.size() &&
          std::ranges::all_of(result.along, [&](int along) {
            return along >= Tiled::kColumns && along < static_cast<int>(tiled.batch.size());
          });
      if (!fits) return wrong("a result of step '", step.name, "' does not exist");
    }
    if (!tiled.absorb.function != !tiled.recall.function ||
        !std::ranges::all_of(tiled.carried, [&](int buffer) { return is_buffer(buffer); }))
      return wrong("the state of step '", step.name, "' does not exist");
    if (!check_parts(tiled)) return wrong("the tiles of step '", step.name, "' have no parts");
    if (tiled.doubt >= 0 && !is_buffer(tiled.doubt))
      return wrong("the doubt of step '", step.name, "' does not exist");
    const Call* calls[] = {&tiled.prepare,       &tiled.step,   &tiled.revisit, &tiled.finish,
                           &tiled.mask.evaluate, &tiled.absorb, &tiled.recall};
    return std::ranges::all_of(
        calls, [&](const Call* call) { return check_arguments(step, *call, &tiled); });
  }

  bool check_steps() {
    for (const Step& step : program_.steps) {
      if (!check_arguments(step, step.exact, nullptr)) return false;
      if (const Tiled* tiled = step.tiled(); tiled && !check_tiled(step, *tiled)) return false;
      if (const Plain* plain = step.plain()) {
        if (!plain->call.function || plain->results.empty() ||
            (plain->divisible && plain->results.size() != 1)) {
          return wrong("step '", step.name, "' has no result");
        }
        if (!check_arguments(step, plain->call, nullptr)) return false;
      }
      if (const Check* check = step.check();
          check && !(is_buffer(check->low) && is_buffer(check->high) && is_symbol(check->symbol))) {
        return wrong("step '", step.name, "' checks nothing");
      }
      const auto index = static_cast<std::size_t>(&step - program_.steps.data());
      for (const int buffer : layout_.results[index]) {
        if (!is_buffer(buffer)) return wrong("a result of step '", step.name, "' does not exist");
      }
    }
    return true;
  }

  bool find_phases() {
    layout_.symbol_phase.assign(program_.symbols.size(), 0);
    layout_.phase_after.assign(program_.steps.size(), 0);
    layout_.ragged.resize(1);
    std::vector<int> after(program_.symbols.size(), -1);  // the step, or none for inputs
    for (std::size_t s = 0; s < program_.symbols.size(); ++s) {
      const Symbol& symbol = program_.symbols[s];
      if (symbol.largest_of < 0) continue;
      if (program_.buffers[static_cast<std::size_t>(symbol.largest_of)].role ==
          Buffer::Role::input) {
        begin_phase(s, !layout_.ragged_inputs);
        layout_.ragged_inputs = true;
        continue;
      }
      for (std::size_t step = 0; step < program_.steps.size(); ++step) {
        const std::vector<int>& results = layout_.results[step];
        if (std::ranges::find(results, symbol.largest_of) != results.end())
          after[s] = static_cast<int>(step);
      }
      if (after[s] < 0) return wrong("nothing computes the degree of axis '", symbol.name, "'");
    }
    for (std::size_t step = 0; step < program_.steps.size(); ++step) {
      for (std::size_t s = 0; s < after.size(); ++s) {
        if (after[s] != static_cast<int>(step)) continue;
        begin_phase(s, layout_.phase_after[step] == 0);
        layout_.phase_after[step] = layout_.symbol_phase[s];
      }
    }
    return true;
  }

  void begin_phase(std::size_t symbol, bool fresh) {
    if (fresh) layout_.ragged.emplace_back();
    layout_.ragged.back().push_back(static_cast<int>(symbol));
    layout_.symbol_phase[symbol] = static_cast<int>(layout_.ragged.size()) - 1;
  }

  int phase_of(const Size& size) const {
    int phase = 0;
    for (const SizeTerm& term : size) {
      if (term.kind == SizeTerm::Kind::symbol) {
        phase = std::max(phase, layout_.symbol_phase[static_cast<std::size_t>(term.value)]);
      }
    }
    return phase;
  }

  bool order_symbols() {
    std::vector<bool> placed(program_.symbols.size(), false);
    while (layout_.order.size() < program_.symbols.size()) {
      const std::size_t before = layout_.order.size();
      for (std::size_t s = 0; s < program_.symbols.size(); ++s) {
        const Size& size = program_.symbols[s].size;
        const bool ready = std::ranges::all_of(size, [&](const SizeTerm& term) {
          return term.kind != SizeTerm::Kind::symbol ||
                 placed[static_cast<std::size_t>(term.value)];
        });
        if (placed[s] || !ready) continue;
        placed[s] = true;
        layout_.order.push_back(static_cast<int>(s));
        layout_.symbol_phase[s] = std::max(layout_.symbol_phase[s], phase_of(size));
      }
      if (layout_.order.size() == before) return wrong("axes need each other's extents");
    }
    return true;
  }

  const Program& program_;
  Layout layout_;
};

}  // namespace

Layout lay_out(const Program& program) { return Layouter(program).make(); }

}  // namespace fovea::runtime
