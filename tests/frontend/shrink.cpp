// Makes programs that fail smaller (trial.h): outputs are dropped, expressions replaced by their
// operands or by constants, statements by inputs, axes and extents taken away, as long as the
// program stays valid and its verdict of one kind.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "ir/ast.h"
#include "ir/text.h"
#include "tests/frontend/random_axes.h"
#include "tests/frontend/trial.h"

namespace fovea::test {
namespace {

using ir::ExprId;
using ir::kNone;

int level_of(ir::Fn fn) {
  constexpr std::pair<int, std::string_view> kLevels[] = {
      {0, "||"}, {1, "&&"}, {2, "=="}, {2, "!="}, {2, "<"}, {2, "<="}, {2, ">"},
      {2, ">="}, {3, "+"},  {3, "-"},  {4, "*"},  {4, "/"}, {4, "%"}};
  if (ir::arity(fn) == 1) return 5;
  for (const auto& [level, sign] : kLevels)
    if (sign == ir::name(fn)) return level;
  return 6;
}

// What edits do to a program while it is written.
struct Edit {
  std::map<ExprId, std::string> replaced;  // an expression by a text
  std::set<std::size_t> dropped;           // statements
  std::map<std::size_t, std::string> restated;
};

class Writer {
 public:
  Writer(const ir::Program& program, const Edit& edit) : program_(program), edit_(edit) {}

  std::string operator()() const {
    std::string text;
    for (std::size_t n = 0; n < program_.statements.size(); ++n) {
      if (edit_.dropped.contains(n)) continue;
      const auto restated = edit_.restated.find(n);
      text += restated != edit_.restated.end() ? restated->second : statement(n);
    }
    return text;
  }

  std::string expression(ExprId id, int least = 0) const {
    if (const auto found = edit_.replaced.find(id); found != edit_.replaced.end())
      return "(" + found->second + ")";
    const auto& form = program_.exprs[static_cast<std::size_t>(id)].form;
    const auto [text, level] = std::visit([&](const auto& each) { return write(each); }, form);
    return level < least ? "(" + text + ")" : text;
  }

 private:
  using Text = std::pair<std::string, int>;

  static Text write(const ir::Literal& literal) {
    const double x = literal.value;
    if (literal.dtype == ir::Dtype::Bool) return {x != 0 ? "true" : "false", 6};
    if (literal.dtype == ir::Dtype::I32) return {fmt::format("{:.0f}", x), x < 0 ? 5 : 6};
    std::string digits = fmt::format("{}", x);
    if (std::isfinite(x) && digits.find_first_of(".e") == digits.npos) digits += ".0";
    return {digits, x < 0 ? 5 : 6};
  }
  static Text write(const ir::Reference& reference) { return {std::string(reference.name), 6}; }
  static Text write(const ir::AxisList& list) {
    std::vector<std::string_view> names;
    for (const ir::Word& word : list.axes) names.push_back(word.text);
    return {fmt::format("({})", fmt::join(names, ", ")), 6};
  }
  Text write(const ir::Operation& operation) const {
    const int level = level_of(operation.fn);
    const std::string_view sign = ir::name(operation.fn);
    if (operation.operands.size() == 1)
      return {fmt::format("{}{}", sign, expression(operation.operands[0], 6)), 5};
    return {fmt::format("{} {} {}", expression(operation.operands[0], level == 2 ? 3 : level), sign,
                        expression(operation.operands[1], level + 1)),
            level};
  }
  Text write(const ir::Call& call) const {
    std::vector<std::string> arguments;
    for (const ExprId argument : call.arguments) arguments.push_back(expression(argument));
    return {fmt::format("{}({})", call.function, fmt::join(arguments, ", ")), 6};
  }
  Text write(const ir::Elsewhere& read) const {
    std::vector<std::string> all;
    for (const auto& at : read.at) {
      std::string one = fmt::format("{} = {}", at.axis.text, expression(at.coordinate));
      if (at.otherwise != kNone) one += " else " + expression(at.otherwise);
      all.push_back(one);
    }
    return {fmt::format("{}[{}]", expression(read.of, 6), fmt::join(all, ", ")), 6};
  }

