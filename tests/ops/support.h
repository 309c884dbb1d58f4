// tests/ops/support.h — mechanisms evaluated by the interpreter, and what their weights show.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ops/mechanism.h"
#include "tests/ops/variants.h"

namespace fovea::ops::test {

using Rows = std::vector<std::vector<double>>;

ir::Array array(std::vector<std::int64_t> shape, std::vector<double> data,
                ir::Dtype dtype = ir::Dtype::F32);
ir::Array integers(std::vector<double> data);  // i32 along one axis
ir::Array filled(std::vector<std::int64_t> shape, double value);
ir::Array normal(std::vector<std::int64_t> shape, unsigned seed);

// What the graph of a mechanism means for these inputs.
ir::Arrays evaluate(const std::string& name, const Options& options, const ir::Arrays& inputs);

// Inputs for one element of the batch and one head, some of them given; widths d = 4 and e =
// columns unless the options say otherwise.
ir::Arrays one_head(const std::string& name, Options& options, std::int64_t rows,
                    std::int64_t columns, const ir::Arrays& given = {});

// The weight of each key in each row, read off by values that are the unit vectors.
Rows weights(const std::string& name, Options options, std::int64_t rows, std::int64_t columns,
             const ir::Arrays& given = {});

std::vector<double> last(Rows rows);

// The keys with a weight, row by row.
std::vector<std::vector<int>> seen(const std::string& name, const Options& options,
                                   std::int64_t rows, std::int64_t columns,
                                   const ir::Arrays& given = {});

// The largest difference; infinite where shapes differ or one is not a number.
double distance(const ir::Array& a, const ir::Array& b);

// The message with which building fails, its code in front; empty if it succeeds.
std::string error_of(const std::string& name, const Options& options);

}  // namespace fovea::ops::test
