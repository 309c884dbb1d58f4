// fovea/fovea.h — Fovea compiles attention: write it over named axes, run it as one fused kernel.
//
//   using namespace fovea;
//   Axis h{"h"}, i{"i"}, j{"j"}, d{"d", 64}, e{"e", 64};
//   Tensor q = input("q", f32, {h, i, d});
//   Tensor k = input("k", f32, {h, j, d});
//   Tensor v = input("v", f32, {h, j, e});
//   Tensor p = softmax(j, where(j <= i, sum(d, q * k) * 0.125f, -infinity));
//   Kernel attention = compile({{"o", sum(j, p * v)}});
//   attention.run({{"q", view(Q, {8, n, 64})}, {"k", view(K, {8, n, 64})}, {"v", view(V, {8, n, 64})}},
//                 {{"o", view(O, {8, n, 64})}});
//
// The language (Axis, Tensor, input, sum, softmax, …) is in ir/tensor.h, its functions of
// hyperbolic and spherical geometry in ir/geometry.h, failures (Error, Code) in ir/error.h, tensors
// in memory (View, DLPack) in fovea/view.h.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/view.h"
#include "ir/error.h"
#include "ir/geometry.h"
#include "ir/graph.h"
#include "ir/interpret.h"
#include "ir/target.h"
#include "ir/tensor.h"
#include "ir/text.h"

namespace fovea {

// Attention as a graph over named axes: a value, made by parse() or ir::make_graph().
using ir::Graph;

// Extents of axes by name: {{"j", 4096}}.
using ir::Sizes;

// Graph parse(std::string_view text): reads the text form (`.fov`; grammar in ir/README.md). Errors:
// Code::syntax_error and those of a graph that makes no sense, beginning with "line:column: ".
using ir::parse;

// std::string print(const Graph& graph): writes the text form; parse(print(g)) == g.
using ir::print;

// std::string dot(const Graph& graph): the graph in Graphviz's language.
using ir::dot;

// What a compilation may choose.
struct Options {
  // A row of ir::targets() that this CPU can run ("avx2"); empty: FOVEA_TARGET from the environment
  // if set, otherwise the best row for this CPU.
  std::string target = {};
  // Threads of a run, the caller's included, 1024 at most; 0: as many as the machine has. Results
  // are the same bit for bit for any number.
  int threads = 0;
  // What extents to expect of axes that the text leaves open; hints for tile sizes, never limits.
  Sizes sizes = {};
  // true: kernels on pair planes, which store nothing there, whatever the extents. false: every
  // contraction and normalisation is a kernel of its own and stores what it makes, the pair plane
  // too. Neither: each run takes the faster of both for its extents, by an estimate; planes of more
  // than a megabyte for each element of a batch are never stored.
  std::optional<bool> fuse = {};
  // true: a run refuses inputs of floats that hold NaN or an infinity (Code::invalid_input) before
  // it computes anything; it reads all of them once more.
  bool check_finite = false;
};

// What became of one kernel, for given sizes. Tiles are row tiles times column blocks of the pair
// plane, over all batch coordinates; all 0 for a kernel off the plane.
struct KernelReport {
  std::string kernel;                  // its name
  std::string symbol;                  // begins the names of its functions in gdb and perf
  std::string why;                     // why it was fused so, or why not
  std::string row_axis, column_axis;   // names; empty off the plane
  std::int64_t rows = 0, columns = 0;  // their extents
  std::int64_t batch = 1;              // planes: the product of the other axes that it walks
  int row_tile = 0, column_block = 0;  // rows of a tile, columns of a block
  int chunk = 0;                       // blocks of a step
  std::string lanes;                   // what lies across the vector: "rows" or "columns"
  std::int64_t tiles_empty = 0;        // never visited
  std::int64_t tiles_full = 0;         // run without the mask
  std::int64_t tiles_partial = 0;      // apply the mask to each element
  double flops = 0;                    // over visited tiles; a multiply-add counts 2
  double flops_all = 0;                // over the whole plane
  double bytes = 0;                    // read and written once each: inputs and results
  // Elements of its results that lie on one of Report::planes; 0 when fused.
  std::int64_t plane_elements_stored = 0;
  // Making its code: lowering it, and its share by size of the machine code, which is made for all
  // kernels together; 0 where that came from the cache on disk.
  double compile_ms = 0;
};

// A value that is kept in memory between kernels.
struct KeptReport {
  std::string name;               // of the value, or what stands for one
  std::string kernel;             // that makes it
  std::vector<std::string> axes;  // what it varies along
  double bytes = 0;               // for these extents
  std::string growth;             // along the axes that the text leaves open: "O(h·i)"
  bool on_plane = false;          // it has both axes of one of Report::planes
};

struct Report {
  std::string target;  // the row that the code is for
  int threads = 0;
  double compile_ms = 0;   // from the graph to callable code, of all kernels together
  bool cached = false;     // the machine code came from the cache on disk
  double extra_bytes = 0;  // stored between kernels and scratch of all threads
  // The pair planes as the graph's author would name them, rows x columns: "i x j". Attention that
  // is fused stores nothing on them, whatever planes its kernels walk.
  std::vector<std::string> planes;
  std::vector<KeptReport> kept;       // between kernels
  double kept_bytes = 0;              // of all of them at once: what is never needed together
                                      // shares its place
  std::string growth;                 // of all of them: "O(h·i + h·j)"; empty: nothing is kept
  std::string order;                  // why contractions are in theirs; empty: there is but one
  std::string fusion;                 // why kernels are fused or not, where extents decide
  std::string rows;                   // what their code is made for, if not for many; else empty
  std::string indices;                // why they are of 64 bits; empty: they are of 32
  std::vector<KernelReport> kernels;  // in the order of execution
};

// Compiled attention. Copies share the code; run() may be called from many threads at once.
class Kernel {
 public:
  // Computes the outputs. Every input and output of the graph is bound by name to a view of its
  // dtype, whose shape follows the declared layout. Extents come from the inputs, and from `sizes`
  // where no input carries them. Outputs must not share memory with each other or the inputs, but
  // may lie between their elements; every element is written. Errors: Code::dimension_mismatch for
  // ranks, extents and dtypes that do not fit;
  // Code::empty_input for a name that is missing; Code::invalid_config for a name that the graph
  // does not have or that is given twice; Code::invalid_input for overlapping or read-only outputs,
  // and with Options::check_finite for NaN and infinities in inputs;
  // Code::out_of_bounds for a gathered coordinate outside its axis (outputs are then unspecified).
  void run(std::initializer_list<NamedView> inputs, std::initializer_list<NamedView> outputs,
           const Sizes& sizes = {}) const;
  void run(std::span<const NamedView> inputs, std::span<const NamedView> outputs,
           const Sizes& sizes = {}) const;

