// tests/frontend/programs.h — programs in files: each is run at many extents, on every row of the
// target table, fused and not, and must give what the interpreter gives.
//
// Lines of a program that the test reads; everything else is the language:
//
//   # sizes i=33 j=17            one more set of extents; without any, a usual choice of them
//   # input n = below 5          what an input holds (tests/frontend/input_rules.h)
//   # seed 2                     of the random inputs, 1 without: for draws that f32 can tell apart
//   # tolerance 1e-4             of the largest element, 1e-5 without; the reason stands beside it
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/frontend/input_rules.h"
#include "tests/frontend/support.h"

namespace fovea::test {

struct ProgramFile {
  Graph graph;
  std::vector<Sizes> sizes;
  InputRules inputs;
  unsigned seed = 1;
  double tolerance = 1e-5;
};

ProgramFile load_program(const std::filesystem::path& path);

// Kernels that check themselves also report what a loop along an empty axis would read.
bool has_empty_axis(const Sizes& sizes);

// All `.fov` files below the folder, in order.
std::vector<std::filesystem::path> programs_below(const std::filesystem::path& folder);

// What the interpreter gives, or the code of its error.
struct Outcome {
  ir::Arrays arrays;
  std::string error;
};

// Interprets the program after every pass. Then compiles it for every row of the target table,
// fused and unfused, for one and for two threads, for any extents and for those of the largest
// example, once so that kernels check themselves, and compares each run with the interpreter; what differs first, if anything. An error of
// the interpreter must be the same error of a run.
//
// Compiling is what takes the time. With a turn, a program is compiled for the best row, and in one
// other way for its last example: programs of all turns are compiled in all ways.
std::optional<std::string> program_differs(const ProgramFile& program,
                                           std::optional<std::size_t> turn = {});

}  // namespace fovea::test
