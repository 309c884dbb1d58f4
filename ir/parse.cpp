// Statements become nodes in dependency order, which differs from the order of the text only in
// that the degree of a ragged axis may be defined after the axis is declared and used.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "ir/ast.h"
#include "ir/build.h"
#include "ir/functions.h"
#include "ir/geometry_functions.h"
#include "ir/require.h"
#include "ir/symbols.h"
#include "ir/text.h"

namespace fovea::ir {
namespace {

class Elaborator {
 public:
  explicit Elaborator(std::string_view text)
      : text_(text),
        program_(parse_syntax(text)),
        symbols_(text),
        values_(program_.exprs.size(), kNone) {}

  Graph run() {
    for (std::size_t k = 0; k < program_.statements.size(); ++k) declare(k);
    done_.resize(program_.statements.size(), Progress::None);
    for (std::size_t k = 0; k < program_.statements.size(); ++k) build_with_needs(k);
    if (outputs_.empty())
      fail(end_of_text(), "the end of the text", "an output, such as 'out o = ...'");
    return at(first_output_, [&] { return b_.finish(std::move(outputs_), std::move(kernels_)); });
  }

 private:
  using Kind = Symbols::Kind;
  enum class Progress { None, Begun, Done };
  struct Need {
    std::size_t statement;
    Word because;
  };

  [[noreturn]] void fail(Position at, std::string_view found, std::string_view expected) const {
    fail_at(text_, at, found, expected);
  }

  // What the builder refuses is told with the place in the text.
  template <class Build>
  auto at(Position position, Build build) -> decltype(build()) {
    try {
      return build();
    } catch (const Error& error) {
      throw Error(error.code(), locate(text_, position, error.what()));
    }
  }

  Position end_of_text() const {
    const std::vector<Token> tokens = tokenize(text_);
    return tokens.back().at;
  }

  // ---- names

  const Symbol& find_degree(const AxisDeclaration& axis) const {
    return symbols_.find(*axis.degree, "the degree of a ragged axis", Kind::Either);
  }

  NodeId node(Word word) {
    const Symbol& symbol = symbols_.find(word, "a value", Kind::Either);
    return symbol.axis == kNone ? symbol.node : b_.index(symbol.axis);
  }

  // ---- first all names, and axes with their extents

  void declare(std::size_t k) {
    const Statement& statement = program_.statements[k];
    if (const auto* axis = std::get_if<AxisDeclaration>(&statement)) declare(*axis, k);
    if (const auto* input = std::get_if<InputDeclaration>(&statement))
      symbols_.define(input->name, k);
    if (const auto* definition = std::get_if<Definition>(&statement)) {
      if (!stores_itself(*definition)) symbols_.define(definition->name, k);
    }
  }

  // `out p = p`: an output called as the value that it stores.
  bool stores_itself(const Definition& definition) const {
    const auto& root = program_.exprs[static_cast<std::size_t>(definition.root)].form;
    const auto* reference = std::get_if<Reference>(&root);
    return definition.is_output && reference != nullptr &&
           reference->name == definition.name.text && symbols_.has(definition.name.text);
  }

  void declare(const AxisDeclaration& declaration, std::size_t k) {
    Extent extent;
    for (const AxisDeclaration::Term& term : declaration.extent) {
      ExtentTerm out{term.kind, term.number, kNone};
      if (term.kind == ExtentTerm::Kind::Axis) out.axis = symbols_.axis(term.axis);
      extent.push_back(out);
    }
    const AxisId id =
        at(declaration.name.at, [&] { return b_.axis(declaration.name.text, std::move(extent)); });
    symbols_.define(declaration.name, k, id);
    if (declaration.degree) degree_of_.emplace(declaration.degree->text, &declaration);
  }

  // ---- then statements, each after those that it needs

  void build_with_needs(std::size_t first) {
    struct Frame {
      std::size_t statement;
      std::vector<Need> needs;
      std::size_t next = 0;
    };
    if (done_[first] == Progress::Done) return;
    done_[first] = Progress::Begun;
    std::vector<Frame> stack{{first, needs(first)}};
    while (!stack.empty()) {
      Frame& top = stack.back();
      if (top.next == top.needs.size()) {
        build(top.statement);
        done_[top.statement] = Progress::Done;
        stack.pop_back();
        continue;
      }
      const Need& need = top.needs[top.next++];
      if (done_[need.statement] == Progress::Done) continue;
      if (done_[need.statement] == Progress::Begun)
        fail(need.because.at,
             fmt::format("axis '{}' in what its own degree is made of", need.because.text),
             "a degree that does not depend on its axis");
      done_[need.statement] = Progress::Begun;
      stack.push_back({need.statement, needs(need.statement)});
    }
  }

