// codegen/program_file.h — a compiled program as bytes, for the cache: the plain data of
// runtime::Program, and the object whose functions it calls.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/program.h"

namespace fovea::codegen {

// The same program gives the same bytes. Addresses (functions, Program::exact) are left out.
std::string write_program(const runtime::Program& program, std::string_view object);

struct ProgramFile {
  runtime::Program program;
  std::string object;
};

// Nothing for bytes that are not of the form that write_program gives, whatever they are: what is
// read is bounded by the bytes there are. Whether an index points to something is the executor's to
// check, whether they are the bytes that were written the cache's.
std::optional<ProgramFile> read_program(std::string_view bytes);

}  // namespace fovea::codegen
