#include "translator/backing.h"

#include <signal.h>
#include <sys/mman.h>

namespace umbra {
namespace {

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

// The host may refuse any of it; then pages come as they are touched.
void back(const Backing::Piece& piece) {
  if (piece.twin == nullptr) return populate(piece.at, piece.bytes);
  // A file's pages become huge ones only once there are some, in each mapping.
  for (u8* view : {piece.at, piece.twin}) {
    for (u32 i = 0; i < piece.bytes; i += Backing::kHuge) static_cast<void>(*const_cast<volatile u8*>(view + i));
    madvise(view, piece.bytes, MADV_COLLAPSE);
  }
}

}  // namespace

void populate(void* at, std::size_t bytes) { madvise(at, bytes, MADV_POPULATE_WRITE); }

void Backing::stop() {
  {
    std::lock_guard lock(mutex_);
    quit_ = true;
  }
  wanted_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Backing::ask(const Piece& piece) {
  {
    std::lock_guard lock(mutex_);
    asked_.push_back(piece);
  }
  if (thread_.joinable()) return wanted_.notify_one();
  sigset_t all, before;  // signals are for the threads that they were set up for
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Backing::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wanted_.wait(lock, [this] { return quit_ || !asked_.empty(); });
    if (quit_) return;
    const Piece piece = asked_.front();
    asked_.erase(asked_.begin());
    lock.unlock();
    back(piece);
    lock.lock();
  }
}

}  // namespace umbra
