// tests/child.h — a part of a test in a process of its own, whose crash is a result too.
#pragma once

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <string>

namespace fovea::test {

struct Ended {
  std::string said;  // what the body wrote
  int status = 0;    // as waitpid tells it
};

// Calls body(descriptor) in a child, whose exit status is what the body returns; what it writes to
// the descriptor is said. Signals end the child: doctest does not report them there.
template <class Body>
Ended in_child(const Body& body) {
  std::array<int, 2> ends{};
  REQUIRE(pipe(ends.data()) == 0);
  std::fflush(nullptr);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    std::signal(SIGSEGV, SIG_DFL);
    _exit(body(ends[1]));
  }
  close(ends[1]);
  Ended ended;
  std::array<char, 512> buffer{};
  for (ssize_t got; (got = read(ends[0], buffer.data(), buffer.size())) > 0;)
    ended.said.append(buffer.data(), static_cast<std::size_t>(got));
  close(ends[0]);
  waitpid(child, &ended.status, 0);
  return ended;
}

}  // namespace fovea::test
