// fovea list: the mechanisms there are, and everything about one.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "ops/mechanism.h"
#include "tools/fovea/command.h"

namespace fovea::tools {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  std::string name;
  bool json = false;
};

ordered_json describe(const ops::Mechanism& mechanism) {
  ordered_json options = ordered_json::array();
  for (const ops::Option& option : mechanism.options)
    options.push_back({{"name", option.name}, {"default", option.value}, {"doc", option.doc}});
  return {{"name", mechanism.name},
          {"family", mechanism.family},
          {"doc", mechanism.doc},
          {"formula", mechanism.formula},
          {"paper", mechanism.paper},
          {"options", std::move(options)},
          {"tolerance", mechanism.tolerance}};
}

void print_one(const ops::Mechanism& mechanism) {
  fmt::print("{}: {}\n  {}\n  {}\n  {}\n", mechanism.name, mechanism.doc, mechanism.formula,
             mechanism.paper, mechanism.family);
  if (mechanism.options.empty()) return;
  fmt::print("options:\n");
  for (const ops::Option& option : mechanism.options)
    fmt::print("  {:16} {} (default {})\n", option.name, option.doc, option.value);
}

void print_all(const std::vector<const ops::Mechanism*>& mechanisms) {
  std::string_view family;
  for (const ops::Mechanism* mechanism : mechanisms) {
    if (mechanism->family != family) fmt::print("{}:\n", mechanism->family);
    family = mechanism->family;
    fmt::print("  {:22} {}\n", mechanism->name, mechanism->doc);
  }
}

void list(const Arguments& arguments) {
  std::vector<const ops::Mechanism*> mechanisms(ops::all().begin(), ops::all().end());
  if (!arguments.name.empty()) mechanisms = {&ops::find(arguments.name)};
  std::ranges::sort(mechanisms, {}, [](const ops::Mechanism* mechanism) {
    return std::pair(mechanism->family, mechanism->name);
  });
  if (arguments.json) {
    ordered_json all = ordered_json::array();
    for (const ops::Mechanism* mechanism : mechanisms) all.push_back(describe(*mechanism));
    return fmt::print("{}\n", all.dump(2));
  }
  if (arguments.name.empty()) return print_all(mechanisms);
  print_one(*mechanisms[0]);
}

}  // namespace

void add_list(CLI::App& app) {
  const auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("list", "List the mechanisms, or describe one");
  command->add_option("NAME", arguments->name, "a mechanism to describe");
  command->add_flag("--json", arguments->json, "as JSON");
  command->footer(
      "Examples:\n"
      "  fovea list\n"
      "  fovea list sliding_window");
  command->callback([arguments] {
    if (arguments->name.starts_with('@')) arguments->name.erase(0, 1);
    list(*arguments);
  });
}

}  // namespace fovea::tools
