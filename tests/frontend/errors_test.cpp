// Every way in which a user can get it wrong between text and result: the code, and a message that
// names the tensor or axis, what was found and what was expected. Nothing is written on the way.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/targets.h"
#include "fovea/fovea.h"
#include "tests/codegen/environment.h"
#include "tests/frontend/support.h"

namespace fovea {
namespace {

using test::error_of;
using test::Guarded;
using Words = std::vector<std::string_view>;

// The error is of this code, and its message has all of the words.
void check(const std::string& error, Code code, const Words& words) {
  CAPTURE(error);
  CHECK(error.starts_with(std::string(name(code)) + ": "));
  for (const std::string_view word : words)
    CHECK_MESSAGE(error.find(word) != std::string::npos, "lacks: ", word);
}

// `m` is an axis that no input carries.
const Graph& attention() {
  static const Graph graph = parse(R"(
axis h = 2, i, j, d = 4, m
query : f32[h, i, d]
keys : f32[h, j, d]
out first = sum(j, softmax(j, sum(d, query * keys)) * keys)
out second = f32(m) * 2.0
)");
  return graph;
}

const Kernel& compiled() {
  static const Kernel kernel = compile(attention(), {.threads = 1});
  return kernel;
}

// A call that is right until a test spoils it. Tensors have sentinels all around.
struct Call {
  std::map<std::string, Guarded, std::less<>> memory;
  std::vector<NamedView> inputs, outputs;
  Sizes sizes = {{"m", 5}};

  Call() {
    const ir::Array query{f32, {2, 3, 4}, std::vector<double>(24, 0.5)};
    const ir::Array keys{f32, {2, 7, 4}, std::vector<double>(56, 0.25)};
    inputs = {add("query", Guarded(query)), add("keys", Guarded(keys))};
    outputs = {add("first", Guarded(f32, {2, 3, 4})), add("second", Guarded(f32, {5}))};
  }
  NamedView add(const std::string& tensor, Guarded guarded) {
    const auto place = memory.emplace(tensor, std::move(guarded)).first;
    return {place->first, place->second.view()};
  }
  View& query() { return inputs[0].view; }
  View& keys() { return inputs[1].view; }
  View& first() { return outputs[0].view; }
  View& second() { return outputs[1].view; }
  void run() const { compiled().run(inputs, outputs, sizes); }