  // As run(), and returns the seconds that each kernel took, in the order of Report::kernels.
  std::vector<double> profile(std::span<const NamedView> inputs, std::span<const NamedView> outputs,
                              const Sizes& sizes = {}) const;

  // The graph after all passes, with its kernels.
  const Graph& graph() const;

  // What the compiler did, for extents as in run(): `sizes` names every axis that the text leaves
  // open and that no view in `inputs` carries. Where data decide what is visited, computed ones
  // too, and all inputs are given, the graph is run once and what it visited is counted; without
  // all of them, tiles that an input or a computed value decides count as partial, unless intervals
  // over the inputs that are given settle them. Errors: as run() for sizes, and, where the graph is
  // run, for inputs; Code::invalid_config for a view of no input and for two of one.
  Report explain(const Sizes& sizes, std::span<const NamedView> inputs = {}) const;

  // The machine code of one kernel of graph(), as assembly text; empty name: of all.
  // Error: Code::invalid_config for an unknown name, with those there are.
  std::string code(std::string_view kernel = {}) const;

 private:
  struct State;
  struct Watch;
  void run_into(std::span<const NamedView> inputs, std::span<const NamedView> outputs,
                const Sizes& sizes, Watch* watch) const;
  explicit Kernel(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  friend Kernel compile(const Graph& graph, const Options& options);
  std::shared_ptr<const State> state_;
};

// Compiles a graph, or the graph of these outputs, to machine code in memory. Takes some 200 ms,
// longer the more arithmetic stands on the pair plane, or a few when the cache on disk
// (FOVEA_CACHE) has it. Where contractions have another order for short axes, or small planes may
// be faster unfused, runs choose by their extents, and each form is compiled when it is first needed. Errors: those of
// making the graph; Code::invalid_config for an unknown target, a number of threads that is
// negative or above 1024, or a size that is negative or of no axis; Code::unsupported for a target
// that this CPU cannot run and for an input or output of more axes than a Shape holds.
Kernel compile(const Graph& graph, const Options& options = {});
Kernel compile(const std::vector<NamedOutput>& outputs, const Options& options = {});

}  // namespace fovea
