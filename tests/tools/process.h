// tests/tools/process.h — runs a program and keeps what it said.
#pragma once

#include <string>
#include <vector>

namespace fovea::test {

struct Outcome {
  int code = -1;  // exit code; -1 if a signal ended it
  std::string out, err;
};

// Runs it with these arguments and this standard input; no shell in between.
Outcome run_program(const std::string& program, const std::vector<std::string>& arguments,
                    const std::string& input = "");

// The fovea command of this build.
Outcome fovea(const std::vector<std::string>& arguments, const std::string& input = "");

// A folder that is empty first and gone afterwards.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace fovea::test