  // The statements that a name stands for: its own, and of a ragged axis that of the degree.
  void add_need(std::vector<Need>& all, Word word, std::size_t user, std::string_view expected,
                bool values) const {
    const Symbol& symbol =
        symbols_.find_above(word, user, expected, values ? Kind::Either : Kind::Axis);
    if (symbol.axis == kNone) return all.push_back({symbol.statement, word});
    const auto& declaration = std::get<AxisDeclaration>(program_.statements[symbol.statement]);
    if (symbol.statement == user || !declaration.degree) return;
    const Symbol& degree = find_degree(declaration);
    if (degree.axis == kNone) all.push_back({degree.statement, word});
  }

  std::vector<Need> needs(std::size_t k) const {
    std::vector<Need> all;
    const auto add = [&](const std::vector<Word>& words) {
      for (Word word : words) add_need(all, word, k, "an axis", false);
    };
    const Statement& statement = program_.statements[k];
    if (const auto* input = std::get_if<InputDeclaration>(&statement)) add(input->axes);
    if (const auto* kernel = std::get_if<KernelDeclaration>(&statement)) {
      for (Word word : kernel->results) add_need(all, word, k, "a value", true);
      for (const auto& word : {kernel->visible, kernel->solid})
        if (word) add_need(all, *word, k, "a value", true);
    }
    if (const auto* definition = std::get_if<Definition>(&statement)) {
      if (definition->axes) add(*definition->axes);
      for (ExprId id = definition->first; id <= definition->root; ++id) add_needs(all, id, k);
    }
    return all;
  }

  void add_needs(std::vector<Need>& all, ExprId id, std::size_t user) const {
    const Expr& expr = program_.exprs[static_cast<std::size_t>(id)];
    if (const auto* reference = std::get_if<Reference>(&expr.form))
      add_need(all, {reference->name, expr.at}, user, "a value or an axis", true);
    if (const auto* list = std::get_if<AxisList>(&expr.form))
      for (Word word : list->axes) add_need(all, word, user, "an axis", false);
    if (const auto* read = std::get_if<Elsewhere>(&expr.form))
      for (const auto& at : read->at) add_need(all, at.axis, user, "an axis", false);
  }

  void build(std::size_t k) {
    std::visit(Overloaded{[&](const AxisDeclaration& axis) { build(axis, k); },
                          [&](const InputDeclaration& input) { build(input); },
                          [&](const Definition& definition) { build(definition); },
                          [&](const KernelDeclaration& kernel) { build(kernel); }},
               program_.statements[k]);
  }

  void build(const AxisDeclaration& declaration, std::size_t k) {
    if (!declaration.degree) return;
    const Symbol& degree = find_degree(declaration);
    if (degree.axis == kNone) return;  // set as soon as it is built
    symbols_.find_above(*declaration.degree, k, "an axis declared before", Kind::Axis);
    set_degree(declaration, b_.index(degree.axis));
  }

  void set_degree(const AxisDeclaration& declaration, NodeId degree) {
    at(declaration.degree->at,
       [&] { b_.set_degree(symbols_[declaration.name.text].axis, degree); });
  }

  void finish_value(Word word, NodeId node) {
    symbols_.set_node(word.text, node);
    const auto [first, last] = degree_of_.equal_range(word.text);
    for (auto axis = first; axis != last; ++axis) set_degree(*axis->second, node);
  }

  void check_unragged(Word word, std::string_view what, const std::vector<AxisId>& axes) {
    for (AxisId id : axes) {
      if (b_.axis(id).degree == kNone) continue;
      throw Error(Code::unsupported,
                  locate(text_, word.at,
                         fmt::format("{} {} varies along the ragged axis {}, which may be summed "
                                     "away but not stored",
                                     what, word.text, b_.axis(id).name)));
    }
  }

  void build(const InputDeclaration& input) {
    const std::vector<AxisId> layout = symbols_.axes(input.axes);
    check_unragged(input.name, "input", layout);
    finish_value(input.name,
                 at(input.name.at, [&] { return b_.input(input.name.text, input.dtype, layout); }));
  }

  std::string axis_names(const std::vector<AxisId>& ids) const {
    std::string all;
    for (AxisId id : ids) all += fmt::format("{}{}", all.empty() ? "" : ", ", b_.axis(id).name);
    return "[" + all + "]";
  }

