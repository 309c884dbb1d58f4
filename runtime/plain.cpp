#include <HalideRuntime.h>

#include <algorithm>

#include "runtime/steps.h"

namespace fovea::runtime {

const Call* exact_form(const Program& program, int step) {
  const Call& given = program.steps[static_cast<std::size_t>(step)].exact;
  if (given.function) return &given;
  return program.exact ? program.exact(program.context, step) : nullptr;
}

bool has_nonfinite(Lane& lane, const Lane::Calls& calls, const Program& program, const Step& step,
                   Results which, int of_nothing) {
  const auto check = [&](int result, int buffer, bool excludes) {
    const Dtype type = program.buffers[static_cast<std::size_t>(buffer)].type;
    const halide_buffer_t& crop = lane.crop(calls, result);
    return is_float(type) &&
           !(excludes ? all_finite_or_excluded(crop, type) : all_finite(crop, type));
  };
  int result = 0;
  if (const Plain* plain = step.plain()) {
    for (const int buffer : plain->results) {
      if (check(result++, buffer, plain->excludes)) return true;
    }
  } else {
    for (const Tiled::Result& each : step.tiled()->results) {
      const bool of_row = std::ranges::find(each.along, Tiled::kRows) != each.along.end();
      if (which == (of_row ? Results::of_all_rows : Results::of_each_row)) {
        ++result;
        continue;
      }
      const bool excludes = each.excludes || (each.maxima & of_nothing) != 0;
      if (check(result++, each.buffer, excludes)) return true;
    }
  }
  return false;
}

Status compute_again(Lane& lane, const Program& program, int index, Trust trust) {
  if (trust == Trust::whole) return {};
  const Call* exact = exact_form(program, index);
  if (!exact) return {};
  return trust == Trust::finite ? lane.call_exact_but_for_finite(*exact, index)
                                : lane.call_exact(*exact, index);
}

Status run_check(const Workspace& workspace, const Check& check) {
  const auto value = [&](int buffer) {
    return static_cast<std::int64_t>(
        *static_cast<const std::int32_t*>(workspace.buffer(buffer).data));
  };
  const std::int64_t extent = workspace.symbol(check.symbol);
  const std::int64_t low = value(check.low), high = value(check.high);
  if (low >= 0 && high < extent) return {};
  return failure(Code::out_of_bounds, check.what, " is ", low < 0 ? low : high,
                 extent == 1 ? ", expected " : ", expected one from 0 to below ",
                 extent == 1 ? 0 : extent);
}

namespace {

// How a divisible step is cut: the same for any number of threads, or results could depend on it.
struct Cut {
  int dimension = -1;
  std::int64_t extent = 1, piece = 1, pieces = 1;
};

// Elements whose work is worth a piece; and the most pieces, so that their cost stays out of sight.
constexpr std::int64_t kPieceWork = 1 << 15, kMostPieces = 16;
// Longer pieces are made of whole groups of rows, for the sake of the functions' own tiles; rows
// are cut into whole vectors.
constexpr std::int64_t kGroup = 16, kVectors = 64;

std::int64_t work_of(const Workspace& workspace, const Call& call) {
  std::int64_t work = 0;
  for (const Argument& argument : call.arguments) {
    if (argument.kind != Argument::Kind::buffer) continue;
    work = std::max(work, workspace.buffer(argument.index).elements);
  }
  return work;
}

Cut cut(const Workspace& workspace, const Plain& plain) {
  Cut cut;
  const std::int64_t work = work_of(workspace, plain.call);
  if (!plain.divisible || work < 2 * kPieceWork) return cut;
  const std::vector<std::int64_t>& shape = workspace.buffer(plain.results[0]).shape;
  const auto slowest = std::ranges::find_if(shape, [](std::int64_t extent) { return extent > 1; });
  if (slowest == shape.end() || slowest - shape.begin() >= plain.cuttable) return cut;
  cut.dimension = static_cast<int>(slowest - shape.begin());
  cut.extent = *slowest;
  const std::int64_t wanted = std::min({work / kPieceWork, kMostPieces, cut.extent});
  cut.piece = (cut.extent + wanted - 1) / wanted;
  const bool in_row = slowest + 1 == shape.end();
  const std::int64_t group = in_row ? kVectors : cut.piece > kGroup ? kGroup : 1;
  cut.piece = (cut.piece + group - 1) / group * group;
  cut.pieces = (cut.extent + cut.piece - 1) / cut.piece;
  return cut;
}

// Computes again what is not finite in the crop of a divisible step, and no other element: bits of
// one depend neither on its neighbours nor on how the step was cut.
Status again_within(Lane& lane, const Program& program, int index, const Call& exact,
                    int dimension) {
  const Step& step = program.steps[static_cast<std::size_t>(index)];
  const Lane::Calls& calls = lane.calls(index);
  halide_buffer_t& crop = lane.crop(calls, 0);
  const int inner = crop.dimensions - 1 - dimension;
  const halide_dimension_t whole = crop.dim[inner];
  std::uint8_t* const host = crop.host;
  const auto narrow = [&](std::int64_t first, std::int64_t count) {
    crop.dim[inner] = whole;
    crop.host = host;
    lane.narrow(calls, 0, dimension, first, count);
  };
  const auto spoilt = [&](std::int64_t at) {
    narrow(at, 1);
    return has_nonfinite(lane, calls, program, step);
  };
  Status status;
  for (std::int64_t at = 0; at < whole.extent && status.ok(); ++at) {
    if (!spoilt(at)) continue;
    if (inner > 0) {
      status = again_within(lane, program, index, exact, dimension + 1);
      continue;
    }
    const std::int64_t first = at++;
    while (at < whole.extent && spoilt(at)) ++at;
    narrow(first, at - first);
    status = lane.call_exact(exact, index);
  }
  crop.dim[inner] = whole;
  crop.host = host;
  return status;
}

}  // namespace

Status run_plain(Workspace& workspace, int index, ThreadPool& pool) {
  const Program& program = workspace.program();
  const Step& step = program.steps[static_cast<std::size_t>(index)];
  const Plain& plain = *step.plain();
  const bool empty =
      std::ranges::all_of(plain.results, [&](int b) { return workspace.buffer(b).elements == 0; });
  if (empty) return {};
  const Cut pieces = cut(workspace, plain);
  const bool checked = step.exact.function || program.exact;
  const auto body = [&](Lane& lane, std::int64_t item) -> Status {
    const Lane::Calls& calls = lane.calls(index);
    for (std::size_t r = 0; r < plain.results.size(); ++r) {
      lane.reset_crop(calls, static_cast<int>(r), plain.results[r]);
    }
    if (pieces.dimension >= 0) {
      const std::int64_t first = item * pieces.piece;
      lane.narrow(calls, 0, pieces.dimension, first, std::min(pieces.piece, pieces.extent - first));
    }
    const int code = plain.call.function(const_cast<void**>(calls.step.data()));
    if (code != 0) return failure(Code::internal, "step '", step.name, "' returned ", code);
    if (!checked || !has_nonfinite(lane, calls, program, step)) return {};
    if (!plain.divisible) return compute_again(lane, program, index, Trust::finite);
    const Call* exact = exact_form(program, index);
    return exact ? again_within(lane, program, index, *exact, 0) : Status{};
  };
  return for_each_item(workspace, pool, pieces.pieces, pieces.pieces > 1, body);
}

}  // namespace fovea::runtime
