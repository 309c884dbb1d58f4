#include "codegen/staging.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <utility>

#include "ir/require.h"
#include "runtime/program.h"

namespace fovea::codegen {
namespace {

using llvm::Value;

constexpr std::string_view kStage = "fovea_stage", kAhead = "fovea_ahead", kWide = "_wide";
constexpr std::int64_t kLine = 64;  // bytes that the caches take at once

// What a function of such a name does.
std::optional<Staging> staging_of(std::string_view symbol) {
  static_assert(kStage.size() == kAhead.size());
  if (!symbol.starts_with(kStage) && !symbol.starts_with(kAhead)) return std::nullopt;
  const bool wide = symbol.ends_with(kWide);
  if (wide) symbol.remove_suffix(kWide.size());
  std::vector<int> numbers;
  for (std::size_t at = kStage.size(); at < symbol.size(); at = symbol.find('_', at)) {
    at++;
    int number = -1;
    std::from_chars(symbol.data() + at, symbol.data() + symbol.size(), number);
    numbers.push_back(number);
  }
  invariant(numbers.size() > 5, "a staging function of an unknown form");
  return Staging{
      numbers[0], numbers[1], numbers[2], numbers[3], {numbers.begin() + 4, numbers.end()}, wide};
}

// Whether a row has several elements to a column.
bool is_run(const Staging& staging) { return staging.along[0] > 1; }

// The body of one function. Indices are 64-bit, as the planes of many heads are large.
class Body {
 public:
  Body(llvm::Function& function, const Staging& staging)
      : function_(function),
        staging_(staging),
        b_(llvm::BasicBlock::Create(function.getContext(), "entry", &function)),
        element_(staging.bits == 32 ? b_.getFloatTy() : b_.getIntNTy(unsigned(staging.bits))),
        vector_(llvm::FixedVectorType::get(element_, unsigned(staging.lanes))),
        row_(position(0)),
        column_(position(1)),
        in_(function.getArg(0)),
        out_(function.getArg(unsigned(staging.along.size()) + 2)) {}

  void stage() {
    Value* first = b_.CreateAdd(column_of(load_block(number(0))), dimension(out_, 1, Field::min));
    Value* left = b_.CreateSub(dimension(in_, column_, Field::extent), first);
    columns_here_ = clamp(left, number(0), dimension(out_, 1, Field::extent));
    first_row_ = dimension(out_, 0, Field::min);
    in_host_ = origin(first);
    out_host_ = host(out_);
    other_loops(2, [&] { row_ == 0 ? copy_rows() : turn_rows(); });
    b_.CreateRet(b_.getInt32(0));
  }

  // What is staged next: further rows of this block, or of the list's next one, or most likely of
  // its neighbour. Not more ahead: rows are often a power of two apart and share few cache sets.
  void fetch_ahead() {
    Value* below = b_.CreateAdd(dimension(out_, 0, Field::min), dimension(out_, 0, Field::extent));
    Value* over = b_.CreateICmpSGE(below, number(staging_.rows));
    first_row_ = b_.CreateSelect(over, number(0), below);
    Value* last = b_.CreateSub(dimension(function_.getArg(1), 0, Field::extent), number(1));
    Value* more = b_.CreateICmpSLT(dimension(out_, 2, Field::min), last);
    Value* listed = b_.CreateZExt(b_.CreateAnd(over, more), b_.getInt64Ty());
    Value* beside = b_.CreateZExt(b_.CreateAnd(over, b_.CreateNot(more)), b_.getInt64Ty());
    Value* first = column_of(b_.CreateAdd(load_block(listed), beside));
    Value* left = b_.CreateSub(dimension(in_, column_, Field::extent), first);
    columns_here_ = clamp(left, number(0), number(staging_.block));
    in_host_ = origin(first);
    out_host_ = host(out_);
    other_loops(2, [&] {
      Value* rows = dimension(out_, 0, Field::extent);
      Value* in = in_host_;
      if (row_ == 0) in = element(in, input_row(number(0)));
      loop_over_part(row_ == 0 ? columns_here_ : rows, [&](Value* at) {
        if (row_ != 0) at = input_row(at);
        const int d = row_ == 0 ? column_ : row_;
        fetch(element(in, b_.CreateMul(at, stride_of_input(d))), row_ == 0 ? rows : columns_here_);
      });
    });
    b_.CreateRet(b_.getInt32(0));
  }

