#include "codegen/predicate.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "ir/query.h"
#include "ir/rewrite.h"
#include "ir/text.h"
#include "runtime/block_list.h"

namespace fovea::codegen {
namespace {

using ir::Fn;
using Coordinates = std::vector<std::int64_t>;  // of each axis

const char* const kInputs = R"(axis b, h, i, j, n, m = j
document : i32[b, j]
owner : i32[b, i]
length : u8[b]
near : i32[h]
keep : bool[n, b, j]
layout : bool[n, h]
seen : bool[i, j]
score : f32[j]
x : f32[i]
)";

// A condition over kInputs with sizes and data: what is true of it at a point, by definition.
struct Problem {
  ir::Graph graph;
  std::vector<std::int64_t> extents;
  std::map<std::string, std::vector<std::int32_t>> data;

  explicit Problem(const std::string& condition, std::uint32_t seed = 1)
      : graph(ir::parse(std::string(kInputs) + "out c = " + condition +
                        "\nout all = document + length + near + keep + layout + owner + seen + "
                        "score + x + m\n")) {
    std::mt19937 random(seed);
    const auto below = [&](int limit) {
      return static_cast<int>(random() % static_cast<unsigned>(limit));
    };
    extents = {2, 3, 1 + below(70), 1 + below(90), 1 + below(12), 0};
    extents[5] = extents[3];
    for (const ir::Node& node : graph.nodes) {
      if (!ir::is_input(node)) continue;
      std::int64_t count = 1;
      for (const ir::AxisId axis : node.type.axes) count *= extents[static_cast<std::size_t>(axis)];
      std::vector<std::int32_t>& values = data[node.name];
      for (std::int64_t k = 0; k < count; ++k) {
        const bool is_bool = node.type.dtype == ir::Dtype::Bool;
        values.push_back(is_bool ? below(2) : static_cast<int>(k) / 9 + below(3));
      }
    }
  }

