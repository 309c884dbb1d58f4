// Tensors of 2^31 elements and more, mapped but hardly touched: memory that is only read costs
// none. And the kernels for them, whose results are those of the usual ones to the last bit.
#include <doctest/doctest.h>
#include <sys/mman.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/codegen/environment.h"
#include "tests/frontend/support.h"

namespace fovea::test {
namespace {

template <class T>
class Mapped {
 public:
  explicit Mapped(std::int64_t elements) : bytes_(static_cast<std::size_t>(elements) * sizeof(T)) {
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    elements_ = static_cast<T*>(memory);
  }
  ~Mapped() { munmap(elements_, bytes_); }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;

  T* data() { return elements_; }
  T& operator[](std::int64_t n) { return elements_[n]; }

 private:
  T* elements_;
  std::size_t bytes_;
};

std::uint16_t bf16(float x) {
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
}

}  // namespace

TEST_CASE("large tensors: rows are gathered on both sides of 2^31, and of 2^32") {
  constexpr std::int64_t kRows = (1 << 22) + 3, kColumns = 1024;
  Mapped<std::int8_t> table(kRows * kColumns);
  std::vector<std::int32_t> at = {0, (1 << 21) - 1, 1 << 21, (1 << 22) - 1, 1 << 22, kRows - 1};
  std::vector<std::int32_t> column = {7, 1023, 0, 1023, 0, 1023};
  const auto count = static_cast<std::int64_t>(at.size());
  for (std::size_t n = 0; n < at.size(); ++n)
    table[at[n] * kColumns + column[n]] = static_cast<std::int8_t>(n + 1);
  const Graph graph = parse(
      "axis r, n, m\n"
      "t : i8[n, m]\n"
      "at : i32[r]\n"
      "column : i32[r]\n"
      "out one = t[n = at, m = column]\n"
      "out all = sum(m, t[n = at] * (m + 1))\n");
  for (const char* target : {"", "sse41"}) {
    CAPTURE(target);
    const Kernel kernel = compile(graph, {.target = target});
    std::vector<std::int8_t> one(at.size());
    std::vector<std::int32_t> all(at.size());
    kernel.run({{"t", view(table.data(), {kRows, kColumns})},
                {"at", view(at.data(), {count})},
                {"column", view(column.data(), {count})}},
               {{"one", view(one.data(), {count})}, {"all", view(all.data(), {count})}});
    for (std::size_t n = 0; n < at.size(); ++n) {
      const auto value = static_cast<std::int32_t>(n + 1);
      CHECK(one[n] == value);
      CHECK(all[n] == value * (column[n] + 1));
    }
  }
}

TEST_CASE("large tensors: strides of more than 31 bits, of the text and of a run") {
  constexpr std::int64_t kPlanes = 5, kRows = 65'536, kColumns = 40'000;
  Mapped<std::uint8_t> x(kPlanes * kRows * kColumns);
  for (std::int64_t n = 0; n < kPlanes; ++n)
    x[n * kRows * kColumns + 7 * kColumns + 9] = static_cast<std::uint8_t>(n + 1);
  for (const char* axes : {"axis a, b, c\n", "axis a, b = 65536, c = 40000\n"}) {
    CAPTURE(axes);
    const Kernel kernel =
        compile(parse(std::string(axes) + "x : u8[a, b, c]\nout o = x[b = 7, c = 9]\n"));
    std::vector<std::uint8_t> out(kPlanes);
    const auto inputs = {NamedView{"x", view(x.data(), {kPlanes, kRows, kColumns})}};
    kernel.run(inputs, {{"o", view(out.data(), {kPlanes})}});
    CHECK(out == std::vector<std::uint8_t>{1, 2, 3, 4, 5});
    CHECK(kernel.explain({}, inputs).indices == "indices of 64 bits: 'x' has 13107200000 elements");
  }
}

TEST_CASE("large tensors: a cache of which a window is seen") {
  constexpr std::int64_t kBatch = 2, kKeys = (1 << 24) + 1000, kWidth = 64, kSeen = 100;
  Mapped<std::int8_t> keys(kBatch * kKeys * kWidth), values(kBatch * kKeys * kWidth);
  std::vector<float> q(kBatch * kWidth), out(kBatch * kWidth);
  const auto place = [](std::int64_t b, std::int64_t j, std::int64_t d) {
    return (b * kKeys + j) * kWidth + d;
  };
  for (std::int64_t b = 0; b < kBatch; ++b) {
    q[static_cast<std::size_t>(b * kWidth)] = 0.25F;
    for (std::int64_t j = kKeys - kSeen; j < kKeys; ++j) {
      keys[place(b, j, 0)] = static_cast<std::int8_t>(j % 7);
      values[place(b, j, 5)] = static_cast<std::int8_t>(j % 11 - b);
    }
  }
  const Kernel kernel =
      compile(parse("axis b, i, j, d = 64\n"
                    "q : f32[b, i, d]\n"
                    "k : i8[b, j, d]\n"
                    "v : i8[b, j, d]\n"
                    "seen = j >= size(j) - 100\n"
                    "out o = sum(j, softmax(j, where(seen, sum(d, q * k), -inf)) * v)\n"));
  kernel.run({{"q", view(q.data(), {kBatch, 1, kWidth})},
              {"k", view(keys.data(), {kBatch, kKeys, kWidth})},
              {"v", view(values.data(), {kBatch, kKeys, kWidth})}},
             {{"o", view(out.data(), {kBatch, 1, kWidth})}});
  for (std::int64_t b = 0; b < kBatch; ++b) {
    double sum = 0, weighted = 0;
    for (std::int64_t j = kKeys - kSeen; j < kKeys; ++j) {
      const double weight = std::exp(0.25 * static_cast<double>(j % 7));
      sum += weight;
      weighted += weight * static_cast<double>(j % 11 - b);
    }
    CHECK(out[static_cast<std::size_t>(b * kWidth + 5)] ==
          doctest::Approx(weighted / sum).epsilon(1e-5));
    CHECK(out[static_cast<std::size_t>(b * kWidth + 6)] == 0);
  }
}

// Tiles of the plane are staged: by code of our own, which multiplies by strides itself.
TEST_CASE("large tensors: a bias of the whole plane") {
  constexpr std::int64_t kHeads = 2, kRows = 65, kColumns = (1 << 25) + 1000, kSeen = 50;
  Mapped<std::uint16_t> bias(kHeads * kRows * kColumns);
  std::vector<float> scale(kRows), out(kHeads * kRows);
  const auto value = [](std::int64_t h, std::int64_t i, std::int64_t j) {
    return static_cast<float>((i + (h + 1) * j) % 5);
  };
  for (std::int64_t i = 0; i < kRows; ++i) {
    scale[static_cast<std::size_t>(i)] = 0.5F + 0.01F * static_cast<float>(i);
    for (std::int64_t h = 0; h < kHeads; ++h)
      for (std::int64_t j = kColumns - kSeen; j < kColumns; ++j)
        bias[(h * kRows + i) * kColumns + j] = bf16(value(h, i, j));
  }
  const Kernel kernel = compile(
      parse("axis h, i, j\n"
            "bias : bf16[h, i, j]\n"
            "scale : f32[i]\n"
            "seen = j >= size(j) - 50\n"
            "out o = sum(j, softmax(j, where(seen, bias * scale, -inf)) * (size(j) - j))\n"),
      {.fuse = true});
  kernel.run({{"bias", view(bias.data(), Dtype::BF16, {kHeads, kRows, kColumns})},
              {"scale", view(scale.data(), {kRows})}},
             {{"o", view(out.data(), {kHeads, kRows})}});
  for (std::int64_t n = 0; n < kHeads * kRows; ++n) {
    const std::int64_t h = n / kRows, i = n % kRows;
    double sum = 0, weighted = 0;
    for (std::int64_t j = kColumns - kSeen; j < kColumns; ++j) {
      const double weight =
          std::exp(static_cast<double>(value(h, i, j)) * scale[static_cast<std::size_t>(i)]);
      sum += weight;
      weighted += weight * static_cast<double>(kColumns - j);
    }
    CAPTURE(n);
    CHECK(out[static_cast<std::size_t>(n)] == doctest::Approx(weighted / sum).epsilon(1e-5));
  }
}

TEST_CASE("large tensors: views that span more than they hold") {
  constexpr std::int64_t kStep = (std::int64_t{1} << 32) + 5;
  Mapped<std::uint8_t> memory(3 * kStep);
  std::vector<std::int32_t> out(6);
  for (std::int64_t n = 0; n < 3; ++n)
    for (std::int64_t m = 0; m < 2; ++m)
      memory[n * kStep + m] = static_cast<std::uint8_t>(10 * n + m);
  const Kernel kernel = compile(parse("axis n, m\nx : u8[n, m]\nout o = x + 1\n"));
  kernel.run({{"x", view(memory.data(), Shape{3, 2}, Shape{kStep, 1})}},
             {{"o", view(out.data(), {3, 2})}});
  CHECK(out == std::vector<std::int32_t>{1, 2, 11, 12, 21, 22});
}

TEST_CASE("large tensors: what no coordinate reaches, or no memory holds, is refused") {
  const Kernel kernel = compile(parse("axis a, b, c\nx : f32[a, b, c]\nout o = x[b = 0, c = 0]\n"));
  float nothing = 0;
  const auto refused = [&](const Shape& shape) {
    return error_of([&] {
      kernel.run({{"x", view(&nothing, shape)}}, {{"o", view(&nothing, {shape[0]})}});
    });
  };
  const auto says = [](const std::string& found, const char* expected) {
    CAPTURE(found);
    CHECK(found.find(expected) != found.npos);
  };
  says(refused({2, 4'294'967'296, 1}),
       "tensor 'x' has shape [2, 4294967296, 1], expected at most 2147483647 along each axis");
  says(refused({2'000'000'000, 2'000'000'000, 2}), "exceeds what memory can hold");
}

}  // namespace fovea::test
