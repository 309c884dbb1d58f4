#include "codegen/scratch.h"

#include <array>
#include <cstdlib>

namespace fovea::codegen {
namespace {

constexpr std::size_t kAlignment = 128;
constexpr std::size_t kKept = std::size_t{64} << 20;

// Lies in front of each block, in kAlignment bytes of its own.
struct Header {
  std::size_t bytes;  // of the whole allocation
};

// Few blocks of few sizes come back again and again: a scan over a dozen is all it needs.
class Freelist {
 public:
  ~Freelist() {
    for (std::size_t n = 0; n < count_; n++) std::free(blocks_[n]);
  }

  // The smallest block that is large enough, but not one that wastes half of itself.
  Header* take(std::size_t bytes) {
    std::size_t best = count_;
    for (std::size_t n = 0; n < count_; n++) {
      const std::size_t size = blocks_[n]->bytes;
      if (size < bytes || size / 2 > bytes) continue;
      if (best == count_ || size < blocks_[best]->bytes) best = n;
    }
    if (best == count_) return nullptr;
    Header* block = blocks_[best];
    kept_ -= block->bytes;
    blocks_[best] = blocks_[--count_];
    return block;
  }

  bool keep(Header* block) {
    if (count_ == blocks_.size() || kept_ + block->bytes > kKept) return false;
    kept_ += block->bytes;
    blocks_[count_++] = block;
    return true;
  }

 private:
  std::array<Header*, 32> blocks_;
  std::size_t count_ = 0;
  std::size_t kept_ = 0;
};

Freelist& freelist() {
  thread_local Freelist list;
  return list;
}

}  // namespace

void* scratch_allocate(std::size_t bytes) noexcept {
  const std::size_t whole = (bytes + 2 * kAlignment - 1) / kAlignment * kAlignment;
  if (whole < bytes) return nullptr;
  Header* block = freelist().take(whole);
  if (block == nullptr) {
    block = static_cast<Header*>(std::aligned_alloc(kAlignment, whole));
    if (block == nullptr) return nullptr;
    block->bytes = whole;
  }
  return reinterpret_cast<char*>(block) + kAlignment;
}

void scratch_free(void* memory) noexcept {
  if (memory == nullptr) return;
  auto* block = reinterpret_cast<Header*>(static_cast<char*>(memory) - kAlignment);
  if (!freelist().keep(block)) std::free(block);
}

}  // namespace fovea::codegen
