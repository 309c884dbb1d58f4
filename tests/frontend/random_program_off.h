// tests/frontend/random_program_off.h — OFF: what is known to fail, until the fixes have landed.
#pragma once

#include <algorithm>
#include <cstdint>

namespace fovea::test {

enum class Kind : std::uint8_t { ZeroRows, RaggedReadBack, ThirdAxes, Wrapping };
constexpr Kind kOff[] = {Kind::ZeroRows, Kind::RaggedReadBack};

constexpr bool is_off(Kind kind) { return std::ranges::find(kOff, kind) != std::end(kOff); }

}  // namespace fovea::test
