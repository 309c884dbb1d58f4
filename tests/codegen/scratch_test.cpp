#include "codegen/scratch.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

using namespace fovea;

namespace {

long page_faults() {
  rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt;
}

// What a call of a kernel does that needs three blocks at once.
void use_blocks(std::size_t bytes) {
  void* blocks[3];
  for (void*& block : blocks) {
    block = codegen::scratch_allocate(bytes);
    REQUIRE(block != nullptr);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % 128 == 0);
    std::fill_n(static_cast<std::byte*>(block), bytes, std::byte{1});
  }
  for (void* block : blocks) codegen::scratch_free(block);
}

}  // namespace

TEST_CASE("scratch: a call with the sizes of an earlier one finds its memory in place") {
  for (const std::size_t bytes :
       {std::size_t{1} << 16, std::size_t{2} << 20, std::size_t{16} << 20}) {
    CAPTURE(bytes);
    use_blocks(bytes);
    const long before = page_faults();
    for (int call = 0; call < 4; ++call) use_blocks(bytes);
    CHECK(page_faults() - before < 64);
  }
}
