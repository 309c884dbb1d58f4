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

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "codegen/asserts.h"
#include "codegen/checked.h"
#include "codegen/guarded.h"
#include "codegen/scratch.h"
#include "ir/require.h"

namespace fovea::codegen {
namespace {

using llvm::orc::ExecutorAddr;

void* halide_malloc(void* /*context*/, std::size_t bytes) { return scratch_allocate(bytes); }
void halide_free(void* /*context*/, void* block) { scratch_free(block); }
void* allocate_guarded(void* /*context*/, std::size_t bytes) { return guarded_allocate(bytes); }
void free_guarded(void* /*context*/, void* block) { guarded_free(block); }

using Symbols = std::vector<std::pair<std::string, ExecutorAddr>>;

// What LLVM makes of calls of others: sine and cosine of one angle, 10^x, and x 2^n.
template <class Real>
void sincos(Real x, Real* sine, Real* cosine) {
  *sine = std::sin(x);
  *cosine = std::cos(x);
}
template <class Real>
Real exp10(Real x) {
  return std::pow(Real(10), x);
}
template <class Real>
Real ldexp(Real x, int exponent) {
  return std::ldexp(x, exponent);
}

// A function as "exp" in double and as "expf" in float.
template <class Real>
void add(Symbols& to, const std::string& name, auto* function) {
  to.emplace_back(std::is_same_v<Real, float> ? name + "f" : name, ExecutorAddr::fromPtr(function));
}

template <class Real>
void add_mathematics(Symbols& to) {
  using Unary = Real (*)(Real);
  using Binary = Real (*)(Real, Real);
  const std::pair<const char*, Unary> one[] = {
      {"exp", std::exp},
      {"exp2", std::exp2},
      {"expm1", std::expm1},
      {"log", std::log},
      {"log2", std::log2},
      {"log10", std::log10},
      {"log1p", std::log1p},
      {"sin", std::sin},
      {"cos", std::cos},
      {"tan", std::tan},
      {"asin", std::asin},
      {"acos", std::acos},
      {"atan", std::atan},
      {"sinh", std::sinh},
      {"cosh", std::cosh},
      {"tanh", std::tanh},
      {"asinh", std::asinh},
      {"acosh", std::acosh},
      {"atanh", std::atanh},
      {"erf", std::erf},
      {"sqrt", std::sqrt},
      {"floor", std::floor},
      {"ceil", std::ceil},
      {"trunc", std::trunc},
      {"round", std::round},
      {"rint", std::rint},
      {"nearbyint", std::nearbyint},
      {"roundeven", std::nearbyint}};  // the same in the default rounding mode
  const std::pair<const char*, Binary> two[] = {{"pow", std::pow},
                                                {"atan2", std::atan2},
                                                {"fmod", std::fmod},
                                                {"fmin", std::fmin},
                                                {"fmax", std::fmax}};
  for (const auto& [name, function] : one) add<Real>(to, name, function);
  for (const auto& [name, function] : two) add<Real>(to, name, function);
  add<Real>(to, "sincos", &sincos<Real>);
  add<Real>(to, "exp10", &exp10<Real>);
  add<Real>(to, "ldexp", &ldexp<Real>);
}

// All that emitted code can call. A table, and not a search in the process: it also works in a
// static executable, and nothing else in the process can take a name over.
Symbols callable() {
  Symbols symbols = {{"halide_malloc", ExecutorAddr::fromPtr(&halide_malloc)},
                     {"halide_free", ExecutorAddr::fromPtr(&halide_free)},
                     {kGuardedAllocate, ExecutorAddr::fromPtr(&allocate_guarded)},
                     {kGuardedFree, ExecutorAddr::fromPtr(&free_guarded)},
                     {"memset", ExecutorAddr::fromPtr(&std::memset)},
                     {"memcpy", ExecutorAddr::fromPtr(&std::memcpy)},
                     {"memmove", ExecutorAddr::fromPtr(&std::memmove)}};
  add_mathematics<float>(symbols);
  add_mathematics<double>(symbols);
  for (const HostFunction& each : assertion_functions())
    symbols.emplace_back(each.name, ExecutorAddr::fromPtr(each.address));
  return symbols;
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
    for (const auto& [name, address] : callable())
      symbols[session_.intern(name)] = {address, llvm::JITSymbolFlags::Exported};
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
