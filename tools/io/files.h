// tools/io/files.h — whole files, and tensors by the format that the name's ending tells.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tools/io/tensor.h"

namespace fovea::tools {

// All of a file; "-" is standard input. Code::invalid_input if it cannot be read.
Bytes read_file(const std::string& path);

// Writes a file anew. Code::invalid_input if it cannot be written.
void write_file(const std::string& path, std::span<const std::byte> bytes);
void write_file(const std::string& path, std::string_view text);

// The tensors of a .npz or .safetensors file by name, or the one of an .npy file under the name "".
// Elements that are stored as they are stay in the file, which is mapped. Errors are those of the
// formats; Code::invalid_config for another ending.
StoredTensors read_tensors(const std::string& path);

}  // namespace fovea::tools
