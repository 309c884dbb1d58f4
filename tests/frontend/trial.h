// tests/frontend/trial.h — one program in a child process: what passes and code make of it, beside
// what the interpreter says.
//
// What results may be off by follows from the program: the interpreter also runs it as machines
// with f32 arithmetic might (ir/rounding.h), and where such runs differ, compiled ones may.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/frontend/input_rules.h"
#include "tests/frontend/support.h"

namespace fovea::test {

struct Trial {
  std::string text;
  InputRules rules;
  std::vector<Sizes> sizes;
  Options options;  // its threads are the most; one alone must give the same bits
  Layout layout = Layout::Dense;
  unsigned seed = 1;     // of the inputs
  bool asserts = false;  // whether kernels check themselves (FOVEA_ASSERTS)
  bool compiles = true;  // or only interprets what every pass leaves, in milliseconds
};

struct Expectation {
  ir::Arrays exact;
  std::vector<ir::Arrays> rounded;
  std::string error;  // the name of the code of the interpreter's error
};

Expectation expect(const Graph& graph, const ir::Arrays& inputs, const Sizes& sizes);

// The first element that is off by more than 1e-5 of the largest of its tensor and many times what
// rounding makes of it. Nothing is said of elements that rounding makes infinite, NaN or finite, or
// that are whole numbers or truths and change.
std::optional<std::string> difference(const ir::Arrays& found, const Expectation& expected);

// What is wrong with the program; empty if nothing is. Found out in a child process, whose crash is
// a finding too. Errors of the interpreter must be errors of runs.
std::string verdict(const Trial& trial);

// The kind of a finding: verdicts of one kind are made smaller together.
std::string kind_of(const std::string& verdict);

// The smallest trial that could be made, within this time, whose verdict is of the same kind.
Trial shrink(const Trial& trial, const std::string& verdict, double seconds);

// As a file of the corpus: directives and statements.
std::string print(const Trial& trial);

}  // namespace fovea::test
