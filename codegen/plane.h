// codegen/plane.h — one step of a kernel on a pair plane, whatever lies across the lanes: which
// values become panels and contractions, what nodes mean at a point, and how a chunk joins the
// state of its tile. How loops run is left to one class for each orientation (step.cpp,
// columns.cpp). For .cpp files of this folder, which include Halide.h first.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "codegen/stages.h"
#include "codegen/tiled.h"
#include "ir/query.h"

namespace fovea::codegen {

// A product of plane values, times a constant.
struct PanelKey {
  std::vector<std::pair<ir::NodeId, bool>> factors;  // inverted or not
  bool negative = false;
  double scale = 1;
  auto operator<=>(const PanelKey&) const = default;
};

struct Panel {
  Halide::Func func;              // (r, j, n, inner)
  std::vector<ir::AxisId> inner;  // slowest first
};

struct Contraction {
  Halide::Func func;  // (r, j, n, inner)
  std::vector<ir::AxisId> inner;
};

// A place on the plane: row r of the tile, and column j of the n-th piece of the chunk (`column`).
struct Point {
  Halide::Expr r, j, n;
  ScopePtr scope;
};

// One definition of a panel: of all blocks of the chunk, or of those alone that need a mask. What
// it folds along other axes is computed in its own loops, for nobody else.
struct Definition {
  Halide::RDom dom;
  std::set<std::string> contractions;  // Funcs
  bool partial = false;
  bool heavy() const { return !contractions.empty(); }
};

// The factors of a reduction's term: those of a panel, and those that bring features.
struct Split {
  PanelKey panel;
  std::vector<ir::Factor> others;
  std::vector<ir::AxisId> features;  // slowest first
};

// A loop over the pieces of a chunk, and over the columns of a piece where that is no dimension of its
// own.
struct Pieces {
  Halide::RDom dom;
  Halide::Expr n;
  Halide::Expr j = Halide::Var("j");
};

class Plane {
 public:
  // With `revisit` it is the second walk, which stores results on the plane only.
  Plane(TiledContext& context, TiledFunctions& functions, bool revisit);
  virtual ~Plane() = default;
  Function build();

 protected:
  // --- what an orientation decides

  virtual Halide::Expr column(const Halide::Expr& j, const Halide::Expr& n) = 0;
  // Over the pieces of the chunk from block `first` on.
  virtual Pieces walk(const Halide::Expr& first, const std::string& name) = 0;
  // The definition of a fold over a feature axis at point_, times `scale`. Where a condition left
  // in `guards` is false it counts as 0.
  virtual void define_contraction(Contraction& contraction, ir::NodeId id, double scale,
                                  const std::vector<Halide::Var>& vars,
                                  std::vector<Halide::Expr>& guards) = 0;
  // The same for the sum of many, one added after the other, where that is how they are compiled.
  virtual bool chains() const { return false; }
  virtual void define_chain(Contraction& /*contraction*/, std::span<const Scaled> /*sums*/,
                            const std::vector<Halide::Var>& /*vars*/) {}
  virtual void schedule_panel(Panel& panel, std::span<const Definition> definitions) = 0;
  // Ends with `keep`.
  virtual void over_columns(const ir::PlaneReduction& reduction) = 0;
  virtual void over_rows(const ir::PlaneReduction& reduction) = 0;
  virtual Halide::Expr packed(ir::NodeId id, double scale, const ScopePtr& scope);
  virtual Halide::Expr scaled_contraction(ir::NodeId id, double scale, const ScopePtr& scope);
  // An input of the plane at point_.
  virtual Halide::Expr plane_input(ir::NodeId id, const ScopePtr& scope);

  // --- where we are

  Halide::Expr block(const Halide::Expr& n);
  Point point(const Halide::Expr& r, const Halide::Expr& j, const Halide::Expr& n,
              const std::vector<ir::AxisId>& inner);
  bool on_plane(ir::NodeId id) const;
  std::optional<bool> when_clear(ir::NodeId id) const;

  // --- what becomes a panel

  Split split(const ir::PlaneReduction& reduction) const;
  PanelKey stored_panel(ir::NodeId result) const;
  bool followed(ir::NodeId maximum) const { return context_.is_followed(maximum); }
  static PanelKey single(ir::NodeId id, double scale = 1) { return {{{id, false}}, false, scale}; }
  void plan();
  void find_contractions(ir::NodeId id, bool root, std::set<ir::NodeId>& found,
                         std::set<ir::NodeId>& nested, std::set<ir::NodeId>& seen,
                         bool inside) const;
  const PanelKey* panel_of(ir::NodeId id) const;
  void find_masks(ir::NodeId id, bool root, std::set<ir::NodeId>& into,
                  std::set<ir::NodeId>& seen) const;

  // --- definitions

  const Panel& panel(const PanelKey& key);
  Halide::Expr product(const PanelKey& key);
  std::vector<Halide::Expr> panel_arguments(const Panel& panel, const Halide::Expr& r,
                                            const Halide::Expr& j, const Halide::Expr& n,
                                            const ScopePtr& scope);
  const Contraction& contraction(ir::NodeId id, double scale);
  // `part`: of a chain, from 1 on; 0: the node is all of it.
  template <class Define>
  const Contraction& contraction(ir::NodeId id, double scale, int part, const Define& define);
  // What values mean where they are being emitted: a definition that is made on the way, for others
  // too, begins with none of it, and leaves it as it was.
  struct Surroundings {
    Point point;
    std::map<ir::NodeId, bool> assumed;
    std::vector<ir::AxisId> unbounded;
    std::vector<Halide::Expr>* guards = nullptr;
    ir::NodeId defining = ir::kNone;
    bool natural = false, partial = false;
  };
  Surroundings step_out();
  void step_back(const Surroundings& surroundings);
  // What a sum on the plane adds up: contractions of its own, and all else; each times a constant.
  struct Summands {
    std::vector<Scaled> contractions, others;
  };
  void add_summands(ir::NodeId id, bool root, double scale, Summands& into) const;
  Halide::Expr product_term(ir::NodeId id, double scale, std::vector<Halide::Expr>& guards);
  void fold(Halide::Func f, const std::vector<Halide::Var>& vars, ir::ReduceFn fn,
            const Halide::Expr& x);

