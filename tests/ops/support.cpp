#include "tests/ops/support.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "ir/error.h"

namespace fovea::ops::test {

ir::Array array(std::vector<std::int64_t> shape, std::vector<double> data, ir::Dtype dtype) {
  return {dtype, std::move(shape), std::move(data)};
}

ir::Array integers(std::vector<double> data) {
  const auto count = static_cast<std::int64_t>(data.size());
  return {ir::Dtype::I32, {count}, std::move(data)};
}

ir::Array filled(std::vector<std::int64_t> shape, double value) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return array(std::move(shape), std::vector<double>(static_cast<std::size_t>(count), value));
}

ir::Array normal(std::vector<std::int64_t> shape, unsigned seed) {
  ir::Array x = filled(std::move(shape), 0);
  std::mt19937 random(seed);
  std::normal_distribution<double> number;
  for (double& value : x.data) value = number(random);
  return x;
}

ir::Arrays evaluate(const std::string& name, const Options& options, const ir::Arrays& inputs) {
  const Mechanism& mechanism = find(name);
  return ir::interpret(mechanism.build(Problem(mechanism.options, options)), inputs);
}

ir::Arrays one_head(const std::string& name, Options& options, std::int64_t rows,
                    std::int64_t columns, const ir::Arrays& given) {
  options.try_emplace("d", 4);
  options.try_emplace("e", static_cast<double>(columns));
  const Mechanism& mechanism = find(name);
  const Problem problem(mechanism.options, options);
  const ir::Graph graph = mechanism.build(problem);
  ir::Sizes sizes = example_sizes(graph, rows, columns, 1);
  ir::Arrays inputs = example_inputs(mechanism, problem, graph, sizes, 1);
  for (const auto& [input, value] : given) inputs.at(input) = value;
  return inputs;
}

Rows weights(const std::string& name, Options options, std::int64_t rows, std::int64_t columns,
             const ir::Arrays& given) {
  ir::Arrays inputs = one_head(name, options, rows, columns, given);
  ir::Array& v = inputs.at("v");
  for (std::size_t n = 0; n < v.data.size(); ++n) {
    v.data[n] = n % static_cast<std::size_t>(columns + 1) == 0 ? 1 : 0;
  }
  const ir::Array o = evaluate(name, options, inputs).at("o");
  Rows result;
  for (std::int64_t i = 0; i < rows; ++i) {
    const auto row = o.data.begin() + i * columns;
    result.emplace_back(row, row + columns);
  }
  return result;
}

std::vector<double> last(Rows rows) { return std::move(rows.back()); }

std::vector<std::vector<int>> seen(const std::string& name, const Options& options,
                                   std::int64_t rows, std::int64_t columns,
                                   const ir::Arrays& given) {
  std::vector<std::vector<int>> result;
  for (const auto& row : weights(name, options, rows, columns, given)) {
    result.emplace_back();
    for (std::size_t j = 0; j < row.size(); ++j) {
      if (row[j] != 0) result.back().push_back(static_cast<int>(j));
    }
  }
  return result;
}

double distance(const ir::Array& a, const ir::Array& b) {
  if (a.shape != b.shape || a.data.size() != b.data.size()) {
    return std::numeric_limits<double>::infinity();
  }
  double largest = 0;
  for (std::size_t n = 0; n < a.data.size(); ++n) {
    if (a.data[n] == b.data[n]) continue;
    const double difference = std::abs(a.data[n] - b.data[n]);
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, difference);
  }
  return largest;
}

std::string error_of(const std::string& name, const Options& options) {
  try {
    const Mechanism& mechanism = find(name);
    mechanism.build(Problem(mechanism.options, options));
  } catch (const Error& error) {
    return std::string(fovea::name(error.code())) + ": " + error.what();
  }
  return "";
}

}  // namespace fovea::ops::test
