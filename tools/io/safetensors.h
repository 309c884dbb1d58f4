// tools/io/safetensors.h — Hugging Face's tensor files (github.com/huggingface/safetensors).
#pragma once

#include <span>
#include <string_view>

#include "tools/io/tensor.h"

namespace fovea::tools {

// The tensors of a file by name. Errors name `what`: Code::invalid_input for bytes that are no such
// file (offsets must be in order, in bounds and fit the shapes), Code::unsupported for other types.
// The elements stay where they are if there is somebody who keeps the file.
StoredTensors read_safetensors(std::span<const std::byte> file, std::string_view what,
                               const std::shared_ptr<const void>& keeper = {});

}  // namespace fovea::tools
