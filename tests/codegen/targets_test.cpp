#include "codegen/targets.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

#include "ir/error.h"
#include "tests/codegen/environment.h"

using namespace fovea;

TEST_CASE("every target has a row, and no two compile alike") {
  std::set<std::string> versions;
  for (const ir::Target& target : ir::targets()) {
    CHECK(codegen::machine_row(target).name == target.name);
    versions.insert(codegen::compiler_version(target));
  }
  CHECK(versions.size() == ir::targets().size());
}

TEST_CASE("the host's target is the best that it runs") {
  const Environment any("FOVEA_TARGET", "");
  const auto runnable = codegen::runnable_targets();
  REQUIRE(!runnable.empty());
  CHECK(codegen::host_target() == runnable.front());
  CHECK(std::all_of(runnable.begin(), runnable.end(),
                    [&](const ir::Target& t) { return t.arch == runnable.front().arch; }));
}

TEST_CASE("FOVEA_TARGET chooses among the rows that run here") {
  for (const ir::Target& target : codegen::runnable_targets()) {
    const Environment forced("FOVEA_TARGET", std::string(target.name));
    CHECK(codegen::host_target() == target);
  }
}

TEST_CASE("FOVEA_TARGET that cannot be had is an error that lists what can") {
  const auto message = [](const std::string& name) -> std::string {
    const Environment forced("FOVEA_TARGET", name);
    try {
      codegen::host_target();
    } catch (const Error& error) {
      CHECK(error.code() == Code::invalid_config);
      return error.what();
    }
    return "";
  };
  const std::string last(codegen::runnable_targets().back().name);
  const std::string unknown = message("avx3");
  CHECK(unknown.find("FOVEA_TARGET is \"avx3\", which is no target") == 0);
  CHECK(unknown.find(last) != std::string::npos);
  const std::string foreign = message("wasm_simd128");
  CHECK(foreign.find("FOVEA_TARGET is \"wasm_simd128\", which this CPU cannot run") == 0);
  CHECK(foreign.find(last) != std::string::npos);
}
