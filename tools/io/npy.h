// tools/io/npy.h — NumPy's array files (numpy.org, NEP 1), versions 1 to 3.
#pragma once

#include <span>
#include <string_view>

#include "tools/io/tensor.h"

namespace fovea::tools {

// Little-endian numbers and bool, in C or Fortran order (which is transposed on the way in).
// Errors name `what`: Code::invalid_input for bytes that are no such file, Code::unsupported for
// types that no graph could take.
// The elements stay where they are if there is somebody who keeps the file.
StoredTensor read_npy(std::span<const std::byte> file, std::string_view what,
                      const std::shared_ptr<const void>& keeper = {});

// Version 1.0, C order.
Bytes write_npy(const StoredTensor& tensor);

}  // namespace fovea::tools