  void fails(Code code, const Words& words) const {
    check(error_of([&] { run(); }), code, words);
    for (const auto& [tensor, guarded] : memory) CHECK_MESSAGE(guarded.untouched(), tensor);
  }
};

void* shifted(const View& view, std::ptrdiff_t bytes) {
  return static_cast<std::byte*>(view.data) + bytes;
}

TEST_CASE("errors: a call that is right passes, so what fails below fails for its own reason") {
  Call call;
  CHECK_NOTHROW(call.run());
  CHECK(call.memory.at("first").read().data == std::vector<double>(24, 0.25));
  CHECK(call.memory.at("second").read().data == std::vector<double>{0, 2, 4, 6, 8});
  for (const auto& [tensor, guarded] : call.memory)
    CHECK_MESSAGE(guarded.surroundings_intact(), tensor);
}

TEST_CASE("errors: text names line, column and what is wrong") {
  check(error_of([] { parse("axis i\nx : f64[i]\nout o = x"); }), Code::syntax_error,
        {"2:5: ", "f64", "f32"});
  check(error_of([] { parse("axis i\nx : f32[i]\nout o = y"); }), Code::syntax_error,
        {"3:9: ", "'y'"});
}

TEST_CASE("errors: options of a compilation") {
  const auto error = [](const Options& options) {
    return error_of([&] { compile(attention(), options); });
  };
  check(error({.target = "avx3"}), Code::invalid_config, {"'avx3'", "expected one of", "avx2"});
  check(error({.threads = -2}), Code::invalid_config,
        {"threads", "-2", "expected 0", "or more", "1024"});
  check(error({.threads = 1025}), Code::invalid_config, {"threads", "1025", "up to 1024"});
  check(error({.sizes = {{"width", 5}}}), Code::invalid_config,
        {"'width'", "no axis", "expected some of h i j d m"});
  check(error({.sizes = {{"i", -5}}}), Code::invalid_config, {"'i'", "-5", "not negative"});
  check(error_of([] { compile(Graph{}); }), Code::empty_input, {"no outputs", "at least one"});
  check(error_of([] { compile(std::vector<NamedOutput>{}); }), Code::empty_input, {"output"});
  const std::vector<ir::Target> runnable = codegen::runnable_targets();
  for (const ir::Target& target : ir::targets()) {
    if (std::ranges::find(runnable, target) != runnable.end()) continue;
    const std::string name(target.name), best(runnable.front().name);
    check(error({.target = name}), Code::unsupported, {name, "does not run on this CPU", best});
  }
}

TEST_CASE("errors: fixed extents of more elements than memory holds") {
  const auto compiled_with = [](std::string_view input) {
    return error_of([&] {
      compile(
          parse(fmt::format("axis i, a = 65536, b = 65536, c = 2147483647, d = 3, z = 0\n"
                            "x : f32[{}]\nout o = sum(a, x)\n",
                            input)));
    });
  };
  CHECK(compiled_with("i, a") == "");
  CHECK(compiled_with("i, a, b") == "");
  check(compiled_with("i, a, b, c"), Code::input_too_large, {"'x'", "9223372032559808512"});
  check(compiled_with("i, a, b, c, d"), Code::input_too_large, {"'x'", "9223372036854775807"});
  CHECK(compiled_with("i, a, b, z") == "");
}

TEST_CASE("errors: tensors that are missing, unknown or given twice") {
  Call call;
  call.inputs.pop_back();
  call.fails(Code::empty_input, {"input 'keys'", "not bound", "f32"});
  call = {};
  call.outputs.pop_back();
  call.fails(Code::empty_input, {"output 'second'", "not bound", "f32"});
  call = {};
  call.inputs[0].name = "queyr";
  call.fails(Code::invalid_config, {"'queyr'", "did you mean 'query'?"});
  call = {};
  call.outputs[0].name = "frist";
  call.fails(Code::invalid_config, {"'frist'", "did you mean 'first'?"});
  for (std::vector<NamedView> Call::*side : {&Call::inputs, &Call::outputs}) {
    call = {};
    (call.*side)[0].name = "x";
    call.fails(Code::invalid_config, {"'x'", "expected one of", "'query'", "'keys'", "'first'"});
  }
  call = {};
  call.outputs.push_back(call.inputs[1]);
  call.inputs.pop_back();
  call.fails(Code::invalid_config, {"input 'keys'", "as an output", "as an input"});
  call = {};
  call.inputs.push_back(call.inputs[1]);
  call.fails(Code::invalid_config, {"'keys'", "twice", "once"});
  call = {};
  call.outputs.push_back(call.outputs[0]);
  call.fails(Code::invalid_config, {"'first'", "twice", "once"});
}

TEST_CASE("errors: dtypes, ranks and extents") {
  Call call;
  call.query().dtype = i32;
  call.fails(Code::dimension_mismatch, {"'query'", "i32", "expected f32"});
  call = {};
  call.second().dtype = bf16;
  call.fails(Code::dimension_mismatch, {"'second'", "bf16", "expected f32"});
  call = {};
  call.query() = view(call.query().data, f32, {3, 4});
  call.fails(Code::dimension_mismatch, {"'query'", "[3, 4]", "expected 3 axes"});
  call = {};
  call.first() = view(call.first().data, f32, {24});
  call.fails(Code::dimension_mismatch, {"'first'", "[24]", "expected 3 axes"});
  call = {};
  call.keys() = view(call.keys().data, f32, {2, 7, 2});
  call.fails(Code::dimension_mismatch, {"'keys'", "'d'", "extent 2", "expected 4"});
  call = {};
  call.query() = view(call.query().data, f32, {1, 3, 4});
  call.fails(Code::dimension_mismatch, {"'query'", "'h'", "extent 1", "expected 2"});
  call = {};
  call.first() = view(call.first().data, f32, {2, 2, 4});
  call.fails(Code::dimension_mismatch, {"'first'", "'i'", "extent 2", "expected 3"});
}

TEST_CASE("errors: inputs that disagree") {
  const Kernel sum = compile(parse("axis i\nleft : f32[i]\nright : f32[i]\nout o = left + right"));
  Guarded left(f32, {4}), right(f32, {6}), result(f32, {4});
  const std::string error = error_of([&] {
    sum.run({{"left", left.view()}, {"right", right.view()}}, {{"o", result.view()}});
  });
  check(error, Code::dimension_mismatch, {"'right'", "'i'", "6", "expected 4", "'left'"});
  CHECK(result.untouched());
}

TEST_CASE("errors: sizes") {
  Call call;
  call.sizes = {};
  call.fails(Code::empty_input, {"'m'", "missing", "expected it by name"});
  call.sizes = {{"m", -3}};
  call.fails(Code::dimension_mismatch, {"'m'", "-3", "not negative"});
  call.sizes = {{"m", 6}};
  call.fails(Code::dimension_mismatch, {"'second'", "'m'", "extent 5", "expected 6"});
  call.sizes = {{"m", 5}, {"j", 8}};
  call.fails(Code::dimension_mismatch, {"'j'", "given as 8", "expected 7", "'keys'"});
  call.sizes = {{"m", 5}, {"d", 5}};
  call.fails(Code::dimension_mismatch, {"'d'", "5", "expected 4"});
  call.sizes = {{"m", 5}, {"width", 5}};
  call.fails(Code::invalid_config, {"no axis", "'width'", "expected one of", "'m'", "'i'"});
  call.sizes = {{"m", std::int64_t{1} << 31}};
  call.fails(Code::input_too_large, {"'m'", "2147483648", "at most 2147483647"});
}

TEST_CASE("errors: outputs that may not be written") {
  Call call;
  call.first().read_only = true;
  call.fails(Code::invalid_input, {"'first'", "read-only", "may be written"});
  call = {};
  call.first().read_only = true;
  call.inputs.push_back(call.outputs[0]);
  call.outputs.erase(call.outputs.begin());
  call.fails(Code::invalid_config, {"'first'", "as an input", "as an output"});
  call = {};
  call.second().data = shifted(call.first(), 4 * 20);  // the last elements of it
  call.fails(Code::invalid_input, {"'first'", "'second'", "overlaps", "memory of its own"});
  call.second().data = shifted(call.keys(), 4 * 51);
  call.fails(Code::invalid_input, {"'second'", "'keys'", "overlaps", "memory of its own"});
  call = {};
  call.first().data = call.query().data;
  call.fails(Code::invalid_input, {"'first'", "'query'", "overlaps", "memory of its own"});
  call = {};
  call.second().strides = {0};
  call.fails(Code::invalid_input, {"'second'", "strides [0]", "its own place"});
}

TEST_CASE("outputs may lie between the elements of each other and of inputs") {
  const Graph graph = parse(R"(
axis i, j
x : f32[i, j]
out twice = x * 2.0
out more = x + 1.0
)");
  const Kernel kernel = compile(graph, {.threads = 1});
  constexpr std::int64_t kRows = 50, kColumns = 20;
  constexpr std::size_t kSize = kRows * kColumns * 3;
  std::vector<float> memory(2 * kSize);
  const auto third = [&](std::int64_t first) {
    return view(memory.data() + first, {kRows, kColumns}, {3 * kColumns, 3});
  };
  for (std::size_t n = 0; n < kSize; n += 3) memory[n] = static_cast<float>(n);
  kernel.run({{"x", third(0)}}, {{"twice", third(1)}, {"more", third(2)}});
  bool right = true;
  for (std::size_t n = 0; n < kSize; n += 3) {
    const auto x = static_cast<float>(n);
    right &= memory[n] == x && memory[n + 1] == 2 * x && memory[n + 2] == x + 1;
  }
  CHECK(right);
  // The last element of one is the first of the other.
  std::vector<float> other(kRows * kColumns);
  const auto run = [&](std::int64_t first) {
    kernel.run({{"x", view(other.data(), {kRows, kColumns})}},
               {{"twice", third(1)}, {"more", third(first)}});
  };
  check(error_of([&] { run(kSize - 2); }), Code::invalid_input, {"'twice'", "'more'", "overlaps"});
  CHECK(error_of([&] { run(kSize - 1); }) == "");
}

TEST_CASE("errors: pointers") {
  Call call;
  call.keys().data = nullptr;
  call.fails(Code::empty_input, {"'keys'", "no data", "56 elements of f32"});
  call = {};
  call.first().data = nullptr;
  call.fails(Code::empty_input, {"'first'", "no data", "24 elements of f32"});
  call = {};
  call.query().data = shifted(call.query(), 2);
  call.fails(Code::invalid_input, {"'query'", "2 bytes past", "alignment to 4"});
  call = {};
  call.second().data = shifted(call.second(), 1);
  call.fails(Code::invalid_input, {"'second'", "1 bytes past", "alignment to 4"});
  check(error_of([] {
          view(static_cast<float*>(nullptr), {2, 3});
        }),
        Code::empty_input, {"f32[2, 3]", "null"});
  check(error_of([&] { view(shifted(call.query(), 3), f32, {2}); }), Code::invalid_input,
        {"f32[2]", "3 bytes past", "aligned"});
}

TEST_CASE("errors: a gathered coordinate outside its axis writes nothing elsewhere") {
  const Kernel gather = compile(parse(R"(
axis i, j, d = 4
table : f32[j, d]
place : i32[i]
out o = table[j = place]
out other = table * 2.0
)"));
  Guarded table(ir::Array{f32, {6, 4}, std::vector<double>(24, 1)});
  for (const double wrong : {-1.0, 6.0, -2147483648.0, 2147483647.0}) {
    ir::Array places{i32, {5}, {0, 5, 2, 1, 3}};
    places.data[3] = wrong;
    Guarded place(places), result(f32, {5, 4}), other(f32, {6, 4});
    const std::string error = error_of([&] {
      gather.run({{"table", table.view()}, {"place", place.view()}},
                 {{"o", result.view()}, {"other", other.view()}});
    });
    check(error, Code::out_of_bounds,
          {"'j'", fmt::format("is {:.0f},", wrong), "expected one from 0 to below 6"});
    CHECK(table.untouched());
    CHECK(place.untouched());
    CHECK(result.surroundings_intact());
    CHECK(other.surroundings_intact());
  }
}

TEST_CASE("errors: a ragged axis has no negative degree") {
  const Kernel ragged = compile(parse(R"(
axis i, n < degree
degree : i32[i]
out o = sum(n, f32(n) + 1.0)
)"));
  Guarded degree(ir::Array{i32, {3}, {2, -4, 1}}), result(f32, {3});
  const auto run = [&](const Sizes& sizes) {
    return error_of([&] {
      ragged.run({{"degree", degree.view()}}, {{"o", result.view()}}, sizes);
    });
  };
  check(run({}), Code::invalid_input, {"'degree'", "-4", "axis 'n'", "not negative"});
  check(run({{"n", 3}}), Code::invalid_config, {"'n'", "3", "ragged", "'degree'"});
  CHECK(degree.untouched());
  CHECK(result.untouched());
}

TEST_CASE("errors: questions to a kernel") {
  const Kernel& kernel = compiled();
  REQUIRE_FALSE(kernel.graph().kernels.empty());
  check(error_of([&] { kernel.code("attend"); }), Code::invalid_config,
        {"'attend'", "expected one of", kernel.graph().kernels.front().name});
  const auto explain = [&](const Sizes& sizes, const std::vector<NamedView>& inputs = {}) {
    return error_of([&] { kernel.explain(sizes, inputs); });
  };
  CHECK(explain({{"i", 3}, {"j", 7}, {"m", 5}}).empty());
  check(explain({{"i", 3}, {"m", 5}}), Code::empty_input, {"axis j", "expected a size"});
  check(explain({{"i", 3}, {"j", 7}, {"m", 5}, {"width", 1}}), Code::invalid_config,
        {"'width'", "not an axis", "expected"});
  check(explain({{"i", -3}, {"j", 7}, {"m", 5}}), Code::dimension_mismatch, {"i", "-3"});
  Call call;
  check(explain({{"i", 4}, {"j", 7}, {"m", 5}}, call.inputs), Code::dimension_mismatch,
        {"i", "4", "3", "query"});
  call.inputs[0].name = "queyr";
  check(explain({{"i", 3}, {"j", 7}, {"m", 5}}, call.inputs), Code::invalid_config,
        {"'queyr'", "no input", "expected some of query keys"});
  call.inputs[0] = call.inputs[1];
  check(explain({{"i", 3}, {"j", 7}, {"m", 5}}, call.inputs), Code::invalid_config,
        {"'keys'", "two", "expected one"});
}

// Code for a single row is made when it is first needed, and the disk shows whether it was.
TEST_CASE("errors: what is wrong is refused before code is made for it") {
  const OwnCache cache;
  // Of no code that other tests have made.
  Graph graph = attention();
  graph.outputs.back().name = "third";
  const Kernel kernel = compile(graph, {.threads = 1});
  const std::size_t made = cache.files().size();
  CHECK(made > 0);
  Call call;
  call.query() = view(call.query().data, f32, {2, 1, 4});
  call.first() = view(call.first().data, f32, {2, 1, 4});
  call.outputs[1].name = "third";
  const auto run = [&] { kernel.run(call.inputs, call.outputs, call.sizes); };
  call.sizes = {{"m", 6}};
  check(error_of(run), Code::dimension_mismatch, {"'third'", "'m'", "expected 6"});
  call.sizes = {{"m", 5}, {"i", 2}};
  check(error_of(run), Code::dimension_mismatch, {"'i'", "given as 2", "expected 1"});
  const auto explain = [&](const Sizes& sizes) { return error_of([&] { kernel.explain(sizes); }); };
  check(explain({{"i", 1}, {"j", 7}}), Code::empty_input, {"axis m", "expected a size"});
  check(explain({{"i", 1}, {"j", -7}, {"m", 5}}), Code::dimension_mismatch, {"j", "-7"});
  CHECK(cache.files().size() == made);
  call.sizes = {{"m", 5}};
  CHECK_NOTHROW(run());
  CHECK(cache.files().size() > made);
}

TEST_CASE("inputs that are not finite are refused where the caller asks") {
  const Graph graph = parse(
      "axis i, j\nx : f32[i, j]\ny : f16[j]\nn : i32[j]\n"
      "out o = x * y + n\n");
  const Kernel kernel = compile(graph, {.check_finite = true}), any = compile(graph);
  std::vector<float> x(2 * 3, 1), o(x.size());
  std::vector<std::uint16_t> y(3, 0x3c00);
  const std::vector<std::int32_t> n(3, -1);
  const auto error = [&](const Kernel& each) {
    // x lies transposed.
    const NamedView inputs[] = {{"x", view(std::as_const(x).data(), {2, 3}, {1, 2})},
                                {"y", view(y.data(), Dtype::F16, {3})},
                                {"n", view(n.data(), {3})}};
    const NamedView outputs[] = {{"o", view(o.data(), {2, 3})}};
    return error_of([&] { each.run(inputs, outputs); });
  };
  CHECK(error(kernel).empty());
  x[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK(error(kernel) ==
        "invalid_input: input 'x' holds NaN at [1, 2]; expected finite numbers, as check_finite "
        "asks");
  CHECK(error(any).empty());
  x[1] = -std::numeric_limits<float>::infinity();
  CHECK(error(kernel).find("'x' holds -infinity at [1, 0]") != std::string::npos);
  x[1] = x[5] = std::numeric_limits<float>::max();
  y[1] = 0x7c00;
  CHECK(error(kernel).find("'y' holds infinity at [1]") != std::string::npos);
  y[1] = 0xfe00;
  CHECK(error(kernel).find("'y' holds NaN at [1]") != std::string::npos);
  y[1] = 0x7bff;
  CHECK(error(kernel).empty());
}

TEST_CASE("tensors of more axes than a view holds, and views that view() did not make") {
  const Graph wide = parse(
      "axis a, b, c, d, e, f, g, h, i\n"
      "x : f32[a, b, c, d, e, f, g, h, i]\nout o = sum((a, b), x)\n");
  CHECK(error_of([&] { compile(wide); }) ==
        "unsupported: tensor 'x' has 9 axes; expected at most 8");
  const Graph outer = parse(
      "axis a, b, c, d, e, f, g, h, i\nx : f32[a, b, c, d, e]\n"
      "y : f32[f, g, h, i]\nout o = x * y\n");
  CHECK(error_of([&] { compile(outer); }) ==
        "unsupported: tensor 'o' has 9 axes; expected at most 8");
  const Kernel kernel = compile(parse("axis i, j\nx : f32[i, j]\nout o = x + 1.0\n"));
  std::vector<float> x(6), o(6);
  const auto error = [&](const View& given) {
    const NamedView inputs[] = {{"x", given}}, outputs[] = {{"o", view(o.data(), {2, 3})}};
    return error_of([&] { kernel.run(inputs, outputs); });
  };
  View raw{x.data(), Dtype::F32, {2, 3}, {3, 1}};
  CHECK(error(raw).empty());
  raw.dtype = static_cast<Dtype>(77);
  CHECK(error(raw).starts_with("dimension_mismatch: the view of 'x' has dtype 77; expected"));
  raw = {x.data(), Dtype::F32, {2, 3}, {}};
  CHECK(error(raw) ==
        "dimension_mismatch: the view of 'x' has 0 strides; expected one for each of its 2 axes");
  raw.strides = {3, 1, 1};
  CHECK(error(raw).starts_with("dimension_mismatch: the view of 'x' has 3 strides"));
}

}  // namespace
}  // namespace fovea
