#include "devices/storage/store.h"

#include <csignal>
#include <cstring>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "cpu/base/bits.h"
#include "cpu/base/log.h"

namespace umbra {
namespace {

enum class Op : u8 { kRead, kWrite, kFlush };

struct Request {
  Op op;
  u64 offset;
  std::size_t size;
  u8* data;  // only read from when op is kWrite
  BlockDevice::Done done;
  BlockStatus status = BlockStatus::kOk;
};

// What the worker and the closures it posts share with the device; it outlives whichever of them goes first.
struct Queue {
  explicit Queue(std::unique_ptr<BlockStore> s) : store(std::move(s)) {}

  std::unique_ptr<BlockStore> store;
  std::mutex mutex;
  std::condition_variable submitted, worked;
  std::deque<Request> waiting;   // for the worker
  std::deque<Request> finished;  // for the processor's thread
  std::size_t in_work = 0;       // waiting, or in the worker's hands
  bool stop = false;
  bool said_full = false;
  bool dirty = true;  // written since the last flush that worked; touched by whoever may use the store

  BlockStatus work(Request& r) {
    switch (r.op) {
      case Op::kRead:
        return store->read(r.offset, r.data, r.size);
      case Op::kWrite:
        dirty = true;
        return told(store->write(r.offset, r.data, r.size));
      case Op::kFlush:
        break;
    }
    const BlockStatus status = told(store->flush());
    if (status == BlockStatus::kOk) dirty = false;
    return status;
  }

  BlockStatus told(BlockStatus status) {
    if (status == BlockStatus::kNoSpace && !std::exchange(said_full, true))
      warn("%s: no space left on the host; the guest gets write errors", store->describe().c_str());
    return status;
  }

  std::optional<BlockStatus> try_work(Request& r) {
    switch (r.op) {
      case Op::kRead:
        return store->try_read(r.offset, r.data, r.size);
      case Op::kWrite:
        dirty = true;
        return store->try_write(r.offset, r.data, r.size);
      case Op::kFlush:
        break;
    }
    if (dirty) return {};
    return BlockStatus::kOk;
  }

  // Processor's thread: calls back for what is finished at this moment; what that submits waits for the next call.
  void call_back() {
    std::deque<Request> now;
    {
      std::lock_guard lock(mutex);
      now.swap(finished);
    }
    for (Request& r : now) {
      --outstanding;
      if (!abandoned) r.done(r.status);
    }
  }

  std::size_t outstanding = 0;  // queued and not called back; processor's thread only
  bool abandoned = false;       // the device is gone; processor's thread only
};

void run_worker(const std::shared_ptr<Queue>& q, Clock& clock) {
  sigset_t all;
  sigfillset(&all);  // the processor's signals are not for this thread, and SIGXFSZ must become EFBIG
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::unique_lock lock(q->mutex);
  for (;;) {
    q->submitted.wait(lock, [&] { return q->stop || !q->waiting.empty(); });
    if (q->waiting.empty()) return;
    Request request = std::move(q->waiting.front());
    q->waiting.pop_front();
    lock.unlock();
    request.status = q->work(request);
    lock.lock();
    q->finished.push_back(std::move(request));
    --q->in_work;
    q->worked.notify_all();
    if (q->stop) continue;  // the clock may be on its way out too
    lock.unlock();
    clock.post([q] { q->call_back(); });
    lock.lock();
  }
}

class WorkerBlockDevice final : public BlockDevice {
 public:
  WorkerBlockDevice(std::unique_ptr<BlockStore> store, Clock& clock)
      : queue_(std::make_shared<Queue>(std::move(store))), clock_(clock) {}

  ~WorkerBlockDevice() override {
    queue_->abandoned = true;
    if (!worker_.joinable()) return;
    {
      std::lock_guard lock(queue_->mutex);
      queue_->stop = true;
    }
    queue_->submitted.notify_all();
    worker_.join();
  }

  u64 sectors() const override { return queue_->store->bytes() / kSectorSize; }
  bool read_only() const override { return queue_->store->read_only(); }
  std::string describe() const override { return queue_->store->describe(); }

  void read(u64 sector, u32 count, u8* data, Done done) override {
    submit(Op::kRead, sector, count, data, std::move(done));
  }
  void write(u64 sector, u32 count, const u8* data, Done done) override {
    if (read_only()) return done(BlockStatus::kReadOnly);
    submit(Op::kWrite, sector, count, const_cast<u8*>(data), std::move(done));
  }
  void flush(Done done) override { submit(Op::kFlush, 0, 0, nullptr, std::move(done)); }

  void drain() override {
    while (queue_->outstanding > 0) {
      {
        std::unique_lock lock(queue_->mutex);
        queue_->worked.wait(lock, [&] { return queue_->in_work == 0; });
      }
      queue_->call_back();
    }
  }

 private:
  void submit(Op op, u64 sector, u32 count, u8* data, Done done) {
    if (sector > sectors() || count > sectors() - sector) return done(BlockStatus::kOutOfRange);
    Request request{op, sector * kSectorSize, std::size_t{count} * kSectorSize, data, std::move(done)};
    Queue& q = *queue_;
    if (q.outstanding == 0) {  // the worker is idle: the store is ours, and nobody is overtaken
      if (const auto status = q.try_work(request)) return request.done(*status);
    }
    if (!worker_.joinable()) worker_ = std::thread([q = queue_, &clock = clock_] { run_worker(q, clock); });
    ++q.outstanding;
    {
      std::lock_guard lock(q.mutex);
      q.waiting.push_back(std::move(request));
      ++q.in_work;
    }
    q.submitted.notify_one();
  }

  std::shared_ptr<Queue> queue_;
  Clock& clock_;
  std::thread worker_;
};

}  // namespace

MemoryStore::MemoryStore(std::vector<u8> bytes, bool read_only) : bytes_(std::move(bytes)), read_only_(read_only) {
  bytes_.resize(align_up<std::size_t>(bytes_.size(), kSectorSize));
}

BlockStatus MemoryStore::read(u64 offset, u8* to, std::size_t size) {
  std::memcpy(to, bytes_.data() + offset, size);
  return BlockStatus::kOk;
}

BlockStatus MemoryStore::write(u64 offset, const u8* from, std::size_t size) {
  std::memcpy(bytes_.data() + offset, from, size);
  return BlockStatus::kOk;
}

std::unique_ptr<BlockDevice> make_block_device(std::unique_ptr<BlockStore> store, Clock& clock) {
  return std::make_unique<WorkerBlockDevice>(std::move(store), clock);
}

}  // namespace umbra
