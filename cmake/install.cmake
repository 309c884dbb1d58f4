# cmake --install: the public headers, the libraries, the command and what find_package(fovea) reads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/fovea)
set_target_properties(fovea_frontend PROPERTIES EXPORT_NAME fovea)
install(TARGETS fovea_ir fovea_runtime fovea_passes fovea_ops fovea_codegen fovea_frontend
  EXPORT fovea-targets)
install(EXPORT fovea-targets NAMESPACE fovea:: DESTINATION ${package})
install(TARGETS fovea_command)

# fovea/fovea.h and fovea/view.h, and what they include.
install(DIRECTORY frontend/fovea DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN *.h)
foreach(header build error geometry graph interpret target tensor text)
  install(FILES ir/${header}.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fovea/ir)
endforeach()
install(FILES runtime/types.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fovea/runtime)

configure_package_config_file(cmake/fovea-config.cmake.in ${PROJECT_BINARY_DIR}/fovea-config.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fovea-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fovea-config.cmake
              ${PROJECT_BINARY_DIR}/fovea-config-version.cmake
              cmake/fovea-libraries.cmake
  DESTINATION ${package})
