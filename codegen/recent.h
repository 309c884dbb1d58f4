// codegen/recent.h — what was made last and is still used by somebody, so that it is not made
// again.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace fovea::codegen {

// Holds nothing alive, and remembers so few that looking at all of them is cheap.
template <class T>
class Recent {
 public:
  template <class IsIt>
  std::shared_ptr<T> find(IsIt is_it) {
    const std::lock_guard guard(mutex_);
    for (const std::weak_ptr<T>& each : all_)
      if (std::shared_ptr<T> made = each.lock(); made && is_it(*made)) return made;
    return nullptr;
  }

  void add(const std::shared_ptr<T>& made) {
    const std::lock_guard guard(mutex_);
    std::erase_if(all_, [](const auto& each) { return each.expired(); });
    if (all_.size() == kMost) all_.erase(all_.begin());
    all_.push_back(made);
  }

 private:
  static constexpr std::size_t kMost = 64;

  std::mutex mutex_;
  std::vector<std::weak_ptr<T>> all_;
};

}  // namespace fovea::codegen
