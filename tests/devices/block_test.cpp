#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>

#include "devices/storage/image.h"
#include "devices/storage/store.h"
#include "tests/devices/temp_folder.h"

using namespace umbra;

namespace {

struct Machine {
  FakeTime time;
  Clock clock{time};
};

struct Opened {
  std::unique_ptr<BlockDevice> device;
  std::string error;
};

Opened open(Machine& m, const std::string& path, ImageOptions options = {}) {
  auto image = open_image(path, options, m.clock);
  if (!image) return {nullptr, image.error()};
  return {std::move(*image), ""};
}

BlockStatus read(BlockDevice& d, u64 sector, u32 count, std::string& to) {
  std::vector<u8> data(count * kSectorSize, 0xcc);
  BlockStatus got = BlockStatus::kIoError;
  int calls = 0;
  d.read(sector, count, data.data(), [&](BlockStatus s) { got = s, ++calls; });
  d.drain();
  CHECK(calls == 1);
  to.assign(data.begin(), data.end());
  return got;
}

BlockStatus write(BlockDevice& d, u64 sector, const std::string& data) {
  BlockStatus got = BlockStatus::kIoError;
  int calls = 0;
  d.write(sector, static_cast<u32>(data.size() / kSectorSize), reinterpret_cast<const u8*>(data.data()),
          [&](BlockStatus s) { got = s, ++calls; });
  d.drain();
  CHECK(calls == 1);
  return got;
}

BlockStatus flush(BlockDevice& d) {
  BlockStatus got = BlockStatus::kIoError;
  d.flush([&](BlockStatus s) { got = s; });
  d.drain();
  return got;
}

std::string sectors(u32 count, char fill) { return std::string(count * kSectorSize, fill); }

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Finally {
  std::function<void()> run;
  ~Finally() { run(); }
};

// A store whose work can be held up, to look at the queue from outside.
struct HeldStore final : BlockStore {
  std::mutex& gate;
  std::vector<std::string>& log;
  HeldStore(std::mutex& g, std::vector<std::string>& l) : gate(g), log(l) {}
  u64 bytes() const override { return 64 * kSectorSize; }
  BlockStatus note(const std::string& what) {
    std::lock_guard lock(gate);
    log.push_back(what);
    return BlockStatus::kOk;
  }
  BlockStatus read(u64 o, u8*, std::size_t) override { return note("read " + std::to_string(o / kSectorSize)); }
  BlockStatus write(u64 o, const u8*, std::size_t) override { return note("write " + std::to_string(o / kSectorSize)); }
  BlockStatus flush() override { return note("flush"); }
  std::string describe() const override { return "held"; }
};

}  // namespace

TEST_CASE("a raw image is read and written in place") {
  Machine m;
  TempFolder tmp;
  const std::string path = tmp.write("disk.img", sectors(4, 'a') + sectors(4, 'b'));
  std::string data;
  {
    Opened o = open(m, path);
    REQUIRE(o.error == "");
    CHECK(o.device->sectors() == 8);
    CHECK(o.device->describe() == path + " (raw, read-write)");
    REQUIRE(read(*o.device, 3, 2, data) == BlockStatus::kOk);
    CHECK(data == sectors(1, 'a') + sectors(1, 'b'));
    REQUIRE(write(*o.device, 5, sectors(2, 'X')) == BlockStatus::kOk);
    REQUIRE(read(*o.device, 4, 4, data) == BlockStatus::kOk);
    CHECK(data == sectors(1, 'b') + sectors(2, 'X') + sectors(1, 'b'));
    CHECK(flush(*o.device) == BlockStatus::kOk);
  }
  CHECK(tmp.content("disk.img") == sectors(4, 'a') + sectors(1, 'b') + sectors(2, 'X') + sectors(1, 'b'));
}

TEST_CASE("requests beyond the end are refused and touch nothing") {
  Machine m;
  TempFolder tmp;
  Opened o = open(m, tmp.write("disk.img", sectors(8, 'a')));
  std::string data;
  CHECK(read(*o.device, 7, 2, data) == BlockStatus::kOutOfRange);
  CHECK(read(*o.device, ~u64{0}, 2, data) == BlockStatus::kOutOfRange);
  CHECK(write(*o.device, 8, sectors(1, 'x')) == BlockStatus::kOutOfRange);
  CHECK(tmp.content("disk.img") == sectors(8, 'a'));
}

TEST_CASE("a size that is no multiple of 512 is rounded up with zeros") {
  Machine m;
  TempFolder tmp;
  Opened o = open(m, tmp.write("disk.img", sectors(1, 'a') + "tail"));
  CHECK(o.device->sectors() == 2);
  std::string data;
  REQUIRE(read(*o.device, 0, 2, data) == BlockStatus::kOk);
  CHECK(data == sectors(1, 'a') + "tail" + std::string(508, '\0'));
  CHECK(tmp.content("disk.img").size() == 516);
  REQUIRE(write(*o.device, 1, sectors(1, 'z')) == BlockStatus::kOk);
  REQUIRE(read(*o.device, 1, 1, data) == BlockStatus::kOk);
  CHECK(data == sectors(1, 'z'));
}

