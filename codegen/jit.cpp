#include "codegen/jit.h"

#include <llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/Core.h>
#include <llvm/ExecutionEngine/Orc/DebugObjectManagerPlugin.h>
#include <llvm/ExecutionEngine/Orc/EPCDebugObjectRegistrar.h>
#include <llvm/ExecutionEngine/Orc/ExecutorProcessControl.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/ExecutionEngine/Orc/TargetProcess/JITLoaderGDB.h>
#include <llvm/Object/ObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "codegen/scratch.h"
#include "ir/error.h"

namespace fovea::codegen {
namespace {

using llvm::orc::ExecutorAddr;

void checked(llvm::Error error, std::source_location where = std::source_location::current()) {
  if (error) invariant_failed(llvm::toString(std::move(error)), where);
}

template <class T>
T checked(llvm::Expected<T> value, std::source_location where = std::source_location::current()) {
  checked(value.takeError(), where);
  return std::move(*value);
}

void* halide_malloc(void* /*context*/, std::size_t bytes) { return scratch_allocate(bytes); }
void halide_free(void* /*context*/, void* block) { scratch_free(block); }

using Unary = float (*)(float);
using Binary = float (*)(float, float);
using UnaryDouble = double (*)(double);
using BinaryDouble = double (*)(double, double);

struct Symbol {
  const char* name;
  ExecutorAddr address;
};

// All that emitted code can call. A table, and not a search in the process: it also works in a
// static executable, and nothing else in the process can take a name over.
std::vector<Symbol> callable() {
  const auto one = [](Unary f) { return ExecutorAddr::fromPtr(f); };
  const auto two = [](Binary f) { return ExecutorAddr::fromPtr(f); };
  // The exact form of a kernel computes in double.
  const auto one_double = [](UnaryDouble f) { return ExecutorAddr::fromPtr(f); };
  const auto two_double = [](BinaryDouble f) { return ExecutorAddr::fromPtr(f); };
  return {
      {"halide_malloc", ExecutorAddr::fromPtr(&halide_malloc)},
      {"halide_free", ExecutorAddr::fromPtr(&halide_free)},
      {"memset", ExecutorAddr::fromPtr(&std::memset)},
      {"memcpy", ExecutorAddr::fromPtr(&std::memcpy)},
      {"memmove", ExecutorAddr::fromPtr(&std::memmove)},
      {"expf", one(std::exp)},
      {"exp2f", one(std::exp2)},
      {"expm1f", one(std::expm1)},
      {"logf", one(std::log)},
      {"log2f", one(std::log2)},
      {"log10f", one(std::log10)},
      {"log1pf", one(std::log1p)},
      {"sinf", one(std::sin)},
      {"cosf", one(std::cos)},
      {"tanf", one(std::tan)},
      {"asinf", one(std::asin)},
      {"acosf", one(std::acos)},
      {"atanf", one(std::atan)},
      {"sinhf", one(std::sinh)},
      {"coshf", one(std::cosh)},
      {"tanhf", one(std::tanh)},
      {"asinhf", one(std::asinh)},
      {"acoshf", one(std::acosh)},
      {"atanhf", one(std::atanh)},
      {"erff", one(std::erf)},
      {"sqrtf", one(std::sqrt)},
      {"floorf", one(std::floor)},
      {"ceilf", one(std::ceil)},
      {"truncf", one(std::trunc)},
      {"roundf", one(std::round)},
      {"rintf", one(std::rint)},
      {"nearbyintf", one(std::nearbyint)},
      {"roundevenf", one(std::nearbyint)},  // the same in the default rounding mode
      {"powf", two(std::pow)},
      {"atan2f", two(std::atan2)},
      {"fmodf", two(std::fmod)},
      {"exp", one_double(std::exp)},
      {"exp2", one_double(std::exp2)},
      {"expm1", one_double(std::expm1)},
      {"log", one_double(std::log)},
      {"log2", one_double(std::log2)},
      {"log10", one_double(std::log10)},
      {"log1p", one_double(std::log1p)},
      {"sin", one_double(std::sin)},
      {"cos", one_double(std::cos)},
      {"tan", one_double(std::tan)},
      {"asin", one_double(std::asin)},
      {"acos", one_double(std::acos)},
      {"atan", one_double(std::atan)},
      {"sinh", one_double(std::sinh)},
      {"cosh", one_double(std::cosh)},
      {"tanh", one_double(std::tanh)},
      {"asinh", one_double(std::asinh)},
      {"acosh", one_double(std::acosh)},
      {"atanh", one_double(std::atanh)},
      {"erf", one_double(std::erf)},
      {"sqrt", one_double(std::sqrt)},
      {"floor", one_double(std::floor)},
      {"ceil", one_double(std::ceil)},
      {"trunc", one_double(std::trunc)},
      {"round", one_double(std::round)},
      {"rint", one_double(std::rint)},
      {"nearbyint", one_double(std::nearbyint)},
      {"roundeven", one_double(std::nearbyint)},
      {"pow", two_double(std::pow)},
      {"atan2", two_double(std::atan2)},
      {"fmod", two_double(std::fmod)},
      {"ldexp", ExecutorAddr::fromPtr(static_cast<double (*)(double, int)>(&std::ldexp))},
      {"ldexpf", ExecutorAddr::fromPtr(static_cast<float (*)(float, int)>(&std::ldexp))},
      {"fminf", two(std::fmin)},
      {"fmaxf", two(std::fmax)},
  };
}

// Appends where each function lies to the file in which perf looks for it.
class PerfMap : public llvm::orc::ObjectLinkingLayer::Plugin {
 public:
  void modifyPassConfig(llvm::orc::MaterializationResponsibility& /*unit*/,
                        llvm::jitlink::LinkGraph& /*graph*/,
                        llvm::jitlink::PassConfiguration& passes) override {
    // The linker drops the names of functions that only their own section refers to.
    passes.PrePrunePasses.emplace_back([](llvm::jitlink::LinkGraph& graph) {
      for (llvm::jitlink::Symbol* symbol : graph.defined_symbols())
        if (symbol->isCallable()) symbol->setLive(true);
      return llvm::Error::success();
    });
    passes.PostFixupPasses.emplace_back([](llvm::jitlink::LinkGraph& graph) {
      std::string lines;
      for (const llvm::jitlink::Symbol* symbol : graph.defined_symbols())
        if (symbol->isCallable() && symbol->hasName())
          lines += fmt::format("{:x} {:x} {}\n", symbol->getAddress().getValue(), symbol->getSize(),
                               std::string_view(symbol->getName()));
      append(lines);
      return llvm::Error::success();
    });
  }
  llvm::Error notifyFailed(llvm::orc::MaterializationResponsibility& /*unit*/) override {
    return llvm::Error::success();
  }
  llvm::Error notifyRemovingResources(llvm::orc::JITDylib& /*library*/,
                                      llvm::orc::ResourceKey /*key*/) override {
    return llvm::Error::success();
  }
  void notifyTransferringResources(llvm::orc::JITDylib& /*library*/, llvm::orc::ResourceKey /*to*/,
                                   llvm::orc::ResourceKey /*from*/) override {}

