#include "runtime/threads.h"

#include <chrono>
#include <exception>

namespace fovea::runtime {

namespace {

// A thread that sleeps takes about as long to wake as a query over thousands of keys takes.
constexpr std::chrono::microseconds kLinger{60};

}  // namespace

// Lives on the stack of the thread that posted it, in a list threaded through the jobs: no
// allocation.
struct ThreadPool::Job {
  void (*work)(void*, int);
  void* context;
  int lanes;
  int next_lane = 1;
  std::atomic<int> running = 0;
  Job* next = nullptr;
};

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ++posts_;
  }
  posted_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

ThreadPool::Job* ThreadPool::open_job() const {
  for (Job* job = jobs_; job; job = job->next) {
    if (job->next_lane < job->lanes) return job;
  }
  return nullptr;
}

// Until it is done, but not for long: others may want the core.
template <class Done>
void ThreadPool::linger(const Done& done) {
  const auto end = std::chrono::steady_clock::now() + kLinger;
  while (!done() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
}

void ThreadPool::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!stopping_ && !open_job()) {
      const std::uint64_t seen = posts_;
      lock.unlock();
      linger([&] { return posts_ != seen; });
      lock.lock();
    }
    posted_.wait(lock, [&] { return stopping_ || open_job(); });
    if (stopping_) return;
    Job* job = open_job();
    const int lane = job->next_lane++;
    ++job->running;
    lock.unlock();
    job->work(job->context, lane);
    lock.lock();
    if (--job->running == 0) finished_.notify_all();
  }
}

void ThreadPool::start(int wanted) {
  try {
    while (static_cast<int>(threads_.size()) < wanted) threads_.emplace_back([this] { serve(); });
  } catch (const std::exception&) {
    // The system has no more threads to give; those that there are, at least the caller, do the
    // work.
  }
}

void ThreadPool::run(int lanes, void (*work)(void*, int), void* context) noexcept {
  if (lanes <= 1) return work(context, 0);
  Job job{work, context, lanes};
  {
    const std::lock_guard lock(mutex_);
    start(lanes - 1);
    job.next = jobs_;
    jobs_ = &job;
    ++posts_;
  }
  lanes == 2 ? posted_.notify_one() : posted_.notify_all();
  work(context, 0);
  std::unique_lock lock(mutex_);
  for (Job** at = &jobs_; *at; at = &(*at)->next) {
    if (*at != &job) continue;
    *at = job.next;
    break;
  }
  lock.unlock();
  linger([&] { return job.running == 0; });
  lock.lock();
  finished_.wait(lock, [&] { return job.running == 0; });
}

}  // namespace fovea::runtime
