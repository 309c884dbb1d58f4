// The text of published mechanisms against their plain loops, where these are written: what the
// interpreter makes of the text is what the paper says. Compiled programs are held to the
// interpreter by programs_test.cpp.
#include <doctest/doctest.h>

#include "tests/frontend/corpus_references.h"
#include "tests/frontend/programs.h"

namespace fovea::test {
namespace {

void check_reference(const CorpusReference& reference) {
  const ProgramFile program =
      load_program(FOVEA_SOURCE_DIR "/tests/corpus/published/" + reference.program + ".fov");
  for (const Sizes& sizes : program.sizes) {
    CAPTURE(describe(sizes));
    const ir::Arrays inputs = make_inputs(program.graph, program.inputs, sizes, 1);
    const ir::Arrays found = ir::interpret(program.graph, inputs, sizes);
    const auto what = difference(found, reference.compute(inputs, sizes), reference.tolerance);
    CHECK_MESSAGE(!what, what.value_or(""));
  }
}

}  // namespace

TEST_CASE("corpus: the text says what the papers do") {
  for (const auto& references : {references_of_attention(), references_of_structures()})
    for (const CorpusReference& reference : references) SUBCASE(reference.program.c_str()) {
        check_reference(reference);
      }
}

}  // namespace fovea::test
