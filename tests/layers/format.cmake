# Checks that every source is formatted as .clang-format says. Other versions of clang-format than 14,
# Debian 12's, break some lines elsewhere.
#   cmake -D ROOT=<repository> -P format.cmake
#
# To format: git ls-files '*.cpp' '*.h' | xargs clang-format-14 -i
cmake_minimum_required(VERSION 3.25)
find_program(CLANG_FORMAT clang-format-14 REQUIRED)
set(files "")
foreach(folder bench codegen frontend ir ops passes runtime tests tools)
  file(GLOB_RECURSE own ${ROOT}/${folder}/*.h ${ROOT}/${folder}/*.cpp)
  list(APPEND files ${own})
endforeach()
list(LENGTH files count)
if(count EQUAL 0)
  message(FATAL_ERROR "${ROOT}: found no file, expected those of Fovea")
endif()
execute_process(COMMAND ${CLANG_FORMAT} --style=file --dry-run -Werror ${files}
  RESULT_VARIABLE status ERROR_VARIABLE output)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${output}")
endif()
message(STATUS "${count} files are formatted")