 private:
  // Of halide_dimension_t.
  enum class Field : unsigned { min = 0, extent = 1, stride = 2 };

  int position(int along) const {
    const auto at = std::ranges::find(staging_.along, along);
    invariant(at != staging_.along.end(), "a staged input without rows or columns");
    return static_cast<int>(at - staging_.along.begin());
  }

  Value* number(std::int64_t x) { return b_.getInt64(std::uint64_t(x)); }
  Value* clamp(Value* x, Value* low, Value* high) {
    return b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax,
                                    b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, x, high), low);
  }
  Value* load(llvm::Type* type, Value* from, unsigned alignment) {
    return b_.CreateAlignedLoad(type, from, llvm::Align(alignment));
  }
  Value* element(Value* base, Value* index) { return b_.CreateGEP(element_, base, index); }
  unsigned element_bytes() const { return unsigned(staging_.bits) / 8; }

  // Of halide_buffer_t: device, its interface, host, flags, type, dimensions, dim.
  Value* member(Value* buffer, unsigned n) {
    llvm::Type* pointer = b_.getPtrTy();
    auto* type = llvm::StructType::get(b_.getInt64Ty(), pointer, pointer, b_.getInt64Ty(),
                                       b_.getInt32Ty(), b_.getInt32Ty(), pointer);
    return b_.CreateLoad(type->getElementType(n), b_.CreateStructGEP(type, buffer, n));
  }
  Value* host(Value* buffer) { return member(buffer, 2); }
  Value* dimension(Value* buffer, int d, Field field) {
    const unsigned at = unsigned(d) * 4 + unsigned(field);
    Value* place = b_.CreateConstGEP1_32(b_.getInt32Ty(), member(buffer, 6), at);
    return b_.CreateSExt(load(b_.getInt32Ty(), place, 4), b_.getInt64Ty());
  }
  // Of both its parts where it may be wide (runtime/program.h).
  Value* stride_of_input(int d) {
    Value* low = dimension(in_, d, Field::stride);
    if (!staging_.wide) return low;
    Value* above = dimension(in_, d + static_cast<int>(staging_.along.size()), Field::stride);
    return b_.CreateAdd(b_.CreateShl(above, number(runtime::kStrideBits)), low);
  }
  // The block `further` on in the list.
  Value* load_block(Value* further) {
    Value* at = b_.CreateGEP(b_.getInt32Ty(), host(function_.getArg(1)),
                             b_.CreateAdd(dimension(out_, 2, Field::min), further));
    return b_.CreateSExt(load(b_.getInt32Ty(), at, 4), b_.getInt64Ty());
  }
  Value* column_of(Value* block) { return b_.CreateMul(block, number(staging_.block)); }

  // Of the input, at the first row of all and the given column.
  Value* origin(Value* first_column) {
    Value* result = host(in_);
    for (int d = 0; d < static_cast<int>(staging_.along.size()); d++) {
      const int along = staging_.along[std::size_t(d)];
      if (along == 0) continue;
      Value* at = b_.CreateSExt(function_.getArg(unsigned(d) + 2), b_.getInt64Ty());
      if (along == 1) at = b_.CreateAdd(at, first_column);
      if (along > 2) at = b_.CreateAdd(at, dimension(out_, along, Field::min));
      result = element(result, b_.CreateMul(at, stride_of_input(d)));
    }
    return result;
  }

