# Checks the check: each of these repositories of one file breaks one rule, and the last three none.
#   cmake -D WORK=<folder to write in> -P broken.cmake
cmake_minimum_required(VERSION 3.25)

function(expect status file content message)
  file(REMOVE_RECURSE ${WORK})
  file(WRITE ${WORK}/${file} "${content}")
  execute_process(COMMAND ${CMAKE_COMMAND} -D ROOT=${WORK} -P ${CMAKE_CURRENT_LIST_DIR}/check.cmake
    RESULT_VARIABLE found_status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  string(FIND "${output}" "${message}" at)
  if(at EQUAL -1 OR NOT found_status EQUAL status)
    message(FATAL_ERROR "${file}: found status ${found_status} and\n${output}\n"
                        "expected ${status} and\n${message}")
  endif()
endfunction()

expect(1 ir/a.cpp "#include \"passes/fuse.h\"\n" "found \"passes/fuse.h\", expected a header of ir")
expect(1 runtime/a.cpp "#include \"ir/error.h\"\n" "found \"ir/error.h\", expected a header of runtime")
expect(1 codegen/a.h "#include \"runtime/executor.h\"\n" "found \"runtime/executor.h\"")
expect(1 passes/a.cpp "#include \"ops/mechanism.h\"\n" "found \"ops/mechanism.h\"")
expect(1 ops/deep/a.cpp "  #include \"passes/fuse.h\"\n" "ops/deep/a.cpp: found \"passes/fuse.h\"")
expect(1 tools/a.cpp "#include \"codegen/jit.h\"\n" "found \"codegen/jit.h\"")
expect(1 tests/ir/a.cpp "#include \"passes/fuse.h\"\n" "found \"passes/fuse.h\"")
expect(1 ir/a.cpp "#include \"tests/ir/a.h\"\n" "found \"tests/ir/a.h\"")
expect(1 codegen/a.h "#include <Halide.h>\n" "found #include <Halide.h>")
expect(1 frontend/a.h "#include \"llvm/IR/Module.h\"\n" "found #include \"llvm/IR/Module.h\"")
expect(1 tools/a.h "#include <CLI/CLI.hpp>\n" "found #include <CLI/CLI.hpp>")
expect(1 ir/a.h "#include <fmt/format.h>\n" "found #include <fmt/format.h>")
expect(1 passes/a.cpp "  if (std::get_if<ir::Map>(&op)) f();\n"
  "found \"if (std::get_if<ir::Map>(&op)) f()")
expect(1 tests/ir/a.cpp "CHECK(std::holds_alternative<TopK>(op));\n" "a question of ir/query.h")
string(REPEAT "int a;\n" 601 long)
expect(1 ir/a.cpp "${long}" "found 601 lines, expected at most 600")
expect(1 elsewhere/a.cpp "" "found no file")

string(REPEAT "int a[] = {1};  // [;\n" 600 fits)
expect(0 ir/a.cpp "${fits}" "1 files keep to their layers")
expect(0 ir/query.cpp "return std::get_if<Map>(&node.op);\n" "1 files keep to their layers")
expect(0 ir/require.h "#include <fmt/format.h>\n" "1 files keep")
expect(0 codegen/a.cpp "#include <Halide.h>\n#include \"runtime/program.h\"\n" "1 files keep")
