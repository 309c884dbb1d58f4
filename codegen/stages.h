// codegen/stages.h — the inputs of one panel that lie on the plane and are staged for it
// (codegen/staging.h), because a vector of their rows is not one load. For .cpp files of this
// folder, which include Halide.h first.
#pragma once

#include <optional>
#include <vector>

#include "codegen/tiled.h"

namespace fovea::codegen {

struct Point;

// The loops of a panel's definition, outermost first: the pieces of the chunk, the inner axes and,
// if it has contractions, those over register tiles.
struct StageLoops {
  Halide::RVar pieces;
  std::vector<ir::AxisId> inner;
  std::optional<Halide::Var> rows;
  std::optional<Halide::RVar> columns;
};

class Stages {
 public:
  Stages(const TiledContext& context, Signature& signature)
      : context_(&context), signature_(&signature) {}

  // The input at a point, or nothing if it is to be read where it lies. `partial`: in the panel's
  // second definition, which masks.
  Halide::Expr load(ir::NodeId leaf, const ScopePtr& scope, const Point& point,
                    const Halide::ImageParam& blocks, bool partial);
  // Once all values of that definition were loaded.
  void schedule(const Halide::Func& panel, const StageLoops& loops, bool partial);

 private:
  struct Stage {
    ir::NodeId leaf;
    bool partial;
    std::vector<Halide::Expr> given;  // by dimension of the input
    std::vector<Halide::Expr> free;   // coordinates that the stage has too, beside row and column
    std::size_t run;                  // how many of these, the first, run along with the column
    std::vector<Halide::Var> vars;
    Halide::Func func;
  };

  Stage& stage(Stage wanted, const std::vector<int>& along, const Halide::ImageParam& blocks);

  const TiledContext* context_;
  Signature* signature_;
  std::vector<Stage> stages_;
};

// In lowered code: fetches what stages will read next, while they are read (codegen/staging.h).
void fetch_ahead(Halide::Module& module);

}  // namespace fovea::codegen