  // body(n) for the share of `count` that falls to this call.
  void loop_over_part(Value* count, const std::function<void(Value*)>& body) {
    const auto rank = unsigned(staging_.along.size());
    Value* part = b_.CreateSExt(function_.getArg(rank + 3), b_.getInt64Ty());
    Value* parts = b_.CreateSExt(function_.getArg(rank + 4), b_.getInt64Ty());
    loop(b_.CreateSub(count, part), parts, [&](Value* n) { body(b_.CreateAdd(n, part)); });
  }

  void fetch(Value* from, Value* elements) {
    Value* begin = b_.CreatePtrToInt(from, b_.getInt64Ty());
    Value* end = b_.CreateAdd(begin, b_.CreateMul(elements, number(element_bytes())));
    begin = b_.CreateAnd(begin, number(-kLine));
    loop(b_.CreateSub(end, begin), kLine,
         [&](Value* n) { prefetch(b_.CreateIntToPtr(b_.CreateAdd(begin, n), b_.getPtrTy())); });
  }
  void prefetch(Value* at) {
    b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {b_.getPtrTy()},
                       {at, b_.getInt32(0), b_.getInt32(3), b_.getInt32(1)});
  }

  // body(n) for n = 0, step, … below `end`.
  void loop(Value* end, std::int64_t step, const std::function<void(Value*)>& body) {
    loop(end, number(step), body);
  }
  void loop(Value* end, Value* step, const std::function<void(Value*)>& body) {
    llvm::LLVMContext& context = function_.getContext();
    llvm::BasicBlock* before = b_.GetInsertBlock();
    auto* head = llvm::BasicBlock::Create(context, "head", &function_);
    auto* inside = llvm::BasicBlock::Create(context, "inside", &function_);
    auto* after = llvm::BasicBlock::Create(context, "after", &function_);
    b_.CreateBr(head);
    b_.SetInsertPoint(head);
    llvm::PHINode* n = b_.CreatePHI(b_.getInt64Ty(), 2);
    n->addIncoming(number(0), before);
    b_.CreateCondBr(b_.CreateICmpSLT(n, end), inside, after);
    b_.SetInsertPoint(inside);
    body(n);
    n->addIncoming(b_.CreateAdd(n, step), b_.GetInsertBlock());
    b_.CreateBr(head);
    b_.SetInsertPoint(after);
  }

  // Over dimensions that run on both sides, but not along with the column; numbers ascend.
  void other_loops(int from, const std::function<void()>& body) {
    const int first = row_ == 0 ? 1 : column_ + 1;
    const auto begin = staging_.along.begin() + first, end = staging_.along.end();
    const auto next = std::find_if(begin, end, [&](int along) { return along > from; });
    if (next == end) return body();
    const int along = *next, d = static_cast<int>(next - staging_.along.begin());
    Value* const in = in_host_;
    Value* const out = out_host_;
    loop(dimension(out_, along, Field::extent), 1, [&](Value* n) {
      in_host_ = element(in, b_.CreateMul(n, stride_of_input(d)));
      out_host_ = element(out, b_.CreateMul(n, dimension(out_, along, Field::stride)));
      other_loops(along, body);
    });
    in_host_ = in;
    out_host_ = out;
  }

  Value* input_row(Value* r) {
    Value* tile = b_.CreateSExt(function_.getArg(unsigned(row_) + 2), b_.getInt64Ty());
    return clamp(b_.CreateAdd(b_.CreateAdd(tile, first_row_), r), number(0), last_row());
  }
  Value* last_row() { return b_.CreateSub(dimension(in_, row_, Field::extent), number(1)); }

  // Rows are contiguous: columns are copied one after the other.
  void copy_rows() {
    Value* rows = dimension(out_, 0, Field::extent);
    Value* first = input_row(number(0));
    Value* there = clamp(b_.CreateSub(dimension(in_, row_, Field::extent), first), number(0), rows);
    Value* whole = b_.CreateAnd(there, number(-staging_.lanes));
    Value* from_stride = stride_of_input(column_);
    Value* to_stride = dimension(out_, 1, Field::stride);
    Value* in = element(in_host_, first);
    loop(columns_here_, 1, [&](Value* j) {
      Value* from = element(in, b_.CreateMul(j, from_stride));
      Value* to = element(out_host_, b_.CreateMul(j, to_stride));
      loop(whole, staging_.lanes, [&](Value* r) {
        store(load(vector_, element(from, r), element_bytes()), element(to, r));
      });
      Value* rest = b_.CreateSub(rows, whole);
      loop(rest, 1, [&](Value* n) {
        Value* r = b_.CreateAdd(whole, n);
        Value* known = clamp(r, number(0), b_.CreateSub(there, number(1)));
        store(load(element_, element(from, known), element_bytes()), element(to, r));
      });
    });
    clear(to_stride, columns_here_, dimension(out_, 1, Field::extent));
  }

  // Each row has a run of contiguous elements: those of one column after those of another.
  void turn_rows() {
    Value* width = number(1);
    Value* step = dimension(out_, 1, Field::stride);
    for (int d = column_ - 1; d >= 0; d--) {
      width = b_.CreateMul(width, dimension(in_, d, Field::extent));
      step = dimension(out_, staging_.along[std::size_t(d)], Field::stride);
    }
    Value* run = b_.CreateMul(columns_here_, width);
    Value* ahead = b_.CreateMul(width, number(staging_.block));
    const auto lanes = number(staging_.lanes);
    loop(dimension(out_, 0, Field::extent), staging_.lanes, [&](Value* r) {
      const std::vector<Value*> rows = row_starts(r);
      Value* out = element(out_host_, r);
      // The last whole piece may begin within the one before.
      Value* end = b_.CreateSelect(b_.CreateICmpSLT(run, lanes), number(0), run);
      loop(end, staging_.lanes, [&](Value* at) {
        Value* q = clamp(at, number(0), b_.CreateSub(run, lanes));
        turn_tile(rows, q, ahead, element(out, b_.CreateMul(q, step)), step);
      });
      loop(b_.CreateSub(run, end), 1, [&](Value* q) {
        Value* to = element(out, b_.CreateMul(q, step));
        for (int n = 0; n < staging_.lanes; n++)
          store(load(element_, element(rows[std::size_t(n)], q), element_bytes()),
                element(to, number(n)));
      });
    });
    clear(step, run, b_.CreateMul(dimension(out_, 1, Field::extent), width));
  }

  // Of the rows from `r` on, or the last; side by side, as a chain of steps would take its time.
  std::vector<Value*> row_starts(Value* r) {
    Value* stride = stride_of_input(row_);
    Value* first = input_row(r);
    Value* last = b_.CreateSub(last_row(), first);
    Value* in = element(in_host_, b_.CreateMul(first, stride));
    std::vector<Value*> rows;
    for (int n = 0; n < staging_.lanes; n++) {
      Value* at = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, number(n), last);
      rows.push_back(element(in, b_.CreateMul(at, stride)));
    }
    return rows;
  }

  // Rows come in pieces of 128 bits, joined as they are loaded; all CPUs shuffle within such.
  void turn_tile(const std::vector<Value*>& rows, Value* q, Value* ahead, Value* to, Value* step) {
    const int within = std::min(staging_.lanes, 128 / staging_.bits);
    const int pieces = staging_.lanes / within;
    auto* piece = llvm::FixedVectorType::get(element_, unsigned(within));
    // By piece of a row, then by row within its group: the groups one after the other.
    const std::vector<Value*> none(static_cast<std::size_t>(within));
    std::vector<std::vector<Value*>> parts(static_cast<std::size_t>(pieces), none);
    for (int group = 0; group < pieces; group++)
      for (int k = 0; k < within; k++) {
        Value* from = element(rows[std::size_t(group * within + k)], q);
        if (is_run(staging_)) prefetch(element(from, ahead));
        for (int m = 0; m < pieces; m++) {
          Value* x = load(piece, element(from, number(m * within)), element_bytes());
          Value*& whole = parts[std::size_t(m)][std::size_t(k)];
          std::vector<int> widen, join;
          for (int n = 0; n < staging_.lanes; n++) {
            widen.push_back(n < within ? n : -1);
            join.push_back(n < group * within         ? n
                           : n < (group + 1) * within ? staging_.lanes + n - group * within
                                                      : -1);
          }
          x = pieces > 1 ? b_.CreateShuffleVector(x, x, widen) : x;
          whole = group == 0 ? x : b_.CreateShuffleVector(whole, x, join);
        }
      }
    std::size_t n = 0;
    for (std::vector<Value*>& part : parts) {
      for (int done = 1; done < within; done *= 2) part = riffled(part, within);
      for (Value* x : part) store(x, element(to, b_.CreateMul(number(std::int64_t(n++)), step)));
    }
  }

  void store(Value* x, Value* to) { b_.CreateAlignedStore(x, to, llvm::Align(element_bytes())); }

  // Zeros in rows of `out` from `first` on.
  void clear(Value* step, Value* first, Value* end) {
    loop(b_.CreateSub(end, first), 1, [&](Value* n) {
      Value* to = element(out_host_, b_.CreateMul(b_.CreateAdd(first, n), step));
      loop(dimension(out_, 0, Field::extent), staging_.lanes,
           [&](Value* r) { store(llvm::Constant::getNullValue(vector_), element(to, r)); });
    });
  }

  // One round of the transpose: vectors n and n + half become the interleaved vectors 2n and 2n + 1.
  std::vector<Value*> riffled(const std::vector<Value*>& x, int within) {
    std::vector<Value*> result;
    const std::size_t half = x.size() / 2;
    for (std::size_t n = 0; n < half; n++)
      for (const int upper : {0, 1}) {
        std::vector<int> mask;
        for (int lane = 0; lane < staging_.lanes; lane++) {
          const int base = lane / within * within, at = lane % within;
          mask.push_back(base + upper * within / 2 + at / 2 + at % 2 * staging_.lanes);
        }
        result.push_back(b_.CreateShuffleVector(x[n], x[n + half], mask));
      }
    return result;
  }

  llvm::Function& function_;
  const Staging& staging_;
  llvm::IRBuilder<> b_;
  llvm::Type* element_;
  llvm::Type* vector_;
  int row_, column_;  // dimensions of `in`
  Value *in_, *out_;
  Value *in_host_ = nullptr, *out_host_ = nullptr;
  Value *columns_here_ = nullptr, *first_row_ = nullptr;
};

}  // namespace

std::string symbol_of(const Staging& staging) {
  std::string result(kStage);
  const auto add = [&](int n) { result += n < 0 ? "_x" : "_" + std::to_string(n); };
  add(staging.bits), add(staging.lanes), add(staging.rows), add(staging.block);
  for (const int along : staging.along) add(along);
  return staging.wide ? result + std::string(kWide) : result;
}

std::optional<std::string> ahead_of(std::string_view symbol) {
  const auto staging = staging_of(symbol);
  if (!staging || !symbol.starts_with(kStage) || is_run(*staging)) return std::nullopt;
  return std::string(kAhead) + std::string(symbol.substr(kStage.size()));
}

void define_stagings(llvm::Module& module) {
  for (llvm::Function& function : module) {
    if (!function.isDeclaration()) continue;
    const llvm::StringRef name = function.getName();
    const auto staging = staging_of({name.data(), name.size()});
    if (!staging) continue;
    Body body(function, *staging);
    name.starts_with({kStage.data(), kStage.size()}) ? body.stage() : body.fetch_ahead();
  }
}

}  // namespace fovea::codegen