  static std::string names(const std::vector<ir::Word>& words) {
    std::vector<std::string_view> all;
    for (const ir::Word& word : words) all.push_back(word.text);
    return fmt::format("{}", fmt::join(all, ", "));
  }

  std::string statement(std::size_t n) const {
    const ir::Statement& statement = program_.statements[n];
    if (const auto* axis = std::get_if<ir::AxisDeclaration>(&statement)) return write_axis(*axis);
    if (const auto* input = std::get_if<ir::InputDeclaration>(&statement))
      return fmt::format("{} : {}[{}]\n", input->name.text, ir::name(input->dtype),
                         names(input->axes));
    if (const auto* definition = std::get_if<ir::Definition>(&statement))
      return fmt::format(
          "{}{}{} = {}\n", definition->is_output ? "out " : "", definition->name.text,
          definition->axes && definition->is_output ? "[" + names(*definition->axes) + "]" : "",
          expression(definition->root));
    return "";
  }

  static std::string write_axis(const ir::AxisDeclaration& axis) {
    using Kind = ir::ExtentTerm::Kind;
    constexpr std::string_view kSigns = "  +-*/";  // by Kind
    std::vector<std::string> stack;
    for (const auto& term : axis.extent) {
      if (term.kind == Kind::Number)
        stack.push_back(std::to_string(term.number));
      else if (term.kind == Kind::Axis)
        stack.emplace_back(term.axis.text);
      else {
        const std::string right = stack.back();
        stack.pop_back();
        const bool last = &term == &axis.extent.back();
        stack.back() =
            fmt::format("{}{} {} {}{}", last ? "" : "(", stack.back(),
                        kSigns[static_cast<std::size_t>(term.kind)], right, last ? "" : ")");
      }
    }
    std::string text = "axis " + std::string(axis.name.text);
    if (!stack.empty()) text += " = " + stack.back();
    if (axis.degree) text += " < " + std::string(axis.degree->text);
    return text + "\n";
  }

  const ir::Program& program_;
  const Edit& edit_;
};

std::string_view name_of(const ir::Statement& statement) {
  if (const auto* axis = std::get_if<ir::AxisDeclaration>(&statement)) return axis->name.text;
  if (const auto* input = std::get_if<ir::InputDeclaration>(&statement)) return input->name.text;
  if (const auto* definition = std::get_if<ir::Definition>(&statement))
    return definition->name.text;
  return "";
}

// Without statements that no output needs.
std::string pruned(const std::string& text) {
  const ir::Program program = ir::parse_syntax(text);
  std::set<std::string> needed;
  const Edit none;
  const Writer writer(program, none);
  for (const auto& statement : program.statements)
    if (const auto* definition = std::get_if<ir::Definition>(&statement);
        definition && definition->is_output)
      needed.insert(std::string(definition->name.text));
  for (std::size_t before = 0; before != needed.size();) {
    before = needed.size();
    for (std::size_t n = 0; n < program.statements.size(); ++n) {
      if (!needed.contains(std::string(name_of(program.statements[n])))) continue;
      Edit alone;
      for (std::size_t other = 0; other < program.statements.size(); ++other)
        if (other != n) alone.dropped.insert(other);
      for (const std::string& name : names_in(Writer(program, alone)())) needed.insert(name);
    }
  }
  Edit edit;
  for (std::size_t n = 0; n < program.statements.size(); ++n)
    if (!needed.contains(std::string(name_of(program.statements[n])))) edit.dropped.insert(n);
  return Writer(program, edit)();
}

std::vector<ExprId> operands_of(const ir::Expr& expr) {
  if (const auto* operation = std::get_if<ir::Operation>(&expr.form)) return operation->operands;
  if (const auto* call = std::get_if<ir::Call>(&expr.form)) return call->arguments;
  std::vector<ExprId> all;
  if (const auto* read = std::get_if<ir::Elsewhere>(&expr.form)) {
    all.push_back(read->of);
    for (const auto& at : read->at) {
      all.push_back(at.coordinate);
      if (at.otherwise != kNone) all.push_back(at.otherwise);
    }
  }
  return all;
}

// All programs that are one edit smaller, those that take most away first.
class Smaller {
 public:
  explicit Smaller(const std::string& text) : text_(text), program_(ir::parse_syntax(text)) {
    graph_ = ir::parse(text_);
  }

