// runtime/status.h — the one voice in which the runtime fails.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fovea::runtime {

// One code per cause, called as in the compiler's errors.
enum class Code : std::uint8_t {
  ok,
  syntax_error,
  dimension_mismatch,  // shapes, axes or ranks that do not fit
  empty_input,         // nothing where something is needed
  invalid_input,       // values that make no sense
  input_too_large,     // beyond what indices or memory can hold
  invalid_config,      // a binding or option that makes no sense
  out_of_bounds,       // a coordinate outside its axis
  numerical_instability,
  unsupported,
  needs_wide_indices,  // more elements than these functions reach: others may (Program)
  internal,            // ours: a program that contradicts itself
};

// "dimension_mismatch" and so on.
std::string_view name(Code code);

// What became of a run. The message names the tensor or axis, what was found and what was expected.
struct [[nodiscard]] Status {
  Code code = Code::ok;
  std::string message;
  bool ok() const { return code == Code::ok; }
};

// Appends text or a number: messages are put together without a formatting library.
void append(std::string& message, std::string_view text);
void append(std::string& message, std::int64_t number);
inline void append(std::string& message, int number) {
  append(message, static_cast<std::int64_t>(number));
}

template <class... Parts>
Status failure(Code code, const Parts&... parts) {
  Status status{code, {}};
  (append(status.message, parts), ...);
  return status;
}

// What may have been meant by a name that is unknown: " (did you mean 'keys'?)" with the candidate
// nearest to `found`; all of them, ", expected one of 'keys', 'values'", if none is near.
class Suggestion {
 public:
  explicit Suggestion(std::string_view found) : found_(found) {}
  void offer(std::string_view candidate);
  std::string text() const;

 private:
  std::string_view found_;
  std::string best_, all_;
  std::size_t distance_ = SIZE_MAX;
};

}  // namespace fovea::runtime
