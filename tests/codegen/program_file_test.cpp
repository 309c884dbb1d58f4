#include "codegen/program_file.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace fovea;
using codegen::read_program;
using codegen::write_program;

namespace {

// Every field of every structure has a value that is not the default.
runtime::Program rich_program() {
  using namespace runtime;
  using Kind = Argument::Kind;
  Program program;
  program.symbols = {{"i", {}, -1},
                     {"j", {{SizeTerm::Kind::symbol, 0}, {SizeTerm::Kind::number, -7}}, -1},
                     {"n", {}, 1}};
  program.buffers = {
      {"x", Buffer::Role::input, Dtype::I4, {{{SizeTerm::Kind::symbol, 1}}}, -1},
      {"%3", Buffer::Role::stored, Dtype::Bool, {{{SizeTerm::Kind::number, INT64_MAX}}, {}}, 2},
      {"tile", Buffer::Role::scratch, Dtype::F16, {}, -1}};
  program.slots = 3;
  Step plain, tiled, check;
  plain.name = "a";
  plain.work = Plain{{nullptr, {{Kind::buffer, 0}, {Kind::size, 2}}}, {1, 2}, true};
  tiled.name = std::string("nul\0in", 6);
  Tiled& loop = tiled.work.emplace<Tiled>();
  loop.batch = {0, 1};
  loop.rows = 1, loop.columns = 2;
  loop.row_tile = 48, loop.column_block = 96, loop.chunk = 10;
  loop.prepare.arguments = {{Kind::row, 0}};
  loop.step.arguments = {{Kind::blocks, 0}, {Kind::all, 5}};
  loop.finish.arguments = {{Kind::batch, 1}};
  loop.mask = {{{PredicateOp::Kind::row, 0}, {PredicateOp::Kind::constant, -3}},
               {{PredicateOp::Kind::unknown, 0}},
               {nullptr, {{Kind::any, 0}}}};
  loop.shared = 1, loop.members = 4;
  loop.states = {{2, Tiled::State::Fold::max, -1, {}}, {1, Tiled::State::Fold::min, 0, {0, 2}}};
  loop.packed = {2, 0};
  loop.pair_work = 2.5F;
  loop.accumulators = {{2, -1.5F}};
  loop.results = {{1, {Tiled::kRows, Tiled::kWhole, 1}}};
  loop.doubt = 2;
  check.work = Check{0, 1, 2, "j coordinate"};
  program.steps = {plain, tiled, check};
  return program;
}

// Reads all of a program, so that a sanitizer sees what points nowhere.
std::size_t weigh(const runtime::Program& program) { return write_program(program, "").size(); }

}  // namespace

TEST_CASE("a program comes back as it was written") {
  const runtime::Program program = rich_program();
  const std::string object("machine\0code", 12);
  const std::string bytes = write_program(program, object);
  const auto read = read_program(bytes);
  REQUIRE(read);
  CHECK(read->object == object);
  CHECK(write_program(read->program, object) == bytes);
  const runtime::Program& again = read->program;
  CHECK(again.symbols[1].size[1].value == -7);
  CHECK(again.symbols[2].largest_of == 1);
  CHECK(again.buffers[1].shape[0][0].value == INT64_MAX);
  CHECK(again.buffers[1].slot == 2);
  CHECK(again.buffers[2].type == runtime::Dtype::F16);
  CHECK(again.slots == 3);
  CHECK(again.steps[0].plain()->divisible);
  CHECK(again.steps[0].plain()->call.arguments[1].kind == runtime::Argument::Kind::size);
  CHECK(again.steps[1].name.size() == 6);
  const runtime::Tiled& tiled = *again.steps[1].tiled();
  CHECK(tiled.accumulators[0].value == -1.5F);
  CHECK(tiled.results[0].along[1] == runtime::Tiled::kWhole);
  CHECK(tiled.mask.visible[1].value == -3);
  CHECK(tiled.mask.evaluate.arguments[0].kind == runtime::Argument::Kind::any);
  CHECK(tiled.doubt == 2);
  CHECK(again.steps[2].check()->what == "j coordinate");
}

TEST_CASE("every field makes a difference to the bytes") {
  const std::string bytes = write_program(rich_program(), "code");
  runtime::Program program = rich_program();
  const auto differs = [&](auto&& change) {
    program = rich_program();
    change();
    return write_program(program, "code") != bytes;
  };
  CHECK(differs([&] { program.symbols[0].name = "k"; }));
  CHECK(differs([&] { program.buffers[0].role = runtime::Buffer::Role::output; }));
  CHECK(differs([&] { std::get<runtime::Tiled>(program.steps[1].work).rows = 0; }));
  CHECK(differs([&] { std::get<runtime::Tiled>(program.steps[1].work).columns = 0; }));
  CHECK(differs([&] { std::get<runtime::Tiled>(program.steps[1].work).chunk = 0; }));
  CHECK(differs([&] { std::get<runtime::Tiled>(program.steps[1].work).batch.pop_back(); }));
  CHECK(differs([&] { std::get<runtime::Tiled>(program.steps[1].work).mask.solid.clear(); }));
  CHECK(differs([&] { std::get<runtime::Check>(program.steps[2].work).symbol = 0; }));
  CHECK(write_program(rich_program(), "codf") != bytes);
}

TEST_CASE("bytes that are cut off, longer or not a program are nothing") {
  const std::string bytes = write_program(rich_program(), "machine code");
  for (std::size_t size = 0; size < bytes.size(); size++)
    CHECK_FALSE(read_program(std::string_view(bytes).substr(0, size)));
  CHECK_FALSE(read_program(bytes + '\0'));
  CHECK_FALSE(read_program(std::string(1000, '\xff')));
  CHECK_FALSE(read_program(std::string(1000, '\0')));
  std::string other = bytes;
  other[10] ^= 1;  // in the version
  CHECK_FALSE(read_program(other));
}

TEST_CASE("damaged bytes never read beyond them, nor take more memory than they have") {
  const std::string bytes = write_program(rich_program(), "machine code");
  std::size_t still_read = 0, weight = 0;
  const auto attempt = [&](const std::string& damaged) {
    if (const auto read = read_program(damaged)) still_read++, weight += weigh(read->program);
  };
  for (std::size_t bit = 0; bit < 8 * bytes.size(); bit++) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    attempt(damaged);
  }
  std::mt19937 random(5);
  for (int n = 0; n < 20000; n++) {
    std::string damaged = bytes;
    for (unsigned times = 1 + random() % 8; times > 0; times--)
      damaged[random() % damaged.size()] = static_cast<char>(random() % 3 == 0 ? 255 : random());
    attempt(damaged);
  }
  MESSAGE("still of the right form: ", still_read, ", of ", weight, " bytes");
}
