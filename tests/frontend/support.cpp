#include "tests/frontend/support.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <list>
#include <random>

#include "ir/query.h"
#include "tools/io/element.h"

namespace fovea::test {
namespace {

constexpr std::size_t kMargin = 192;  // bytes before and behind every tensor
constexpr std::byte kPattern{0xa5};

std::int64_t count_of(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

// Rows apart by an odd number of elements; i4 rows begin at bytes.
std::vector<std::int64_t> strides_of(Dtype dtype, const std::vector<std::int64_t>& shape,
                                     Layout layout) {
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t next = 1;
  if (layout == Layout::Transposed && dtype != i4) {
    for (std::size_t n = 0; n < shape.size(); ++n) {
      strides[n] = n + 1 == shape.size() ? -next : next;
      next = next * std::max<std::int64_t>(shape[n], 1) + (n == 0 ? 3 : 5);
    }
    return strides;
  }
  for (std::size_t n = shape.size(); n-- > 0;) {
    strides[n] = next;
    next *= std::max<std::int64_t>(shape[n], 1);
    const bool last = n + 1 == shape.size();
    if (dtype == i4) {
      if (last) next = (next + 1) / 2 * 2 + (layout != Layout::Dense ? 2 : 0);
    } else if (layout != Layout::Dense) {
      next += last ? 3 : 5;
    }
  }
  return strides;
}

bool same(double found, double expected, double allowed) {
  if (std::isnan(found) || std::isnan(expected)) return std::isnan(found) && std::isnan(expected);
  constexpr double kLargest = std::numeric_limits<float>::max();
  if (std::abs(expected) > kLargest) expected = std::copysign(HUGE_VAL, expected);
  if (std::isinf(found) || std::isinf(expected)) return found == expected;
  return std::abs(found - expected) <= allowed;
}

// Where element n lies, for messages.
std::string place_of(const ir::Array& array, std::size_t n) {
  std::vector<std::int64_t> at(array.shape.size());
  auto rest = static_cast<std::int64_t>(n);
  for (std::size_t axis = at.size(); axis-- > 0;) {
    at[axis] = rest % array.shape[axis];
    rest /= array.shape[axis];
  }
  return fmt::format("[{}]", fmt::join(at, ", "));
}

std::vector<std::int64_t> extents_of(const Graph& graph, const ir::Arrays& inputs,
                                     const Sizes& sizes) {
  std::map<std::string, std::vector<std::int64_t>> shapes;
  for (const auto& [name, array] : inputs) shapes[name] = array.shape;
  return ir::resolve_extents(graph, shapes, sizes);
}

}  // namespace

// The byte in which an element begins.
std::ptrdiff_t Guarded::byte_of(std::int64_t element) const {
  return dtype_ == i4 ? element / 2 : element * static_cast<std::ptrdiff_t>(width_);
}

void Guarded::for_each(auto&& visit) const {
  const std::int64_t count = count_of(shape_);
  std::vector<std::int64_t> at(shape_.size());
  for (std::int64_t n = 0; n < count; ++n) {
    std::int64_t distance = 0;
    for (std::size_t axis = 0; axis < at.size(); ++axis) distance += at[axis] * strides_[axis];
    visit(static_cast<std::size_t>(n), distance);
    for (std::size_t axis = at.size(); axis-- > 0 && ++at[axis] == shape_[axis];) at[axis] = 0;
  }
}

Guarded::Guarded(Dtype dtype, std::vector<std::int64_t> shape, Layout layout)
    : dtype_(dtype),
      shape_(std::move(shape)),
      strides_(strides_of(dtype, shape_, layout)),
      width_(static_cast<std::size_t>(byte_size(dtype, {1}))) {
  std::int64_t last = 0, before = 0;  // in memory, from the element [0, …, 0]
  for (std::size_t axis = 0; axis < shape_.size(); ++axis) {
    const std::int64_t reach = (std::max<std::int64_t>(shape_[axis], 1) - 1) * strides_[axis];
    (reach < 0 ? before : last) += std::abs(reach);
  }
  size_ = static_cast<std::size_t>(byte_of(before + last)) + width_;
  bytes_.assign(2 * kMargin + 128 + size_, kPattern);
  const auto address = reinterpret_cast<std::uintptr_t>(bytes_.data() + kMargin);
  offset_ = kMargin + (64 - address % 64) % 64;
  if (layout != Layout::Dense) offset_ += width_;
  offset_ += static_cast<std::size_t>(byte_of(before));
  for_each([&](std::size_t, std::int64_t distance) {
    std::fill_n(first() + byte_of(distance), width_, std::byte{0xff});
  });
  original_ = bytes_;
}

Guarded::Guarded(const ir::Array& array, Layout layout)
    : Guarded(array.dtype, array.shape, layout) {
  for_each([&](std::size_t n, std::int64_t distance) {
    tools::store(dtype_, first(), distance, array.data[n]);
  });
  original_ = bytes_;
}

View Guarded::view() {
  return fovea::view(static_cast<void*>(first()), dtype_, Shape(std::span(std::as_const(shape_))),
                     Shape(std::span(std::as_const(strides_))));
}

ir::Array Guarded::read() const {
  ir::Array array{dtype_, shape_, {}};
  for_each([&](std::size_t, std::int64_t distance) {
    array.data.push_back(tools::load(dtype_, bytes_.data() + offset_, distance));
  });
  return array;
}

bool Guarded::surroundings_intact() const {
  std::vector<std::byte> restored = bytes_;
  for_each([&](std::size_t, std::int64_t distance) {
    const auto at = static_cast<std::ptrdiff_t>(offset_) + byte_of(distance);
    std::copy_n(original_.begin() + at, width_, restored.begin() + at);
  });
  return restored == original_;
}

Fenced::Fenced(const View& tensor, bool at_end)
    : view_(tensor), bytes_(static_cast<std::size_t>(byte_size(tensor.dtype, tensor.shape))) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  size_ = (bytes_ + page - 1) / page * page + 2 * page;
  memory_ = static_cast<std::byte*>(
      mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(static_cast<void*>(memory_) != MAP_FAILED);
  std::byte* const first = at_end ? memory_ + size_ - page - bytes_ : memory_ + page;
  if (bytes_ > 0) std::memcpy(first, tensor.data, bytes_);
  view_.data = first;
  REQUIRE(mprotect(memory_, page, PROT_NONE) == 0);
  REQUIRE(mprotect(memory_ + size_ - page, page, PROT_NONE) == 0);
}

Fenced::~Fenced() { munmap(memory_, size_); }

bool Fenced::equals(const View& tensor) const {
  return bytes_ == 0 || std::memcmp(view_.data, tensor.data, bytes_) == 0;
}

ir::Arrays run(const Kernel& kernel, const Graph& graph, const ir::Arrays& inputs,
               const Sizes& sizes, Layout layout) {
  std::list<std::pair<std::string, Guarded>> memory;  // stays where it is
  std::list<Fenced> fenced;
  std::vector<NamedView> in, out;
  for (const auto& [name, array] : inputs) {
    auto& [kept, guarded] = memory.emplace_back(name, Guarded(array, layout));
    const bool at_end = (in.size() + array.data.size()) % 3 != 0;
    const View view = guarded.view();
    in.push_back({kept, layout == Layout::Dense ? fenced.emplace_back(view, at_end).view() : view});
  }
  const auto results = memory.size();
  const std::vector<std::int64_t> extents = extents_of(graph, inputs, sizes);
  for (const ir::Output& output : graph.outputs) {
    std::vector<std::int64_t> shape;
    for (const ir::AxisId axis : output.layout) {
      shape.push_back(extents[static_cast<std::size_t>(axis)]);
    }
    auto& [kept, guarded] = memory.emplace_back(
        output.name, Guarded(graph.node(output.node).type.dtype, std::move(shape), layout));
    out.push_back({kept, guarded.view()});
  }
  kernel.run(in, out, sizes);
  auto given = memory.begin();
  for (const Fenced& fence : fenced) {
    CHECK_MESSAGE(fence.equals(given->second.view()), given->first);
    ++given;
  }
  ir::Arrays found;
  std::size_t n = 0;
  for (const auto& [name, guarded] : memory) {
    const bool input = n++ < results;
    CHECK_MESSAGE((input ? guarded.untouched() : guarded.surroundings_intact()), name);
    if (!input) found.emplace(name, guarded.read());
  }
  return found;
}

std::optional<std::string> difference(const ir::Arrays& found, const ir::Arrays& expected,
                                      double tolerance) {
  for (const auto& [name, wanted] : expected) {
    const auto at = found.find(name);
    if (at == found.end()) return fmt::format("'{}' is missing", name);
    const ir::Array& got = at->second;
    if (got.shape != wanted.shape || got.dtype != wanted.dtype) {
      return fmt::format("'{}' has another shape or dtype", name);
    }
    double largest = 0;
    for (const double x : wanted.data) {
      if (std::abs(x) <= std::numeric_limits<float>::max()) {
        largest = std::max(largest, std::abs(x));
      }
    }
    const double allowed = ir::is_float(wanted.dtype) ? tolerance * largest : 0;
    for (std::size_t n = 0; n < wanted.data.size(); ++n) {
      if (same(got.data[n], wanted.data[n], allowed)) continue;
      return fmt::format("{}{} is {:.9g}, expected {:.9g} (largest {:.3g})", name,
                         place_of(wanted, n), got.data[n], wanted.data[n], largest);
    }
  }
  return {};
}

ir::Arrays random_inputs(const Graph& graph, const Sizes& sizes, unsigned seed, int integers) {
  std::mt19937 random(seed);
  const Graph axes{graph.axes, {}, {}, {}};  // no input has a shape yet
  const std::vector<std::int64_t> extents = ir::resolve_extents(axes, {}, sizes);
  ir::Arrays inputs;
  for (const ir::Node& node : graph.nodes) {
    const auto* input = ir::input_of(node);
    if (input == nullptr) continue;
    ir::Array array{node.type.dtype, {}, {}};
    for (const ir::AxisId axis : node.type.axes) {
      array.shape.push_back(extents[static_cast<std::size_t>(axis)]);
    }
    array.data.resize(static_cast<std::size_t>(count_of(array.shape)));
    for (double& x : array.data) {
      if (ir::is_float(array.dtype)) {
        x = ir::round_to(array.dtype, static_cast<float>(std::normal_distribution<>()(random)));
      } else if (array.dtype == boolean) {
        x = random() % 4 != 0 ? 1 : 0;
      } else {
        x = static_cast<double>(random() % static_cast<unsigned>(integers));
      }
    }
    inputs.emplace(input->name, std::move(array));
  }
  return inputs;
}

Sizes all_sizes(const Graph& graph, std::int64_t extent) {
  Sizes sizes;
  for (const ir::Axis& axis : graph.axes) {
    if (axis.extent.empty() && axis.degree == ir::kNone) sizes[axis.name] = extent;
  }
  return sizes;
}

std::string describe(const Sizes& sizes) {
  std::string text;
  for (const auto& [name, extent] : sizes) {
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", name, extent);
  }
  return text;
}

std::optional<std::string> compiled_differs(const Graph& graph, const ir::Arrays& inputs,
                                            const Sizes& sizes, double tolerance,
                                            const Options& options) {
  const Kernel kernel = compile(graph, options);
  return difference(run(kernel, graph, inputs, sizes), ir::interpret(graph, inputs, sizes),
                    tolerance);
}

Planes planes_of(const Kernel& kernel, const Sizes& sizes) {
  Planes planes;
  for (const KernelReport& report : kernel.explain(sizes).kernels) {
    if (!report.row_axis.empty()) ++planes.kernels;
    planes.stored += report.plane_elements_stored;
  }
  return planes;
}

}  // namespace fovea::test
