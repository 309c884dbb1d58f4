#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <limits>

#include "tests/runtime/kernels.h"

namespace fovea::runtime {

TEST_CASE("a plain step writes its result") {
  Numbers<float> a({3, 5}), b({3, 5}), c({3, 5}, NAN);
  for (std::size_t n = 0; n < a.data.size(); ++n) a.data[n] = float(n), b.data[n] = 100 * float(n);
  const Binding bindings[] = {{"c", c.view()}, {"a", a.view()}, {"b", b.view()}};
  const Status status = run(addition(), bindings);
  CHECK(status.message == "");
  for (std::size_t n = 0; n < a.data.size(); ++n) CHECK(c.data[n] == 101 * float(n));
}

}  // namespace fovea::runtime
