# Halide 14 and LLVM 19 as libraries alone, for building Fovea and for linking with it once installed.
#
# Not by their own packages: Halide's defines a target LLVM that is version 14, and both want headers
# that users of Fovea do not need (codegen/README.md, "Two LLVMs").
function(fovea_library target)
  cmake_parse_arguments(LIBRARY "" "" "NAMES;PATHS" ${ARGN})
  if(TARGET fovea::${target})
    return()
  endif()
  find_library(FOVEA_${target} NAMES ${LIBRARY_NAMES} PATHS ${LIBRARY_PATHS} REQUIRED)
  mark_as_advanced(FOVEA_${target})
  add_library(fovea::${target} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(fovea::${target} PROPERTIES IMPORTED_LOCATION ${FOVEA_${target}})
endfunction()

fovea_library(halide NAMES libHalide14.so.0 Halide)
fovea_library(llvm NAMES libLLVM.so.19.1 LLVM-19 PATHS /usr/lib/llvm-19/lib ${LLVM_LIBRARY_DIR})