  std::vector<std::string> operator()() {
    drop_outputs();
    cut_statements();
    replace_expressions();
    shrink_inputs();
    shrink_axes();
    return std::move(found_);
  }

 private:
  void add(const Edit& edit) {
    std::string text;
    try {
      text = pruned(Writer(program_, edit)());
      (void)ir::parse(text);
    } catch (const Error&) {
      return;
    }
    if (text != text_ && seen_.insert(text).second) found_.push_back(std::move(text));
  }

  template <class T>
  void for_each(const std::function<void(std::size_t, const T&)>& visit) {
    for (std::size_t n = 0; n < program_.statements.size(); ++n)
      if (const T* statement = std::get_if<T>(&program_.statements[n])) visit(n, *statement);
  }

  void drop_outputs() {
    for_each<ir::Definition>([&](std::size_t n, const ir::Definition& definition) {
      if (definition.is_output) add({{}, {n}, {}});
    });
  }

  // `x = …` becomes an input of that type; the last statements first, which need most.
  void cut_statements() {
    for (std::size_t n = program_.statements.size(); n-- > 0;) {
      const auto* definition = std::get_if<ir::Definition>(&program_.statements[n]);
      if (!definition || definition->is_output) continue;
      for (const ir::Node& node : graph_.nodes) {
        if (node.name != definition->name.text) continue;
        std::vector<std::string> axes;
        for (const ir::AxisId axis : node.type.axes) axes.push_back(graph_.axis(axis).name);
        add({{},
             {},
             {{n, fmt::format("{} : {}[{}]\n", node.name, ir::name(node.type.dtype),
                              fmt::join(axes, ", "))}}});
      }
      // Or an output.
      Edit edit;
      edit.restated[n] = fmt::format("out {} = {}\n", definition->name.text,
                                     Writer(program_, {}).expression(definition->root));
      for_each<ir::Definition>([&](std::size_t other, const ir::Definition& each) {
        if (each.is_output && other != n) edit.dropped.insert(other);
      });
      add(edit);
    }
  }

  void replace_expressions() {
    const Edit none;
    const Writer writer(program_, none);
    for (std::size_t n = program_.exprs.size(); n-- > 0;) {
      const auto id = static_cast<ExprId>(n);
      for (const ExprId operand : operands_of(program_.exprs[n])) {
        if (std::holds_alternative<ir::AxisList>(
                program_.exprs[static_cast<std::size_t>(operand)].form))
          continue;
        add({{{id, writer.expression(operand)}}, {}, {}});
      }
      if (std::holds_alternative<ir::AxisList>(program_.exprs[n].form)) {
        for (const ir::Word& word : std::get<ir::AxisList>(program_.exprs[n].form).axes)
          add_unbracketed(id, std::string(word.text));
        continue;
      }
      for (const char* constant : {"true", "0", "1", "1.0"})
        if (writer.expression(id) != constant) add({{{id, constant}}, {}, {}});
    }
  }

  void add_unbracketed(ExprId id, const std::string& axis) { add({{{id, axis}}, {}, {}}); }

