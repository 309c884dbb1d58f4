# cmake -DROOT=<repository> -DOUTPUT=<file.cpp> -P hash_sources.cmake
#
# Writes a C++ file with a hash of everything that emitted code depends on, so that a cache on disk
# never gives a developer the code of an older schedule.
file(GLOB files LIST_DIRECTORIES false
     ${ROOT}/codegen/*.cpp ${ROOT}/codegen/*.h ${ROOT}/ir/*.cpp ${ROOT}/ir/*.h ${ROOT}/runtime/program.h)
list(SORT files)
set(all "")
foreach(file ${files})
  file(SHA256 ${file} hash)
  file(RELATIVE_PATH name ${ROOT} ${file})
  string(APPEND all "${name} ${hash}\n")
endforeach()
string(SHA256 hash "${all}")
file(WRITE ${OUTPUT}
"#include \"codegen/source_hash.h\"

namespace fovea::codegen {

std::string_view source_hash() { return \"${hash}\"; }

}  // namespace fovea::codegen
")
