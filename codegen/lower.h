// codegen/lower.h — kernels as Halide pipelines. For .cpp files of this folder, which include Halide.h first.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "codegen/signature.h"
#include "ir/graph.h"
#include "ir/region.h"
#include "ir/target.h"

namespace fovea::codegen {

// One function of a kernel: Halide's outputs, and what it is called with.
struct Function {
  std::string name;
  std::vector<Halide::Func> outputs;
  std::vector<Halide::Argument> halide;
  std::vector<runtime::Argument> arguments;
  // Of one result: along how many of its slowest dimensions pieces cost no more than the whole.
  int cuttable = 8;
};

// What every lowering starts from.
struct Source {
  const ir::Graph& graph;
  const Placement& places;
  ir::Leaves leaves;          // what is in memory before the kernel runs
  std::vector<bool> checked;  // by node: Reads whose coordinates were checked before
  const ir::Target& target;
  std::string name;
};

// Results as plain loop nests: every fold inside a kernel is computed where it is needed. Each result
// may be cropped. `exact`: in double, with annihilation.
struct Result {
  ir::NodeId node;
  Place place;
};
Function lower_plain(const Source& source, const std::vector<Result>& results, bool exact);

// What folds need, as everywhere: the value over nothing, and one element more. Maxima and minima
// hand NaN on.
Halide::Expr identity(ir::ReduceFn fn, const Halide::Type& type);
Halide::Expr combine(ir::ReduceFn fn, const Halide::Expr& so_far, const Halide::Expr& x);

// A term of a fold along `at` that may be the same for all of it: Halide loops only along what is
// mentioned, and an empty axis must leave the identity.
Halide::Expr term_along(const Halide::Expr& at, const Halide::Expr& x, bool varies);

// The one result of a kernel that walks the column of its region for each point. `outer`: how many
// of the slowest dimensions of the result are points.
Halide::Func lower_walk(const Source& source, const ir::Region& region, Signature& signature,
                        const Result& result, int& outer);

// One result lowered in a way of its own, and Function::cuttable.
struct Special {
  Halide::Func func;
  int cuttable;
};

// One result that is a sum of products, with its accumulators in registers; nothing if it is not one.
std::optional<Special> lower_contraction(const Source& source, Signature& signature,
                                         const Result& result, int number);

// Of a kernel that carries: `absorb` adds blocks to the state, `recall` the state to a tile's
// accumulators (runtime::Tiled).
struct CarryFunctions {
  Function absorb, recall;
  std::vector<int> buffers;
};

// A kernel on a pair plane: `prepare` packs what a tile of rows needs and begins its accumulators,
// `step` walks one chunk of the tile's column blocks, `revisit` the same once more when the
// accumulators are complete, for results on the plane that need them, `finish` turns accumulators
// into results.
struct TiledFunctions {
  Function prepare, step, finish;
  std::optional<CarryFunctions> carried;
  std::optional<Function> revisit;
  std::optional<Function> evaluate;  // of the mask, where intervals cannot decide it
  std::vector<runtime::Tiled::Accumulator> accumulators;
  std::vector<runtime::Tiled::State> states;
  std::vector<int> packed;
  double pair_work = 0;
  int doubt = -1;
  std::vector<ir::NodeId> maxima;  // whose rows it marks
};

// The mark of a row that rightly sees nothing of the n-th of `maxima`; 0 of one too many.
int doubt_bit(std::size_t n);

// `add` gives the buffer with that description an index in the program. Results over rows of the
// plane lie in stored buffers whose columns are padded to whole blocks (padded_columns).
TiledFunctions lower_tiled(const Source& source, const ir::Kernel& kernel, const ir::Region& region,
                           const std::function<int(runtime::Buffer)>& add);

// Of a kernel whose mask intervals cannot decide: which blocks of a tile have anything visible, and
// which are visible and mask-free throughout.
Function lower_mask(const Source& source, const ir::Kernel& kernel, const ir::Region& region);

}  // namespace fovea::codegen