  void build(const Definition& definition) {
    for (ExprId id = definition.first; id <= definition.root; ++id) evaluate(id);
    const NodeId node = value(definition.root);
    std::vector<AxisId> layout;
    if (definition.axes) {
      layout = symbols_.axes(*definition.axes);
      std::vector<AxisId> given = layout, found = b_[node].type.axes;
      std::ranges::sort(given);
      std::ranges::sort(found);
      if (given != found)
        throw Error(
            Code::dimension_mismatch,
            locate(text_, definition.name.at,
                   fmt::format("found axes {} of '{}', expected each axis of its value "
                               "once, {}",
                               axis_names(layout), definition.name.text, axis_names(found))));
    }
    if (definition.is_output) {
      check_unragged(definition.name, "output", b_[node].type.axes);
      if (outputs_.empty()) first_output_ = definition.name.at;
      outputs_.push_back({std::string(definition.name.text), node, std::move(layout)});
    } else if (!is_generated_name(definition.name.text)) {
      at(definition.name.at, [&] { b_.set_name(node, definition.name.text); });
    }
    finish_value(definition.name, node);
  }

  void build(const KernelDeclaration& declaration) {
    Kernel kernel = declaration.kernel;
    for (Word word : declaration.results) kernel.results.push_back(node(word));
    if (declaration.row && declaration.row->text != "_")
      kernel.row = symbols_.axis(*declaration.row);
    if (declaration.column) kernel.column = symbols_.axis(*declaration.column);
    if (declaration.visible) kernel.visible = node(*declaration.visible);
    if (declaration.solid) kernel.solid = node(*declaration.solid);
    if (declaration.shared) kernel.shared = symbols_.axis(*declaration.shared);
    kernels_.push_back(std::move(kernel));
  }

  // ---- expressions

  NodeId value(ExprId id) {
    const Expr& expr = program_.exprs[static_cast<std::size_t>(id)];
    if (const auto* reference = std::get_if<Reference>(&expr.form))
      return node({reference->name, expr.at});
    if (std::holds_alternative<AxisList>(expr.form))
      fail(expr.at, "a list of axes", "a value; lists are first arguments of functions of axes");
    return values_[static_cast<std::size_t>(id)];
  }

  void evaluate(ExprId id) {
    const Expr& expr = program_.exprs[static_cast<std::size_t>(id)];
    NodeId& result = values_[static_cast<std::size_t>(id)];
    std::visit(Overloaded{[](const Reference&) {}, [](const AxisList&) {},
                          [&](const Literal& literal) {
                            result = at(expr.at,
                                        [&] { return b_.constant(literal.value, literal.dtype); });
                          },
                          [&](const Operation& operation) {
                            result = map(expr.at, operation.fn, operation.operands);
                          },
                          [&](const Call& call) { result = evaluate(call, expr.at); },
                          [&](const Elsewhere& read) { result = evaluate(read, expr.at); }},
               expr.form);
  }

  NodeId map(Position position, Fn fn, const std::vector<ExprId>& operands) {
    std::vector<NodeId> inputs;
    for (ExprId operand : operands) inputs.push_back(value(operand));
    return at(position, [&] { return b_.map(fn, std::move(inputs)); });
  }

  NodeId evaluate(const Elsewhere& read, Position position) {
    std::vector<Builder::At> all;
    for (const Elsewhere::At& one : read.at) {
      const NodeId otherwise = one.otherwise == kNone ? kNone : value(one.otherwise);
      all.push_back({symbols_.axis(one.axis), value(one.coordinate), otherwise});
    }
    const NodeId of = value(read.of);
    return at(position, [&] { return b_.read(of, std::move(all)); });
  }

  bool is_axes(ExprId id) const {
    const Expr& expr = program_.exprs[static_cast<std::size_t>(id)];
    if (std::holds_alternative<AxisList>(expr.form)) return true;
    const auto* reference = std::get_if<Reference>(&expr.form);
    return reference != nullptr && symbols_[reference->name].axis != kNone;
  }

  std::vector<AxisId> axes(ExprId id) const {
    const Expr& expr = program_.exprs[static_cast<std::size_t>(id)];
    if (const auto* list = std::get_if<AxisList>(&expr.form)) return symbols_.axes(list->axes);
    if (const auto* reference = std::get_if<Reference>(&expr.form))
      return {symbols_.axis({reference->name, expr.at})};
    fail(expr.at, "an expression", "an axis, or several as in (i, j)");
  }

  AxisId one_axis(ExprId id) const {
    const std::vector<AxisId> all = axes(id);
    if (all.size() > 1)
      fail(program_.exprs[static_cast<std::size_t>(id)].at, "a list of axes", "one axis");
    return all.front();
  }

