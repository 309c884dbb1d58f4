// codegen/checked.h — LLVM's results, where a failure is ours. For .cpp files of this folder, which
// include LLVM first.
#pragma once

#include <source_location>
#include <utility>

#include "ir/require.h"

namespace fovea::codegen {

inline void checked(llvm::Error error,
                    std::source_location where = std::source_location::current()) {
  if (error) invariant_failed(llvm::toString(std::move(error)), where);
}

template <class T>
T checked(llvm::Expected<T> value, std::source_location where = std::source_location::current()) {
  checked(value.takeError(), where);
  return std::move(*value);
}

}  // namespace fovea::codegen
