// ir/functions.h — what the text form can call, by name, and the name that was probably meant.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace fovea::ir {

// Functions whose first argument is an axis, or several.
enum class AxisFn { Sum, Max, Min, Any, All, Mean, Softmax, LogSumExp, ArgMax, CumSum, TopK, Size };
std::optional<AxisFn> find_axis_fn(std::string_view word);

// `max` and `min` are both. Operators and casts are not among them.
std::optional<Fn> find_element_fn(std::string_view word);

// Of both kinds, and the dtypes that cast.
std::vector<std::string_view> function_names();

// "; did you mean 'x'?", or nothing if no known name comes near.
std::string suggestion(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace fovea::ir