TEST_CASE("what cannot be an image is refused with a sentence") {
  Machine m;
  TempFolder tmp;
  CHECK(has(open(m, tmp / "missing").error, "there is no such file"));
  CHECK(has(open(m, tmp.path()).error, "fat:" + tmp.path()));
  CHECK(has(open(m, tmp.write("empty", "")).error, "it is empty"));
  CHECK(has(open(m, tmp.write("q", "QFI\xfb" + sectors(1, 0))).error, "qcow2"));
  CHECK(has(open(m, "/dev/null").error, "neither a file nor a block device"));
}

TEST_CASE("an image that somebody writes is not opened a second time, one that is only read may be shared") {
  Machine m;
  TempFolder tmp;
  const std::string path = tmp.write("disk.img", sectors(4, 'a'));
  {
    Opened first = open(m, path);
    REQUIRE(first.device);
    CHECK(has(open(m, path).error, "another process uses it"));
    CHECK(has(open(m, path, {FileAccess::kReadOnly}).error, "another process is writing it"));
    CHECK(has(open(m, path, {.snapshot = true}).error, "another process is writing it"));
  }
  Opened reader = open(m, path, {FileAccess::kReadOnly});
  REQUIRE(reader.device);
  CHECK(open(m, path, {.snapshot = true}).device);
  CHECK(has(open(m, path).error, "another process uses it"));
}

TEST_CASE("a file that cannot be written is refused, or opened read-only where that will do") {
  Machine m;
  TempFolder tmp;
  const std::string path = tmp.write("disk.img", sectors(4, 'a'));
  REQUIRE(::chmod(path.c_str(), 0444) == 0);
  REQUIRE(::chmod(tmp.path().c_str(), 0755) == 0);
  ::setfsuid(65534);  // root may write everything; without effect for others
  const Finally restore{[] { ::setfsuid(::geteuid()); }};
  CHECK(has(open(m, path).error, "-snapshot"));
  Opened either = open(m, path, {FileAccess::kEither});
  REQUIRE(either.device);
  CHECK(either.device->read_only());
  CHECK(write(*either.device, 0, sectors(1, 'x')) == BlockStatus::kReadOnly);
  CHECK(open(m, path, {.snapshot = true}).device);
}

TEST_CASE("a read-only image refuses writes") {
  Machine m;
  TempFolder tmp;
  Opened o = open(m, tmp.write("disk.img", sectors(4, 'a')), {FileAccess::kReadOnly});
  CHECK(o.device->read_only());
  CHECK(write(*o.device, 0, sectors(1, 'x')) == BlockStatus::kReadOnly);
  CHECK(tmp.content("disk.img") == sectors(4, 'a'));
}

TEST_CASE("an image that shrinks underneath gives I/O errors and keeps what is left") {
  Machine m;
  TempFolder tmp;
  const std::string path = tmp.write("disk.img", sectors(8, 'a'));
  Opened o = open(m, path);
  REQUIRE(::truncate(path.c_str(), 3 * kSectorSize) == 0);
  std::string data;
  CHECK(read(*o.device, 0, 3, data) == BlockStatus::kOk);
  CHECK(read(*o.device, 2, 2, data) == BlockStatus::kIoError);
  CHECK(write(*o.device, 6, sectors(1, 'x')) == BlockStatus::kIoError);
  CHECK(tmp.content("disk.img") == sectors(3, 'a'));
}