 private:
  static void append(const std::string& lines) {
    // "a" makes one write of it, so that threads do not mix; that it fails is perf's loss only.
    if (std::FILE* file = std::fopen(fmt::format("/tmp/perf-{}.map", getpid()).c_str(), "a")) {
      std::fwrite(lines.data(), 1, lines.size(), file);
      std::fclose(file);
    }
  }
};

// A session to each object: nothing is shared between objects, so each can go when it likes.
class Loaded final : public LoadedObject {
 public:
  explicit Loaded(std::string_view object)
      : session_(checked(llvm::orc::SelfExecutorProcessControl::Create())),
        layer_(session_, checked(llvm::jitlink::InProcessMemoryManager::Create())),
        library_(session_.createBareJITDylib("fovea")) {
    add_plugins();
    llvm::orc::SymbolMap symbols;
    for (const Symbol& symbol : callable())
      symbols[session_.intern(symbol.name)] = {symbol.address, llvm::JITSymbolFlags::Exported};
    checked(library_.define(llvm::orc::absoluteSymbols(std::move(symbols))));
    auto buffer =
        llvm::MemoryBuffer::getMemBufferCopy(llvm::StringRef(object.data(), object.size()));
    const std::vector<std::string> names = defined(*buffer);
    checked(layer_.add(library_, std::move(buffer)));
    for (const std::string& name : names)  // links now, so that `find` only reads
      entries_[name] = checked(session_.lookup({&library_}, name)).getAddress().toPtr<Entry>();
  }

  ~Loaded() override {
    if (llvm::Error error = session_.endSession()) llvm::consumeError(std::move(error));
  }

  Entry find(std::string_view name) const override {
    const auto entry = entries_.find(std::string(name) + "_argv");
    return entry == entries_.end() ? nullptr : entry->second;
  }

 private:
  void add_plugins() {
    constexpr bool kOnlyWithDebugSections = false;
    constexpr bool kTellDebugger = true;
    layer_.addPlugin(std::make_shared<llvm::orc::DebugObjectManagerPlugin>(
        session_,
        std::make_unique<llvm::orc::EPCDebugObjectRegistrar>(
            session_, ExecutorAddr::fromPtr(&llvm_orc_registerJITLoaderGDBWrapper)),
        kOnlyWithDebugSections, kTellDebugger));
    const char* perf = std::getenv("FOVEA_PERF");
    if (perf != nullptr && std::string_view(perf) == "1")
      layer_.addPlugin(std::make_shared<PerfMap>());
  }

  static std::vector<std::string> defined(const llvm::MemoryBuffer& buffer) {
    const auto file = checked(llvm::object::ObjectFile::createObjectFile(buffer.getMemBufferRef()));
    std::vector<std::string> names;
    for (const llvm::object::SymbolRef& symbol : file->symbols()) {
      const std::uint32_t flags = checked(symbol.getFlags());
      if ((flags & llvm::object::SymbolRef::SF_Global) != 0 &&
          (flags & llvm::object::SymbolRef::SF_Undefined) == 0)
        names.push_back(checked(symbol.getName()).str());
    }
    return names;
  }

  llvm::orc::ExecutionSession session_;
  llvm::orc::ObjectLinkingLayer layer_;
  llvm::orc::JITDylib& library_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace

std::shared_ptr<const LoadedObject> load(std::string_view object) {
  return std::make_shared<Loaded>(object);
}

}  // namespace fovea::codegen