  // --- values

  Halide::Expr resolve(ir::NodeId id, const ScopePtr& scope);
  Halide::Expr branch(const ir::Node& node, const ScopePtr& scope);
  Halide::Expr call(const Panel& panel, const ScopePtr& scope, double scale);
  Halide::Expr call(const Contraction& contraction, const ScopePtr& scope);
  std::vector<Halide::Expr> arguments(const std::vector<ir::AxisId>& inner, const ScopePtr& scope);
  Halide::Expr stable_argument(const ir::Stabilised& exponent, const ScopePtr& scope);
  Halide::Expr scaled(ir::NodeId id, double factor, const ScopePtr& scope);
  Halide::Expr multiple(ir::NodeId id, double factor, const ScopePtr& scope);
  bool contracts(ir::NodeId id) const;
  Halide::Expr chained(ir::NodeId id, double factor, const ScopePtr& scope);
  Halide::Expr other_factors(const std::vector<ir::Factor>& factors, const Point& p,
                             ir::AxisId folded, std::vector<Halide::Expr>& guards);
  bool is_column(ir::NodeId id) const;
  Halide::Expr column_product(ir::NodeId id, const ScopePtr& scope);
  Halide::Expr with_factor(const Halide::Expr& product, const ir::Factor& factor,
                           const Halide::Expr& x) const;
  static Halide::Expr inverse(const Halide::Expr& x);
  Halide::Expr columns_of(const Halide::Expr& n);

  // --- the chunk's folds into the tile's state

  // The fold of this chunk alone, and where the tile's is kept.
  void keep(State state, const Halide::Func& fold);
  void merge();
  Halide::Expr marked(ir::NodeId result, const Halide::Expr& value, const Point& p);
  // What sums that follow a maximum, in exponentials of base 2 or e, are multiplied by: those so
  // far, and those of the chunk.
  using Rescale = std::map<std::pair<ir::NodeId, bool>, std::pair<Halide::Func, Halide::Func>>;
  void merge_plain(const State& state, const Halide::Func& fold, const Rescale& rescale);
  std::vector<std::int64_t> extents(const State& state) const;
  std::vector<Halide::Var> state_vars(const State& state) const;
  // A row of the tile and, where an axis is shared, one of its members.
  struct Entry {
    Halide::Expr r, member;
    Halide::RDom rows;  // of both, if they are looped over
  };
  std::vector<Halide::Expr> fold_arguments(const State& state, const Entry& entry) const;
  std::vector<Halide::Expr> state_at(const State& state, const Entry& entry) const;
  Halide::Expr along(ir::AxisId axis, const Entry& entry) const;
  Entry present(const State& state);
  void bind(Halide::Func f, const State& state);
  void bind_inner(Halide::Func f, ir::AxisId axis);
  bool has_rows_in_lanes(const State& state) const;

  // --- results on the plane (plane_store.cpp)

  void store(ir::NodeId result);
  std::vector<Halide::Expr> stored_at(const Place& place, const Point& p);
  void store_rows_across(ir::NodeId id, Halide::Func f, const Place& place, const Panel& panel);
  void store_columns_across(ir::NodeId id, Halide::Func f, const Place& place, const Panel& panel);
  Halide::Func turned(const Panel& panel, int lanes);
  Halide::Expr rows_here();
  const State& state_of(ir::NodeId reduction) const;

  TiledContext& context_;
  TiledFunctions& functions_;
  const bool revisit_;
  const ir::Graph& graph_;
  const ir::Kernel& kernel_;
  const Tiling& tiling_;
  Signature signature_;
  Emitter emitter_;
  ir::AxisId row_, column_;
  std::vector<ir::AxisId> unbounded_;  // axes whose coordinates loads limit
  Halide::Expr here_, clear_, first_row_;
  Halide::ImageParam blocks_;
  std::set<PanelKey> wanted_;
  std::map<PanelKey, Panel> panels_;
  // By scale, part, whether of masked blocks alone, and what was assumed.
  std::map<std::tuple<ir::NodeId, double, int, bool, std::map<ir::NodeId, bool>>, Contraction>
      contractions_;
  std::map<std::string, Halide::Expr> guards_;  // by Func: where it counts, elsewhere it is 0
  std::set<std::string> used_;                  // contractions of the definition at hand
  Stages stages_;                               // staged inputs of the panel at hand
  std::map<ir::NodeId, Halide::Func> maxima_;
  Halide::Func columns_;
  std::vector<Halide::Func> folds_;  // of context_.states
  std::vector<Halide::Func> outputs_;
  std::map<ir::NodeId, bool> assumed_;
  Point point_;
  ir::NodeId defining_ = ir::kNone;
  int panel_count_ = 0;
  bool natural_ = false;  // row operands as they lie, not packed
  bool partial_ = false;  // it is of masked blocks alone
  bool defer_ = false;    // product_term leaves constants in deferred_scale_
  double deferred_scale_ = 1;
};

Function lower_columns_step(TiledContext& context, TiledFunctions& functions, bool revisit);

}  // namespace fovea::codegen
