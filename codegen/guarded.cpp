#include "codegen/guarded.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>

#include "ir/require.h"

namespace fovea::codegen {
namespace {

constexpr std::size_t kAlignment = 128;
constexpr unsigned char kPattern = 0xa5;

struct Mapping {
  unsigned char* pages;  // the first is not accessible, nor is the last
  std::size_t size, bytes;
};

struct Blocks {
  std::mutex mutex;
  std::map<void*, Mapping> live;
};

Blocks& blocks() {
  static Blocks all;
  return all;
}

std::size_t page_size() {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

bool is_intact(const unsigned char* first, const unsigned char* end) {
  return std::all_of(first, end, [](unsigned char byte) { return byte == kPattern; });
}

}  // namespace

void* guarded_allocate(std::size_t bytes) noexcept {
  const std::size_t page = page_size();
  const std::size_t whole =
      (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  const std::size_t inner = (whole + page - 1) / page * page, size = inner + 2 * page;
  if (whole < bytes || size < inner) return nullptr;
  void* const memory = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* const pages = static_cast<unsigned char*>(memory);
  if (mprotect(pages + page, inner, PROT_READ | PROT_WRITE) != 0) {
    munmap(memory, size);
    return nullptr;
  }
  std::memset(pages + page, kPattern, inner);
  void* const block = pages + page + inner - whole;
  Blocks& all = blocks();
  const std::lock_guard lock(all.mutex);
  all.live[block] = {pages, size, bytes};
  return block;
}

void guarded_free(void* block) noexcept {
  if (block == nullptr) return;
  Blocks& all = blocks();
  const std::lock_guard lock(all.mutex);
  const auto found = all.live.find(block);
  invariant(found != all.live.end(), "a kernel gave back memory that it does not have");
  const Mapping mapping = found->second;
  all.live.erase(found);
  const auto* const first = static_cast<const unsigned char*>(block);
  const std::size_t page = page_size();
  invariant(is_intact(mapping.pages + page, first), "a kernel wrote in front of its memory");
  invariant(is_intact(first + mapping.bytes, mapping.pages + mapping.size - page),
            "a kernel wrote past the end of its memory");
  munmap(mapping.pages, mapping.size);
}

}  // namespace fovea::codegen
