// ir/interpret_machine.h — evaluates the values of a plan, one slice at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "ir/graph.h"
#include "ir/interpret.h"
#include "ir/interpret_block.h"
#include "ir/interpret_plan.h"
#include "ir/rounding.h"

namespace fovea::ir {

class Machine {
 public:
  // Graph, plan, extents, inputs and `checked` are kept by reference. Inputs have been checked. A
  // coordinate that is a `checked` node must be inside. Without a rounding, results are exact.
  Machine(const Graph& graph, const Plan& plan, const std::vector<std::int64_t>& extents,
          const Arrays& inputs, const std::vector<bool>& checked,
          std::optional<Rounding> rounding = {});

  // Evaluates the slice whose first coordinates are these, by axis. What does not depend on the
  // axes that changed since the last slice is kept.
  void run(const std::vector<std::int64_t>& base);

  const View& view(int value) const { return slots_[static_cast<std::size_t>(value)].view; }
  // The extents of this slice, by axis.
  const std::vector<std::int64_t>& local() const { return local_; }
  // How often a value has been evaluated.
  int generation(int value) const { return slots_[static_cast<std::size_t>(value)].generation; }

 private:
  struct Slot {
    View view;
    std::vector<double> own;
    std::vector<std::int64_t> key;
    int generation = 0;
  };

  const Value& value(int v) const { return plan_.values[static_cast<std::size_t>(v)]; }
  Slot& slot(int v) { return slots_[static_cast<std::size_t>(v)]; }
  std::int64_t& local(AxisId axis) { return local_[static_cast<std::size_t>(axis)]; }
  std::int64_t local(AxisId axis) const { return local_[static_cast<std::size_t>(axis)]; }

  std::int64_t points(const std::vector<AxisId>& domain) const;
  std::vector<std::int64_t> dense_strides(const std::vector<AxisId>& axes) const;
  void allocate(int v, double fill);
  Source source(int v, const std::vector<AxisId>& domain) const;
  Source index_source(AxisId axis, const std::vector<AxisId>& domain);

  // Whether each point of a block lies before the end of its ragged axes, as far as the domain
  // tells.
  struct Live {
    struct Limit {
      Source index, degree;
    };
    std::vector<Limit> limits;
    std::vector<char> at;
    std::int64_t loaded = -1;  // the start of the block that `at` is about
    const std::vector<char>& load(std::int64_t start, std::size_t count);
  };
  Live live(const std::vector<AxisId>& domain);

  // Calls use(start, count) for every block of the domain, with what a value is made of in block_.
  template <class F>
  void for_blocks(const Value& value, F use);
  void compute(int v, std::size_t count, double* to);
  std::function<double(double, double)> rounded_sum(NodeId node) const;

  void evaluate(int v);
  void evaluate_input(int v);
  void evaluate_index(int v, AxisId axis);
  void evaluate_map(int v);
  void evaluate_reduce(int v, const Reduce& op);
  void evaluate_argmax(int v, const Reduce& op);
  void evaluate_scan(int v, const Scan& op);
  void evaluate_topk(int v, const TopK& op);
  void evaluate_read(int v, const Read& op);
  void measure_ragged(int degree);

  struct Reading;
  void read_block(Reading& reading, std::int64_t start, std::size_t count, double* out);
  void leave(Reading& reading, std::size_t coordinate, std::size_t at, double found,
             std::int64_t extent);
  void limit_ragged(Reading& reading, std::int64_t start, std::size_t count);
  void check_inside(int read, int where, AxisId axis);
  [[noreturn]] void fail_outside(int read, AxisId axis, double found, std::int64_t extent) const;

  const Graph& graph_;
  const Plan& plan_;
  const Arrays& inputs_;
  const std::vector<bool>& checked_;  // by node: as a coordinate, outside is an error
  const std::optional<Rounding> rounding_;
  std::vector<std::int64_t> extents_, base_, local_;
  std::vector<Slot> slots_;
  std::vector<const double*> block_;          // by value: the present block
  std::vector<std::vector<double>> scratch_;  // by value that is not stored
  std::vector<double> counting_;              // 0, 1, 2, ...
};

}  // namespace fovea::ir
