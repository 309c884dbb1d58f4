// codegen/jit.h — objects loaded into this process.
#pragma once

#include <memory>
#include <string_view>

namespace fovea::codegen {

using Entry = int (*)(void**);

// The kernels of one object. They can be called from any thread for as long as this lives. gdb sees
// them by name; perf does with FOVEA_PERF=1, through /tmp/perf-<pid>.map.
class LoadedObject {
 public:
  virtual ~LoadedObject() = default;
  LoadedObject(const LoadedObject&) = delete;
  LoadedObject& operator=(const LoadedObject&) = delete;

  // The entry `name_argv`, or null.
  virtual Entry find(std::string_view name) const = 0;

 protected:
  LoadedObject() = default;
};

// `object` is what codegen::object returned for a target that runs here.
std::shared_ptr<const LoadedObject> load(std::string_view object);

}  // namespace fovea::codegen