TEST_CASE("a host without space is reported as such and what was there stays") {
  Machine m;
  TempFolder tmp;
  const std::string path = tmp.write("disk.img", sectors(2, 'a'));
  REQUIRE(::truncate(path.c_str(), 64 * kSectorSize) == 0);
  Opened o = open(m, path, {.snapshot = true});
  REQUIRE(o.device);
  rlimit old = {};
  ::getrlimit(RLIMIT_FSIZE, &old);
  rlimit small = {8 * kSectorSize, old.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const BlockStatus inside = write(*o.device, 0, sectors(2, 'x'));
  const BlockStatus beyond = write(*o.device, 32, sectors(2, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &old);
  CHECK(inside == BlockStatus::kOk);
  CHECK(beyond == BlockStatus::kNoSpace);
  std::string data;
  CHECK(read(*o.device, 32, 2, data) == BlockStatus::kOk);
  CHECK(data == std::string(1024, '\0'));
}

TEST_CASE("with snapshot the guest sees its writes and the file does not") {
  Machine m;
  TempFolder tmp;
  const std::string path = tmp.write("disk.img", sectors(10000, 'a'));
  Opened o = open(m, path, {.snapshot = true});
  REQUIRE(o.device);
  CHECK_FALSE(o.device->read_only());
  std::mt19937 random(1);
  std::string model = sectors(10000, 'a');
  std::string data;
  for (int i = 0; i < 300; ++i) {
    const u32 count = 1 + random() % 64;
    const u32 at = i % 2 == 0 ? random() % 100 : random() % (10000 - 64);
    if (random() % 2 == 0) {
      const std::string fresh = sectors(count, static_cast<char>('A' + i % 50));
      REQUIRE(write(*o.device, at, fresh) == BlockStatus::kOk);
      model.replace(at * kSectorSize, fresh.size(), fresh);
    } else {
      REQUIRE(read(*o.device, at, count, data) == BlockStatus::kOk);
      REQUIRE(data == model.substr(at * kSectorSize, count * kSectorSize));
    }
  }
  CHECK(flush(*o.device) == BlockStatus::kOk);
  CHECK(tmp.content("disk.img") == sectors(10000, 'a'));
}

TEST_CASE("with snapshot what the guest has written is read back without the worker, as what it has not") {
  Machine m;
  TempFolder tmp;
  const char* folder = std::getenv("TMPDIR");
  const std::string before = folder != nullptr ? folder : "/var/tmp";
  const Finally restore{[&] { ::setenv("TMPDIR", before.c_str(), 1); }};
  const std::string path = tmp.write("disk.img", sectors(100, 'a'));
  ::setenv("TMPDIR", tmp.path().c_str(), 1);  // one file system for both
  Opened o = open(m, path, {.snapshot = true});
  REQUIRE(o.device);
  std::vector<u8> data(40 * kSectorSize);
  const auto at_once = [&](u64 sector, u32 count) {
    bool called = false;
    o.device->read(sector, count, data.data(), [&](BlockStatus) { called = true; });
    const bool now = called;
    o.device->drain();
    return now;
  };
  const bool base = at_once(0, 40);
  REQUIRE(write(*o.device, 10, sectors(8, 'b')) == BlockStatus::kOk);
  CHECK(at_once(10, 8) == base);
  CHECK(at_once(0, 40) == base);
  CHECK(std::string(data.begin(), data.end()) == sectors(10, 'a') + sectors(8, 'b') + sectors(22, 'a'));
}

TEST_CASE("requests are done in order, on the processor's thread, and a flush waits for the writes before it") {
  Machine m;
  std::mutex gate;
  std::vector<std::string> log, callbacks;
  auto device = make_block_device(std::make_unique<HeldStore>(gate, log), m.clock);
  std::vector<u8> data(4 * kSectorSize);
  const auto thread = std::this_thread::get_id();
  const auto note = [&](const std::string& name) {
    return [&, name](BlockStatus s) {
      CHECK(s == BlockStatus::kOk);
      CHECK(std::this_thread::get_id() == thread);
      callbacks.push_back(name);
    };
  };
  gate.lock();
  device->write(1, 1, data.data(), note("w1"));
  device->read(2, 1, data.data(), note("r2"));
  device->write(3, 1, data.data(), note("w3"));
  device->flush(note("flush"));
  m.clock.run_posted();
  CHECK(callbacks.empty());
  gate.unlock();
  while (callbacks.size() < 4) m.clock.run_posted();
  CHECK(callbacks == std::vector<std::string>{"w1", "r2", "w3", "flush"});
  CHECK(log == std::vector<std::string>{"write 1", "read 2", "write 3", "flush"});
}

TEST_CASE("a flush with nothing written since the last one completes at once") {
  Machine m;
  std::mutex gate;
  std::vector<std::string> log;
  auto device = make_block_device(std::make_unique<HeldStore>(gate, log), m.clock);
  CHECK(flush(*device) == BlockStatus::kOk);
  CHECK(flush(*device) == BlockStatus::kOk);
  CHECK(log == std::vector<std::string>{"flush"});
}

TEST_CASE("a device that goes away finishes its writes and calls nobody back") {
  Machine m;
  std::mutex gate;
  std::vector<std::string> log;
  int called = 0;
  std::vector<u8> data(kSectorSize);
  auto device = make_block_device(std::make_unique<HeldStore>(gate, log), m.clock);
  gate.lock();
  for (int i = 0; i < 5; ++i) device->write(static_cast<u64>(i), 1, data.data(), [&](BlockStatus) { ++called; });
  gate.unlock();
  device.reset();
  m.clock.run_posted();
  CHECK(log.size() == 5);
  CHECK(called == 0);
}

TEST_CASE("drain calls back for everything, also for what the callbacks ask for") {
  Machine m;
  TempFolder tmp;
  Opened o = open(m, tmp.write("disk.img", sectors(8, 'a')));
  std::vector<u8> data(kSectorSize, 'n');
  int rounds = 0;
  std::function<void(BlockStatus)> again = [&](BlockStatus) {
    if (++rounds < 5) o.device->write(static_cast<u64>(rounds), 1, data.data(), again);
  };
  o.device->write(0, 1, data.data(), again);
  o.device->drain();
  CHECK(rounds == 5);
  CHECK(tmp.content("disk.img") == sectors(5, 'n') + sectors(3, 'a'));
}
