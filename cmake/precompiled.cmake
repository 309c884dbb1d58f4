# Headers that most sources of a target read are compiled once for all of them. Sources still name what
# they use: with CMAKE_DISABLE_PRECOMPILE_HEADERS=ON they build without.
set(FOVEA_STANDARD_HEADERS <algorithm> <cmath> <cstdint> <functional> <limits> <map> <memory>
  <optional> <set> <span> <string> <string_view> <utility> <variant> <vector>)

function(fovea_precompile target)
  target_precompile_headers(${target} PRIVATE ${FOVEA_STANDARD_HEADERS} ${ARGN})
endfunction()

# The same for those sources of a target that include `header` themselves, and nothing for the others.
function(fovea_precompile_where target header)
  fovea_precompile(${target} ${header})
  get_target_property(sources ${target} SOURCES)
  foreach(source ${sources})
    set(found "")
    if(EXISTS ${source})
      file(STRINGS ${source} found REGEX "^#include ${header}")
    endif()
    if(NOT found)
      set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
endfunction()
