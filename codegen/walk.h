// codegen/walk.h — a kernel that walks one axis for each point of its result, in the making. For
// .cpp files of this folder, which include Halide.h first.
//
// A point is what the outer axes of the result say (a node); its inner axes (heads and features)
// lie across the lanes. The walk goes by blocks of neighbours. Sums that follow a maximum go by
// chunks: scores, their maximum, weights and sums of a chunk, then the chunks merge as (maximum,
// sums). Any other fold accumulates block by block. The last block of a walk is filled up with the
// last neighbour, at weight 0.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "codegen/lower.h"

namespace fovea::codegen {

class Walk {
 public:
  Walk(const Source& source, const ir::Region& region, Signature& signature, const Result& result);

  Halide::Func build();
  // How many of the slowest dimensions of the result are points, so that it may be cut there.
  int outer() const { return static_cast<int>(outer_.size()); }

 private:
  static constexpr int kStreams = 4;  // neighbours read at once: it takes as many to hide latency

  using Dims = std::vector<ir::AxisId>;  // fastest first
  using Vars = std::vector<Halide::Var>;

  // Funcs that are computed for each block of one consumer.
  struct Site {
    std::vector<Halide::Func> funcs;
    std::map<ir::NodeId, Halide::Func> made;
  };
  // Where along the walk values are being emitted.
  struct Along {
    Site* site = nullptr;
    Halide::Expr local;   // the place within the chunk, or the walk
    int chunk = 0;        // places of a chunk; 0 where there are no chunks
    int block = 0;        // places of a block
    bool whole = false;   // blocks are never too long for the walk
    Halide::Expr first;   // the place at which local ones begin, without chunks
    Halide::Func weight;  // exp2(score - maximum) of the chunk, once it is there
    ir::NodeId maximum = ir::kNone;
    ir::NodeId defining = ir::kNone;
  };
  // Where the result of a fold is found.
  struct Folded {
    Halide::Func func;
    Dims dims;
    int index = -1;  // of a Tuple whose first element is the maximum
  };
  // A sum's term: what lacks its fastest axis, and what has it.
  struct Term {
    std::vector<ir::Factor> weights, values;
    bool negative = false;
  };
  enum class Base { none, natural, two };
  struct Softmax {
    ir::NodeId maximum;
    ir::NodeId score;
    double scale;  // of differences, to be exponents of 2
    Dims heads;
    Halide::Func scores, maxima;
  };

  // walk.cpp: axes, and values along the walk.
  void find_inner();
  Dims dims_of(const ir::Type& type) const;
  std::int64_t fixed_size(const Dims& dims) const;
  ScopePtr scope_of(const Dims& dims);
  ScopePtr scope_at(const Dims& dims, const Halide::Expr& local);
  Halide::Expr degree();
  Halide::Expr position(const Halide::Expr& local) const;
  Halide::Expr chunk() const;
  Vars vars(const Dims& dims, bool along, bool chunked) const;
  std::vector<Halide::Expr> arguments(const Dims& dims, const ScopePtr& scope,
                                      const Halide::Expr& local, const Halide::Expr& chunk) const;
  Halide::Expr resolve(ir::NodeId id, const ScopePtr& scope);
  bool is_gathered_coordinate(ir::NodeId id) const;
  Halide::Func coordinate(ir::NodeId id);
  Halide::Func contraction(ir::NodeId id);
  void sum_features(Halide::Func& func, ir::NodeId id, const Dims& dims, int lanes);
  void fold_features(Halide::Func& func, ir::NodeId id, const Dims& dims);
  int feature_lanes(ir::NodeId id) const;
  bool is_friendly(ir::NodeId root, ir::AxisId axis) const;

  // walk.cpp: schedules.
  int width(ir::AxisId axis, bool tuples = false) const;
  void across_lanes(Halide::Stage stage, ir::AxisId axis, bool tuples = false) const;
  void bound(Halide::Func& func, const Dims& dims) const;
  void place_in_row(Halide::Func& func) const;
  void finish(const Site& site, Halide::Func& consumer, const Halide::RVar& block) const;
  std::string name(const std::string& what, ir::NodeId id);

  // walk_folds.cpp
  Halide::Expr folded(const ir::PlaneReduction& reduction, const ScopePtr& scope);
  void fold(const ir::PlaneReduction& reduction);
  static Base base_of(const ir::PlaneReduction& reduction);
  bool is_chunked_sum(ir::NodeId reduction) const;
  bool is_bound(ir::NodeId reduction) const;
  void find_bound(const ir::PlaneReduction& reduction);
  void accumulate_alone(const ir::PlaneReduction& reduction);
  Halide::RDom blocks(const std::string& name, int block);
  Term term_of(ir::NodeId reduction) const;
  Halide::Expr product(const std::vector<ir::Factor>& factors, bool negative,
                       const ScopePtr& scope);
  Halide::Expr staged(ir::NodeId reduction, const Term& term, const Halide::Expr& local,
                      const ScopePtr& scope, std::vector<Halide::Func>& stages);
  void across_block(Halide::Stage stage, const Dims& dims, const Halide::RDom& r, bool lanes,
                    bool block);
  void accumulate(Halide::Func& func, const Dims& dims, const Halide::RDom& r, bool friendly);

  // walk_chunks.cpp
  void sum_chunks(const ir::PlaneReduction& reduction);
  void follow(ir::NodeId maximum);
  void merge_chunks(const Softmax& softmax, const Dims& dims,
                    const std::vector<const ir::PlaneReduction*>& sums);
  void begin_chunks(const Dims& heads);
  Halide::RDom chunks(const std::string& name);
  void fold_over_chunks(Halide::Func& func, const Dims& dims, const Halide::RDom& r,
                        std::vector<Halide::Func>& stages);
  bool are_friendly(const std::vector<ir::Factor>& factors, const Dims& dims) const;
  Halide::Func scores(const Softmax& softmax);
  Halide::Func maxima(const Softmax& softmax);
  Halide::Func weights(const Softmax& softmax);
  Halide::Func chunk_sum(ir::NodeId reduction, std::vector<Halide::Func>& staged);

  const Source& source_;
  const ir::Graph& graph_;
  const ir::Region& region_;
  Signature& signature_;
  ir::NodeId result_;
  Place place_;
  ir::AxisId axis_;
  Emitter emitter_;
  Dims inner_, outer_;
  Along now_;
  Halide::Func out_;
  std::map<ir::NodeId, Folded> folds_;
  int serial_ = 0;
};

}  // namespace fovea::codegen
