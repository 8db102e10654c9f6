// What a guest costs that does nothing but take a timer interrupt 250 times a second.
#include <sys/resource.h>

#include <catch2/catch.hpp>

#include <cmath>

#include "tests/board/rom_rig.h"

using namespace umbra;

namespace {

double cpu_seconds(const rusage& u) {
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(u.ru_utime) + seconds(u.ru_stime);
}

// clang-format off
const std::vector<u8> kTicker = {
    0x31, 0xc0,                                      // xor ax, ax
    0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x70,        // mov ds, ax; mov ss, ax; mov sp, 7000h
    0xc7, 0x06, 0x80, 0x00, 0x40, 0x00,              // mov word [80h], 40h   ; vector 20h at F000:0040
    0xc7, 0x06, 0x82, 0x00, 0x00, 0xf0,              // mov word [82h], F000h
    0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x20, 0xe6, 0x21,  // the 8259: vectors from 20h,
    0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21,
    0xb0, 0xfe, 0xe6, 0x21,                          // only IRQ 0
    0xb0, 0x34, 0xe6, 0x43, 0xb0, 0xa5, 0xe6, 0x40,  // the 8254: mode 2, 12A5h = 250 Hz
    0xb0, 0x12, 0xe6, 0x40,
    0xfb, 0xf4, 0xeb, 0xfd,                          // sti; hlt; jmp to the hlt
    0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
    0xff, 0x06, 0x00, 0x60,                          // 40h: inc word [6000h]
    0xb0, 0x20, 0xe6, 0x20, 0xcf};                   // end of interrupt; iret
// clang-format on

#ifdef UMBRA_SANITIZE
constexpr double kMostShare = 1;
#else
constexpr double kMostShare = 0.03;  // of a core
#endif

// From one moment to another. A host that is busy, or stops us for a while, makes either late, and ticks come late or
// not at all: then the next one may tell more.
struct Stretch {
  double ticks, seconds, share;
  long sleeps;
  bool has_all_ticks() const { return std::abs(ticks - 250 * seconds) <= 0.02 * 250 * seconds; }
  bool sleeps_once_a_tick() const { return static_cast<double>(sleeps) <= ticks * 1.1 + 20; }
  bool is_cheap() const { return share < kMostShare; }
  bool good() const { return has_all_ticks() && sleeps_once_a_tick() && is_cheap(); }
};
constexpr u32 kMostStretches = 6;

class Observer {
 public:
  explicit Observer(RomRig& r) : r_(r) { timer_.after(500'000'000); }
  std::vector<Stretch> seen;

 private:
  struct Moment {
    rusage used;
    u64 ticks, at;
  };
  Moment now() {
    Moment m{};
    ::getrusage(RUSAGE_SELF, &m.used);
    m.ticks = r_.load(0x6000, 2);
    m.at = r_.machine().clock().now();
    return m;
  }
  void look() {
    const Moment to = now();
    if (started_) {
      const double seconds = static_cast<double>(to.at - from_.at) * 1e-9;
      seen.push_back({static_cast<double>((to.ticks - from_.ticks) & 0xffff), seconds,
                      (cpu_seconds(to.used) - cpu_seconds(from_.used)) / seconds,
                      to.used.ru_nvcsw - from_.used.ru_nvcsw});
      if (seen.back().good() || seen.size() == kMostStretches) return r_.machine().quit(0);
    }
    started_ = true;
    from_ = to;
    timer_.after(2'500'000'000);
  }

  RomRig& r_;
  Timer timer_{r_.machine().clock(), [this] { look(); }};
  bool started_ = false;
  Moment from_{};
};

}  // namespace

TEST_CASE("A tick of a halted guest wakes one thread once, and 250 a second cost under 3 % of a core") {
  REQUIRE(kTicker.size() == 0x40 + 9);
  RomRig r(kTicker);
  Observer observer(r);
  CHECK(r.machine().run(*r.board.engine) == 0);
  const Stretch& last = observer.seen.back();
  INFO(observer.seen.size() << " stretches; the last: " << last.ticks << " ticks in " << last.seconds << " s, "
                            << last.sleeps << " sleeps, " << 100 * last.share << " % of a core");
  CHECK(last.has_all_ticks());
  CHECK(last.sleeps_once_a_tick());  // nothing else sleeps and wakes
  CHECK(last.is_cheap());
}
