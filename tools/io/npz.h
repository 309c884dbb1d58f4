// tools/io/npz.h — NumPy's archives: zips of .npy files, stored or deflated (through libzip).
#pragma once

#include <span>
#include <string_view>

#include "tools/io/tensor.h"

namespace fovea::tools {

// The arrays of an archive by name, without ".npy". Errors name `what`: Code::invalid_input for
// bytes that are no such archive, and those of read_npy for its arrays.
StoredTensors read_npz(std::span<const std::byte> file, std::string_view what);

}  // namespace fovea::tools