  ir::NodeId condition() const { return graph.outputs[0].node; }
  bool operator()(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) const {
    return value(condition(), {b, h, i, j, 0, 0}) != 0;
  }
  double value(ir::NodeId id, const Coordinates& at) const;
  double map(const ir::Map& op, const ir::Node& node, const Coordinates& at) const;
  double read(const ir::Read& op, const ir::Node& node, const Coordinates& at) const;
};

double Problem::value(ir::NodeId id, const Coordinates& at) const {
  const ir::Node& node = graph.node(id);
  const auto reduce = [&](const ir::Reduce& op) {
    const auto k = static_cast<std::size_t>(op.axis);
    double result = op.fn == ir::ReduceFn::Min ? 1 : 0;
    for (std::int64_t n = 0; n < extents[k]; ++n) {
      Coordinates there = at;
      there[k] = n;
      const double x = value(node.inputs[0], there);
      result = op.fn == ir::ReduceFn::Sum   ? result + x
               : op.fn == ir::ReduceFn::Max ? std::max(result, x)
                                            : std::min(result, x);
    }
    return result;
  };
  return ir::match(
      node.op,
      [&](const ir::Input& op) -> double {
        std::int64_t offset = 0;
        for (const ir::AxisId axis : node.type.axes) {
          const auto k = static_cast<std::size_t>(axis);
          offset = offset * extents[k] + at[k];
        }
        return data.at(op.name)[static_cast<std::size_t>(offset)];
      },
      [](const ir::Constant& op) { return op.value; },
      [&](const ir::Index& op) -> double {
        return static_cast<double>(at[static_cast<std::size_t>(op.axis)]);
      },
      [&](const ir::Map& op) { return map(op, node, at); }, reduce,
      [](const ir::Scan&) -> double { throw "not here"; },
      [&](const ir::Read& op) { return read(op, node, at); },
      [](const ir::TopK&) -> double { throw "not here"; });
}

double Problem::map(const ir::Map& op, const ir::Node& node, const Coordinates& at) const {
  std::vector<double> x;
  for (const ir::NodeId input : node.inputs) x.push_back(value(input, at));
  switch (op.fn) {
    case Fn::Add: return x[0] + x[1];
    case Fn::Sub: return x[0] - x[1];
    case Fn::Mul: return x[0] * x[1];
    case Fn::Div: return std::floor(x[0] / x[1]);
    case Fn::Mod: return x[0] - std::floor(x[0] / x[1]) * x[1];
    case Fn::Min: return std::min(x[0], x[1]);
    case Fn::Max: return std::max(x[0], x[1]);
    case Fn::Eq: return x[0] == x[1];
    case Fn::Ne: return x[0] != x[1];
    case Fn::Lt: return x[0] < x[1];
    case Fn::Le: return x[0] <= x[1];
    case Fn::Gt: return x[0] > x[1];
    case Fn::Ge: return x[0] >= x[1];
    case Fn::And: return x[0] != 0 && x[1] != 0;
    case Fn::Or: return x[0] != 0 || x[1] != 0;
    case Fn::Not: return x[0] == 0;
    case Fn::Neg: return -x[0];
    case Fn::Abs: return std::abs(x[0]);
    case Fn::Where: return x[0] != 0 ? x[1] : x[2];
    case Fn::Cast:
      switch (node.type.dtype) {
        case ir::Dtype::Bool: return x[0] != 0;
        case ir::Dtype::U8: return std::clamp(x[0], 0.0, 255.0);
        case ir::Dtype::I8: return std::clamp(x[0], -128.0, 127.0);
        case ir::Dtype::I4: return std::clamp(x[0], -8.0, 7.0);
        default: return x[0];
      }
    default: throw "not here";
  }
}

double Problem::read(const ir::Read& op, const ir::Node& node, const Coordinates& at) const {
  Coordinates there = at;
  std::size_t next = 1;
  for (const ir::Read::Coordinate& coordinate : op.at) {
    const auto k = static_cast<std::size_t>(coordinate.axis);
    there[k] = static_cast<std::int64_t>(value(node.inputs[next++], at));
    const bool is_inside = there[k] >= 0 && there[k] < extents[k];
    if (!is_inside) return coordinate.otherwise ? value(node.inputs[next], at) : 0;
    next += coordinate.otherwise ? 1 : 0;
  }
  return value(node.inputs[0], there);
}

// The problem's data as a program's: batch (b, h), symbols as axes, every input stored.
struct Bound {
  runtime::Tiled step;
  BlockPredicate predicate;
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<std::vector<std::uint8_t>> bytes;
  std::vector<runtime::BufferRef> buffers;
};

Places places_of(const ir::Graph& graph) {
  Places places;
  places.row = ir::find_axis(graph, "i");
  places.column = ir::find_axis(graph, "j");
  places.batch = [](ir::AxisId axis) { return axis < 2 ? std::optional<int>(axis) : std::nullopt; };
  places.symbol = [](ir::AxisId axis) { return std::optional<int>(axis); };
  places.stored = [&graph](ir::NodeId id) -> std::optional<Places::Stored> {
    if (!ir::is_input(graph.node(id))) return std::nullopt;
    return Places::Stored{id, graph.node(id).type.axes};
  };
  return places;
}

void bind(const Problem& problem, Bound& bound) {
  const ir::Graph& graph = problem.graph;
  bound.predicate = predicate(graph, problem.condition(), places_of(graph));
  bound.step.batch = {0, 1};
  bound.step.rows = 2;
  bound.step.columns = 3;
  bound.step.row_tile = 7;
  bound.step.column_block = 10;
  bound.step.mask.visible = bound.step.mask.solid = bound.predicate.code;
  bound.shapes.resize(graph.nodes.size());
  bound.bytes.resize(graph.nodes.size());
  for (std::size_t k = 0; k < graph.nodes.size(); ++k) {
    const ir::Node& node = graph.nodes[k];
    runtime::Dtype type = runtime::Dtype::I32;
    if (ir::is_input(node)) {
      for (const ir::AxisId axis : node.type.axes) {
        bound.shapes[k].push_back(problem.extents[static_cast<std::size_t>(axis)]);
      }
      const bool is_byte = node.type.dtype == ir::Dtype::Bool || node.type.dtype == ir::Dtype::U8;
      if (is_byte) type = runtime::Dtype::U8;
      if (node.type.dtype == ir::Dtype::Bool) type = runtime::Dtype::Bool;
      for (const std::int32_t value : problem.data.at(node.name)) {
        const auto* raw = reinterpret_cast<const std::uint8_t*>(&value);
        bound.bytes[k].insert(bound.bytes[k].end(), raw, raw + (is_byte ? 1 : 4));
      }
    }
    bound.buffers.push_back({bound.bytes[k].data(), type, bound.shapes[k].data(),
                             static_cast<int>(bound.shapes[k].size())});
  }
}

// Lists every tile and compares with the definition; exactly, where `tight`.
void check_lists(const Problem& problem, bool tight) {
  Bound bound;
  bind(problem, bound);
  const runtime::BlockLister lister(runtime::Program{}, bound.step, problem.extents, bound.buffers);
  runtime::BlockList list;
  const std::int64_t rows = problem.extents[2], columns = problem.extents[3];
  for (std::int64_t at = 0; at < 6 * ((rows + 6) / 7); ++at) {
    const std::int64_t batch[] = {at % 2, at / 2 % 3}, row = at / 6 * 7;
    lister.list(
        batch, row, [](std::uint8_t*, std::uint8_t*) {}, list);
    for (std::int64_t block = 0; block * 10 < columns; ++block) {
      bool any = false, all = true;
      for (std::int64_t i = row; i < std::min(row + 7, rows); ++i) {
        for (std::int64_t j = block * 10; j < std::min(block * 10 + 10, columns); ++j) {
          const bool holds = problem(batch[0], batch[1], i, j);
          any = any || holds;
          all = all && holds;
        }
      }
      const auto found = std::ranges::find(list.blocks, block);
      const bool is_listed = found != list.blocks.end();
      const bool is_clear = is_listed && found - list.blocks.begin() < list.clear;
      CAPTURE(row);
      CAPTURE(block);
      if (any) REQUIRE(is_listed);
      if (is_clear) REQUIRE(all);
      if (tight) REQUIRE(is_listed == any);
      if (tight) REQUIRE(is_clear == (any && all));
    }
  }
}

void check(const std::string& condition, bool decided, bool tight) {
  CAPTURE(condition);
  for (std::uint32_t seed = 0; seed < 4; ++seed) {
    const Problem problem(condition, seed);
    Bound bound;
    bind(problem, bound);
    CHECK(bound.predicate.decided == decided);
    check_lists(problem, tight);
  }
}

TEST_CASE("no condition is the empty predicate") {
  const Problem problem("j <= i");
  const BlockPredicate result = predicate(problem.graph, ir::kNone, places_of(problem.graph));
  CHECK(result.code.empty());
  CHECK(result.decided);
}

TEST_CASE("index predicates are decided, tightly") {
  for (const char* condition : {"j <= i",
                                "j < i",
                                "j > i",
                                "j >= i",
                                "i - j < 9 && j <= i",
                                "abs(i - j) <= 5",
                                "j <= i + size(j) - size(i)",
                                "!(j <= i)",
                                "j <= i || j < 4",
                                "j < 4.0",
                                "where(i < 20, j < 10, j >= 10)",
                                "max(i - 12, 0) <= j && j <= i",
                                "j / 10 == i / 7",
                                "j % 20 < 10",
                                "h < 1 && j <= i",
                                "true",
                                "false && j <= i",
                                "j < 8 - -b",
                                "bool(b)",
                                "i32(j <= i) + h > 2"}) {
    check(condition, true, true);
  }
}

TEST_CASE("stored integers are loaded") {
  check("j < length", true, true);
  check("i - j < near", true, true);
  check("j <= i && j < length * 3", true, true);
  check("document == owner", true, false);
  check("document == document[j = i]", true, false);
  check("document[j = j - 1] == document", true, false);
  check("document[j = i + 3 else -1] > 2", true, false);
  check("keep[n = b]", true, false);
  check("keep[n = length / 9]", true, false);
  check("u8(j - 20) < 9 && i8(i * 10) < 127", true, true);
  check("length[b = 1 - b] > j", true, true);
  check("u8(j - 20) == 0 && i8(i - 200) == -128 && i8(j + 127) == 127", true, true);
}

TEST_CASE("a read inside of a read") {
  check("(document[j = i] == document)[i = 5]", true, false);
  check("(document[j = m] == 2)[m = i]", true, false);
  check("document[j = near[h = 1] else 7] <= j", true, false);
}

TEST_CASE("rows may be more than columns: outside is 0, not the last element") {
  for (std::uint32_t seed = 0; seed < 16; ++seed) {
    check_lists(Problem("document[j = i] == 0", seed), false);
    check_lists(Problem("(document[j = m] == 0)[m = i]", seed), false);
    check_lists(Problem("document[j = i else 77] == 77", seed), false);
  }
}

TEST_CASE("what intervals cannot see is not decided but safe") {
  check("seen", false, false);
  check("seen && j <= i", false, false);
  check("score > 0.5 || j > i", false, false);
  check("j <= i && f32(j) < x", false, false);
  check("layout[n = i / 10, h = j / 40]", false, false);
  check("any(n, keep)", false, false);
  check("all(n, keep || n > 0) && j <= i", false, false);
  check("sum(n, keep) > 2", false, false);
  check("sum(n, keep) > 2 && j < 12", false, false);
}

TEST_CASE("what is unknown leaves the rest known") {
  const Problem problem("seen && j < 10", 3);
  Bound bound;
  bind(problem, bound);
  const runtime::BlockLister lister(runtime::Program{}, bound.step, problem.extents, bound.buffers);
  runtime::BlockList list;
  const std::int64_t batch[] = {0, 0};
  lister.list(
      batch, 0, [](std::uint8_t*, std::uint8_t*) {}, list);
  CHECK(list.blocks == std::vector<std::int32_t>{0});
  CHECK(list.clear == 0);
}

TEST_CASE("a number that is never a bool is no trap: shared sums stay short") {
  std::string sum = "j";
  for (int n = 0; n < 60; ++n) sum = "(" + sum + " - " + "i)";
  check(sum + " <= 0", true, true);
  // Doubled fifty times over, the code would be longer than memory.
  std::string text = kInputs;
  text += "x0 = i + j\n";
  for (int n = 1; n < 50; ++n) {
    text += "x" + std::to_string(n) + " = max(x" + std::to_string(n - 1) + ", -x" +
            std::to_string(n - 1) + ")\n";
  }
  const ir::Graph graph = ir::parse(text + "out c = x49 > 3 && j <= i\n");
  const BlockPredicate result = predicate(graph, graph.outputs[0].node, places_of(graph));
  CHECK_FALSE(result.decided);
  CHECK(result.code.size() == 5);  // unknown, and the rest
}

class RandomCondition {
 public:
  explicit RandomCondition(std::uint32_t seed) : random_(seed) {}
  std::size_t below(std::size_t n) { return random_() % n; }