  void shrink_inputs() {
    for_each<ir::InputDeclaration>([&](std::size_t n, const ir::InputDeclaration& input) {
      for (const ir::Word& gone : input.axes) {
        std::vector<std::string_view> axes;
        for (const ir::Word& axis : input.axes)
          if (axis.text != gone.text) axes.push_back(axis.text);
        add({{},
             {},
             {{n, fmt::format("{} : {}[{}]\n", input.name.text, ir::name(input.dtype),
                              fmt::join(axes, ", "))}}});
      }
      if (input.dtype != ir::Dtype::F32 && ir::is_float(input.dtype))
        add({{},
             {},
             {{n, fmt::format("{} : f32[{}]\n", input.name.text,
                              fmt::join(names_of(input.axes), ", "))}}});
    });
  }

  static std::vector<std::string_view> names_of(const std::vector<ir::Word>& words) {
    std::vector<std::string_view> names;
    for (const ir::Word& word : words) names.push_back(word.text);
    return names;
  }

  void shrink_axes() {
    for_each<ir::AxisDeclaration>([&](std::size_t n, const ir::AxisDeclaration& axis) {
      if (axis.extent.size() != 1 || axis.extent[0].kind != ir::ExtentTerm::Kind::Number) return;
      for (const std::int64_t extent :
           {std::int64_t{1}, std::int64_t{2}, axis.extent[0].number / 2})
        if (extent > 0 && extent < axis.extent[0].number)
          add({{}, {}, {{n, fmt::format("axis {} = {}\n", axis.name.text, extent)}}});
    });
  }

  const std::string& text_;
  ir::Program program_;
  Graph graph_;
  std::vector<std::string> found_;
  std::set<std::string> seen_;
};

class Shrinker {
 public:
  Shrinker(const Trial& trial, const std::string& verdict, double seconds)
      : best_(trial),
        kind_(kind_of(verdict)),
        until_(Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                  std::chrono::duration<double>(seconds))) {}

  Trial operator()() {
    best_.text = pruned(best_.text);
    one_size();
    while (Clock::now() < until_ && (smaller_text() || smaller_sizes())) {
    }
    simpler_rules();
    forget_rules();
    return best_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool take(const Trial& trial) {
    if (Clock::now() > until_ || kind_of(verdict(trial)) != kind_) return false;
    best_ = trial;
    return true;
  }

  void one_size() {
    for (const Sizes& sizes : best_.sizes) {
      Trial trial = best_;
      trial.sizes = {sizes};
      if (take(trial)) return;
    }
  }

  // Goes on where the last edit was found, so that what failed is not tried again at once.
  bool smaller_text() {
    bool any = false;
    std::size_t from = 0;
    for (bool found = true; found && Clock::now() < until_;) {
      found = false;
      const std::vector<std::string> all = Smaller(best_.text)();
      for (std::size_t n = 0; n < all.size() && !found; ++n) {
        Trial trial = best_;
        trial.text = all[(n + from) % all.size()];
        found = take(trial);
        if (found) from += n;
      }
      any = any || found;
    }
    return any;
  }

  bool smaller_sizes() {
    bool any = false;
    for (const auto& [name, size] : Sizes(best_.sizes[0]))
      for (const std::int64_t less :
           {std::int64_t{1}, std::int64_t{2}, std::int64_t{3}, size / 2, size - 1}) {
        if (less < 0 || less >= best_.sizes[0].at(name)) continue;
        Trial trial = best_;
        trial.sizes[0][name] = less;
        if (!take(trial)) continue;
        any = true;
        break;
      }
    return any;
  }

  void simpler_rules() {
    for (const auto& [name, rule] : InputRules(best_.rules)) {
      Trial trial = best_;
      trial.rules.erase(name);
      take(trial);
    }
  }

  // Of inputs that are gone.
  void forget_rules() {
    const std::set<std::string> names = names_in(best_.text);
    std::erase_if(best_.rules, [&](const auto& each) { return !names.contains(each.first); });
  }

  Trial best_;
  std::string kind_;
  Clock::time_point until_;
};

}  // namespace

Trial shrink(const Trial& trial, const std::string& verdict, double seconds) {
  return Shrinker(trial, verdict, seconds)();
}

}  // namespace fovea::test
