// runtime/threads.h — threads that stay, shared by any number of runs at once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace fovea::runtime {

// The calling thread always takes part, so work gets done even when every other thread is busy.
class ThreadPool {
 public:
  ThreadPool() = default;
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Calls work(context, lane) at most once for each lane below `lanes`, lane 0 on this thread, and
  // returns when all calls have. Lanes that no thread was free for are not called: the work itself
  // hands out its pieces. Threads are started when first asked for; without them fewer lanes run.
  void run(int lanes, void (*work)(void* context, int lane), void* context) noexcept;

 private:
  struct Job;
  void serve();
  void start(int wanted);
  Job* open_job() const;
  template <class Done>
  static void linger(const Done& done);

  std::mutex mutex_;
  std::condition_variable posted_, finished_;
  std::vector<std::thread> threads_;
  Job* jobs_ = nullptr;
  bool stopping_ = false;
  std::atomic<std::uint64_t> posts_{0};  // jobs posted so far, to be looked at without the mutex
};

}  // namespace fovea::runtime
