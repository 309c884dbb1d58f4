#include "runtime/status.h"

#include <algorithm>
#include <vector>

namespace fovea::runtime {

std::string_view name(Code code) {
  switch (code) {
    case Code::ok: return "ok";
    case Code::syntax_error: return "syntax_error";
    case Code::dimension_mismatch: return "dimension_mismatch";
    case Code::empty_input: return "empty_input";
    case Code::invalid_input: return "invalid_input";
    case Code::input_too_large: return "input_too_large";
    case Code::invalid_config: return "invalid_config";
    case Code::out_of_bounds: return "out_of_bounds";
    case Code::numerical_instability: return "numerical_instability";
    case Code::unsupported: return "unsupported";
    case Code::needs_wide_indices: return "needs_wide_indices";
    case Code::internal: return "internal";
  }
  return "internal";
}

void append(std::string& message, std::string_view text) { message += text; }
void append(std::string& message, std::int64_t number) { message += std::to_string(number); }

namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

void Suggestion::offer(std::string_view candidate) {
  append(all_, all_.empty() ? "'" : ", '");
  append(all_, candidate);
  append(all_, "'");
  const std::size_t distance = edit_distance(found_, candidate);
  // Half of the letters may differ, so that "k" is not offered for "q" but "keys" is for "kesy".
  if (distance >= distance_ || 2 * distance > std::max(found_.size(), candidate.size())) return;
  distance_ = distance;
  best_ = candidate;
}

std::string Suggestion::text() const {
  if (!best_.empty()) return " (did you mean '" + best_ + "'?)";
  return all_.empty() ? ", expected none" : ", expected one of " + all_;
}

}  // namespace fovea::runtime
