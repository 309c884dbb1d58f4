// passes/pipeline.h — the compiler as two tables of passes: those that every program goes through,
// and those that make other forms of it, for some extents of a run.
//
//   check_reads ► … ► fuse ► … ► plan_buffers ─┬─► the general form
//         as short_axes and unfused say        ├─► half_tiles: tile_half
//                                              ├─► few_rows:   tile_few_rows ► defer_scaling ► …
//                                              └─► decode:     tile_one_row ► defer_scaling ► …
//
// A pass takes a graph and returns one that means the same. passes/run.h runs them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/target.h"

namespace fovea::passes {

using Run = ir::Graph (*)(const ir::Graph& graph, const ir::Target& target);

struct Pass {
  std::string_view name;
  Run run;
  std::string_view help;  // one line
  // What a bisection that stops before this pass runs instead, as no code can be made without it.
  Run least = nullptr;
};

// All passes of the general form, in order.
std::span<const Pass> pipeline();

// What a form is chosen by: at most one specialization of each.
enum class Choice : std::uint8_t { order, fusion, rows };

// `by` runs where the pipeline runs `pass`.
struct Replacement {
  Run pass, by;
};

struct Specialization {
  std::string_view name;
  Choice choice;
  std::string_view help;                 // one line
  std::span<const Replacement> instead;  // of passes of the pipeline
  std::span<const Pass> then;            // what follows it
  // Choice::rows: whether it is for runs whose planes all have so many rows; the first that fits
  // is taken. The others are chosen by what they cost (frontend/alternatives.h).
  bool (*fits)(std::int64_t rows) = nullptr;
};

std::span<const Specialization> specializations();

// One way through both tables.
struct Form {
  const Specialization* order = nullptr;
  const Specialization* fusion = nullptr;
  const Specialization* rows = nullptr;

  // "short_axes/unfused/decode"; empty for the general form.
  std::string path() const;
  bool operator==(const Form&) const = default;
};

// All there are, the general one first.
std::vector<Form> forms();

// The pipeline as order and fusion of a form change it.
std::vector<Pass> pipeline_of(const Form& form);

// What follows it.
std::span<const Pass> passes_after(const Form& form);

}  // namespace fovea::passes