  void expect_arguments(const Call& call, Position position, std::size_t count) const {
    if (call.arguments.size() == count) return;
    fail(position,
         fmt::format("{} argument{} of '{}'", call.arguments.size(),
                     call.arguments.size() == 1 ? "" : "s", call.function),
         fmt::format("{}", count));
  }

  NodeId evaluate(const Call& call, Position position) {
    const std::optional<Fn> element = find_element_fn(call.function);
    const std::optional<AxisFn> of_axes = find_axis_fn(call.function);
    if (of_axes && (!element || is_axes(call.arguments.front())))
      return fold(call, *of_axes, position);
    if (element) {
      expect_arguments(call, position, static_cast<std::size_t>(arity(*element)));
      return map(position, *element, call.arguments);
    }
    if (const GeometryFn* fn = find_geometry_fn(call.function))
      return geometry(call, *fn, position);
    const std::optional<Dtype> dtype = find_dtype(call.function);
    if (!dtype) fail_unknown(call, position);
    expect_arguments(call, position, 1);
    const NodeId x = value(call.arguments.front());
    return at(position, [&] { return b_.cast(*dtype, x); });
  }

  [[noreturn]] void fail_unknown(const Call& call, Position position) const {
    fail(position, fmt::format("the unknown function '{}'", call.function),
         "a function" + suggestion(call.function, function_names()));
  }

  NodeId geometry(const Call& call, const GeometryFn& fn, Position position) {
    if (fn.values >= 0)
      expect_arguments(call, position, static_cast<std::size_t>(fn.axes + fn.values));
    GeometryArguments arguments;
    auto next = call.arguments.begin();
    if (fn.axes == 2) arguments.points = axes(*next++);
    if (fn.axes > 0) arguments.coordinates = axes(*next++);
    while (next != call.arguments.end()) arguments.values.push_back(value(*next++));
    return at(position, [&] { return make_geometry(b_, fn, arguments); });
  }

  NodeId fold(const Call& call, AxisFn fn, Position position) {
    expect_arguments(call, position, fn == AxisFn::Size ? 1 : fn == AxisFn::TopK ? 3 : 2);
    if (fn == AxisFn::Size || fn == AxisFn::TopK || fn == AxisFn::ArgMax || fn == AxisFn::CumSum)
      return fold_one(call, fn, position);
    const std::vector<AxisId> along = axes(call.arguments[0]);
    const NodeId x = value(call.arguments[1]);
    if (fn == AxisFn::Any || fn == AxisFn::All) expect_bool(call, x);
    return at(position, [&] {
      switch (fn) {
        case AxisFn::Sum: return b_.sum(along, x);
        case AxisFn::Mean: return b_.mean(along, x);
        case AxisFn::Softmax: return b_.softmax(along, x);
        case AxisFn::LogSumExp: return b_.logsumexp(along, x);
        default: break;
      }
      const bool least = fn == AxisFn::Min || fn == AxisFn::All;
      return b_.fold(least ? ReduceFn::Min : ReduceFn::Max, along, x);
    });
  }

  NodeId fold_one(const Call& call, AxisFn fn, Position position) {
    const AxisId along = one_axis(call.arguments[0]);
    if (fn == AxisFn::Size) return at(position, [&] { return b_.size(along); });
    const AxisId into = fn == AxisFn::TopK ? one_axis(call.arguments[1]) : kNone;
    const NodeId x = value(call.arguments.back());
    return at(position, [&] {
      if (fn == AxisFn::TopK) return b_.topk(along, into, x);
      if (fn == AxisFn::CumSum) return b_.scan(along, x);
      return b_.reduce(ReduceFn::ArgMax, along, x);
    });
  }

  void expect_bool(const Call& call, NodeId x) const {
    const Dtype found = b_[x].type.dtype;
    if (found == Dtype::Bool) return;
    const Position at = program_.exprs[static_cast<std::size_t>(call.arguments[1])].at;
    fail(at, fmt::format("{}", name(found)),
         fmt::format("bool in '{}', such as a comparison", call.function));
  }

  std::string_view text_;
  Program program_;
  Builder b_;
  Symbols symbols_;
  std::multimap<std::string_view, const AxisDeclaration*> degree_of_;
  std::vector<NodeId> values_;  // of every expression, once it is built
  std::vector<Progress> done_;  // of every statement
  std::vector<Output> outputs_;
  std::vector<Kernel> kernels_;
  Position first_output_;
};

}  // namespace

Graph parse(std::string_view text) { return Elaborator(text).run(); }

}  // namespace fovea::ir
