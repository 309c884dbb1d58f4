#include "runtime/types.h"

#include <doctest/doctest.h>

#include <set>

using namespace fovea::runtime;

TEST_CASE("the table of dtypes") {
  std::set<std::string_view> names;
  for (std::size_t n = 0; n < kDtypes.size(); ++n) {
    const DtypeRow& of = kDtypes[n];
    CAPTURE(of.name);
    CHECK(static_cast<std::size_t>(of.dtype) == n);
    CHECK(&row(of.dtype) == &of);
    names.insert(of.name);
    CHECK(is_float(of.dtype) + is_integer(of.dtype) + (of.kind == DtypeKind::truth) == 1);
    if (is_float(of.dtype)) {
      // IEEE 754: a sign, exponents around 0 with one more of either sign, the digits but one
      const int exponents = of.max_exponent - of.min_exponent + 3;
      CHECK(exponents == 1 << (of.bits - of.digits));
      CHECK(of.min_exponent == 1 - of.max_exponent);
    }
    if (is_integer(of.dtype)) {
      const std::int64_t values = std::int64_t{of.max} - of.min + 1;
      CHECK(values == std::int64_t{1} << of.bits);
    }
  }
  CHECK(names.size() == kDtypes.size());
  CHECK(element_bytes(Dtype::BF16) == 2);
  CHECK(element_bytes(Dtype::I4) == 1);
  CHECK(is_packed(Dtype::I4));
  CHECK_FALSE(is_packed(Dtype::Bool));
}
