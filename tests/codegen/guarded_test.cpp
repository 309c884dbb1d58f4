#include "codegen/guarded.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>

#include "tests/child.h"

using namespace fovea;

namespace {

// How a process ends that uses a block of so many bytes: 0, or the signal.
template <class Use>
int end_of(std::size_t bytes, const Use& use) {
  const int status = test::in_child([&](int /*end*/) {
                       close(STDERR_FILENO);
                       auto* const block =
                           static_cast<volatile unsigned char*>(codegen::guarded_allocate(bytes));
                       use(block);
                       codegen::guarded_free(const_cast<unsigned char*>(block));
                       return 0;
                     }).status;
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

TEST_CASE("guarded: a block is as large as was asked for, and no larger") {
  for (const std::ptrdiff_t bytes : {1, 100, 128, 4096, 5000, 1 << 20}) {
    CAPTURE(bytes);
    const auto size = static_cast<std::size_t>(bytes);
    const auto end_where = [&](std::ptrdiff_t at) {
      return end_of(size, [&](volatile unsigned char* block) { block[at] = 1; });
    };
    CHECK(end_where(0) == 0);
    CHECK(end_where(bytes - 1) == 0);
    CHECK(end_where(-(1 << 13)) == SIGSEGV);
    CHECK(end_where(bytes + 128) == SIGSEGV);
    const int close_by = end_where(bytes);
    CHECK((close_by == SIGABRT || (close_by == SIGSEGV && bytes % 128 == 0)));
    const int in_front = end_where(-1);
    CHECK((in_front == SIGABRT || in_front == SIGSEGV));
    CHECK(end_of(size, [&](volatile unsigned char* block) {
            std::fill_n(block, bytes, static_cast<unsigned char>(7));
          }) == 0);
    void* const block = codegen::guarded_allocate(size);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % 128 == 0);
    codegen::guarded_free(block);
  }
}