  std::string integer(int depth) {
    if (depth == 0) {
      const char* leaves[] = {"i", "j", "b", "h", "size(j)", "length", "near", "document", "owner"};
      return below(3) == 0 ? std::to_string(below(60)) : leaves[below(std::size(leaves))];
    }
    const std::string x = integer(depth - 1);
    switch (below(9)) {
      case 0: return "(" + x + " + " + integer(depth - 1) + ")";
      case 1: return "(" + x + " - " + integer(depth - 1) + ")";
      case 2: return "(" + x + " * " + std::to_string(below(5)) + ")";
      case 3: return "(" + x + " / " + std::to_string(1 + below(20)) + ")";
      case 4: return "(" + x + " % " + std::to_string(1 + below(30)) + ")";
      case 5: return "max(" + x + ", " + integer(depth - 1) + ")";
      case 6: return "(-" + x + ")";
      case 7: return "document[j = " + x + " else " + std::to_string(below(9)) + "]";
      default: return "where(" + boolean(depth - 1) + ", " + x + ", " + integer(depth - 1) + ")";
    }
  }
  std::string boolean(int depth) {
    const char* comparisons[] = {" < ", " <= ", " == ", " != ", " > ", " >= "};
    const auto compare = [&] {
      return "(" + integer(depth) + comparisons[below(6)] + integer(depth) + ")";
    };
    if (depth == 0) return below(5) == 0 ? "keep[n = i / 9]" : compare();
    switch (below(6)) {
      case 0: return "(" + boolean(depth - 1) + " && " + boolean(depth - 1) + ")";
      case 1: return "(" + boolean(depth - 1) + " || " + boolean(depth - 1) + ")";
      case 2: return "!" + boolean(depth - 1);
      case 3: return "any(n, " + boolean(depth - 1) + " && (keep || n < j))";
      default: return compare();
    }
  }

 private:
  std::mt19937 random_;
};

TEST_CASE("random conditions never lose a visible element nor a mask") {
  for (std::uint32_t seed = 0; seed < 120; ++seed) {
    const std::string condition = RandomCondition(seed).boolean(2);
    CAPTURE(condition);
    check_lists(Problem(condition, seed), false);
  }
}

}  // namespace
}  // namespace fovea::codegen
