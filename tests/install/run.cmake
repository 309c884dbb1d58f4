# Installs into a fresh prefix, builds the outside project from it alone, and runs what that makes.
#   cmake -D BUILD=… -D OUTSIDE=… -D WORK=… -D COMPILER=… -P run.cmake
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nfound ${status}, expected 0\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
run(${CMAKE_COMMAND} -S ${OUTSIDE} -B ${WORK}/build -D CMAKE_PREFIX_PATH=${WORK}/prefix
    -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_BUILD_TYPE=Release
    -D CMAKE_FIND_USE_PACKAGE_REGISTRY=OFF)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/outside)
message(STATUS "${output}")
run(${WORK}/prefix/bin/fovea list)

# What is installed stands alone: no header needs one that is not there, or one of the compilers'.
file(GLOB_RECURSE headers ${WORK}/prefix/include/*.h)
foreach(header ${headers})
  file(STRINGS ${header} heavy REGEX "#include.*(Halide|llvm)")
  if(heavy)
    message(FATAL_ERROR "${header}: found ${heavy}, expected no header of Halide or LLVM")
  endif()
endforeach()
