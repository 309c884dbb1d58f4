# Checks that includes follow the arrows between layers, that heavy headers (Halide, LLVM, CLI11, fmt)
# stay out of headers, that no file grows past what one can read, and that only ir/query.h asks of
# which kind an op is (everything else matches all kinds, or asks there).
#   cmake -D ROOT=<repository> -P check.cmake
#
# A layer may include its own folder and what its row lists: a folder or a single header. Only the
# frontend sees everything; codegen and runtime share nothing but plain data, ir and runtime the dtypes.
cmake_minimum_required(VERSION 3.25)
set(ARROWS
  "ir       | runtime/types.h"
  "runtime  |"
  "passes   | ir"
  "ops      | ir"
  "codegen  | ir runtime/program.h"
  "frontend | fovea ir ops passes codegen runtime"
  "bench    | fovea ir ops passes tools"
  "tools    | fovea ir ops passes codegen/listing.h codegen/targets.h bench/probe.h")
# What the tests of a layer see besides what the layer does.
set(TESTS_codegen runtime)              # compiled predicates beside those it interprets
set(TESTS_frontend tools/io/element.h tools/io/random.h)  # small dtypes, inputs that nobody gave
set(LONGEST_FILE 600)  # lines
set(HEAVY ir/require.h)  # headers that are about formatting: no public header includes them

set(failures "")
function(fail what)
  set(failures ${failures} "${what}" PARENT_SCOPE)
endfunction()

set(layers fovea tests)
foreach(arrow ${ARROWS})
  string(REGEX MATCH "^[a-z]+" layer ${arrow})
  list(APPEND layers ${layer})
endforeach()
list(JOIN layers "|" any_layer)

# What `file` of `layer` includes of ours must be in `allowed`.
function(check_includes file layer allowed)
  file(STRINGS ${ROOT}/${file} includes REGEX "^ *#include \"(${any_layer})/")
  foreach(include ${includes})
    string(REGEX REPLACE ".*#include \"([^\"]*)\".*" "\\1" header ${include})
    string(REGEX MATCH "^[a-z]+" folder ${header})
    if(NOT (folder IN_LIST allowed OR header IN_LIST allowed))
      list(JOIN allowed ", " names)
      fail("${file}: found \"${header}\", expected a header of ${names}")
    endif()
  endforeach()
  set(failures ${failures} PARENT_SCOPE)
endfunction()

function(check_size file)
  file(READ ${ROOT}/${file} content)
  string(REGEX REPLACE "[^\n]" "" newlines "${content}")
  string(LENGTH "${newlines}" lines)
  if(lines GREATER LONGEST_FILE)
    fail("${file}: found ${lines} lines, expected at most ${LONGEST_FILE}")
  endif()
  set(failures ${failures} PARENT_SCOPE)
endfunction()

function(check_heavy file)
  file(STRINGS ${ROOT}/${file} heavy REGEX "^ *#include [<\"](Halide\\.h|llvm/|CLI/|fmt/)")
  if(heavy AND NOT file IN_LIST HEAVY)
    fail("${file}: found ${heavy}, expected no heavy header in a header")
  endif()
  set(failures ${failures} PARENT_SCOPE)
endfunction()

function(check_ops file)
  file(STRINGS ${ROOT}/${file} guesses
    REGEX "(get_if|holds_alternative)<(ir::)?(Input|Constant|Index|Map|Reduce|Scan|Read|TopK)>")
  if(guesses AND NOT file STREQUAL "ir/query.cpp")
    list(GET guesses 0 first)
    string(STRIP "${first}" first)
    fail("${file}: found \"${first}\", expected a question of ir/query.h")
  endif()
  set(failures ${failures} PARENT_SCOPE)
endfunction()

set(checked 0)
foreach(arrow ${ARROWS})
  string(REGEX MATCH "^[a-z]+" layer ${arrow})
  string(REGEX REPLACE "^[^|]*\\| *" "" allowed ${arrow})
  string(REGEX MATCHALL "[^ ]+" allowed "${allowed}")
  file(GLOB_RECURSE own RELATIVE ${ROOT}
    ${ROOT}/${layer}/*.h ${ROOT}/${layer}/*.cpp ${ROOT}/${layer}/*.cpp.in)
  file(GLOB_RECURSE tests RELATIVE ${ROOT}
    ${ROOT}/tests/${layer}/*.h ${ROOT}/tests/${layer}/*.cpp)
  foreach(file ${own})
    check_includes(${file} ${layer} "${layer};${allowed}")
  endforeach()
  foreach(file ${tests})
    check_includes(${file} ${layer} "tests;${layer};${allowed};${TESTS_${layer}}")
  endforeach()
  foreach(file ${own} ${tests})
    check_size(${file})
    check_ops(${file})
    if(file MATCHES "\\.h$")
      check_heavy(${file})
    endif()
    math(EXPR checked "${checked} + 1")
  endforeach()
endforeach()

if(checked EQUAL 0)
  fail("${ROOT}: found no file, expected those of Fovea")
endif()
if(failures)
  list(JOIN failures "\n" text)
  message(FATAL_ERROR "${text}")
endif()
message(STATUS "${checked} files keep to their layers")
