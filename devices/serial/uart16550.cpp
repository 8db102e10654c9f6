#include "devices/serial/uart16550.h"

#include "cpu/base/bits.h"

namespace umbra {
namespace {

enum : u32 { kData = 0, kIer = 1, kIir = 2, kLcr = 3, kMcr = 4, kLsr = 5, kMsr = 6, kScr = 7 };
constexpr u8 kDlab = 0x80, kBreakControl = 0x40;
constexpr u8 kDataReady = 0x01, kOverrun = 0x02, kBreak = 0x10, kThre = 0x20, kTemt = 0x40;
constexpr u8 kLineErrors = 0x1e;
constexpr u8 kDtr = 0x01, kRts = 0x02, kOut1 = 0x04, kOut2 = 0x08;
constexpr u8 kCts = 0x10, kDsr = 0x20, kRi = 0x40, kDcd = 0x80;
constexpr u8 kIerData = 1, kIerThre = 2, kIerLine = 4, kIerModem = 8;
enum : u8 { kIdModem = 0, kIdNone = 1, kIdThre = 2, kIdData = 4, kIdLine = 6, kIdTimeout = 12 };

constexpr u64 kBaudBase = 115200;
constexpr u64 kRetryAfter = 1'000'000;

}  // namespace

bool Uart16550::Fifo::push(u8 byte) {
  if (count == kFifoSize) return false;
  data[(head + count) % kFifoSize] = byte;
  ++count;
  return true;
}

u8 Uart16550::Fifo::pop() {
  if (count == 0) return 0;
  const u8 byte = data[head];
  head = (head + 1) % kFifoSize;
  --count;
  return byte;
}

void Uart16550::Fifo::state(Archive& a) {
  a("data", data)("head", head)("count", count);
  a.require(head < kFifoSize && count <= kFifoSize, "uart fifo index");
  if (a.failed()) clear();
}

Uart16550::Uart16550(Clock& clock, Line irq, const char* name)
    : name_(name), irq_(irq), retry_(clock, [this] { transmit(); }), timeout_(clock, [this] {
        r_.timed_out = true;
        update_irq();
      }) {
  reset();
}

void Uart16550::connect(CharDev* host) {
  host_ = host;
  r_.msr = modem_inputs();
  if (host == nullptr) return;
  host->room = [this] { return room(); };
  host->receive = [this](std::span<const u8> bytes) {
    for (const u8 byte : bytes) receive(byte);
  };
}

void Uart16550::reset() {
  r_ = Regs{};
  r_.lsr = kThre | kTemt;
  r_.mcr = kOut2;
  r_.msr = modem_inputs();
  retry_.stop();
  timeout_.stop();
  irq_.lower();
}

void Uart16550::state(Archive& a) {
  a("ier", r_.ier)("fcr", r_.fcr)("lcr", r_.lcr)("mcr", r_.mcr)("lsr", r_.lsr)("msr", r_.msr)("scr", r_.scr);
  a("divisor", r_.divisor)("thr", r_.thr)("rbr", r_.rbr)("thre_pending", r_.thre_pending)("timed_out", r_.timed_out);
  a("rx", r_.rx)("tx", r_.tx)("retry", retry_)("timeout", timeout_);
}

unsigned Uart16550::trigger_level() const {
  static constexpr unsigned kLevels[4] = {1, 4, 8, 14};
  return fifos() ? kLevels[r_.fcr >> 6] : 1;
}

u64 Uart16550::character_time() const {
  const u64 bits = 1 + 5 + (r_.lcr & 3) + ((r_.lcr & 8) != 0 ? 1 : 0) + ((r_.lcr & 4) != 0 ? 2 : 1);
  return bits * kNanosPerSecond * (r_.divisor == 0 ? 1 : r_.divisor) / kBaudBase;
}

std::size_t Uart16550::room() const {
  if (loopback()) return 0;
  if (fifos()) return kFifoSize - r_.rx.count;
  return (r_.lsr & kDataReady) == 0 ? 1 : 0;
}

void Uart16550::receive(u8 byte) {
  if (fifos()) {
    if (!r_.rx.push(byte)) r_.lsr |= kOverrun;  // the FIFO keeps what it has
    r_.timed_out = false;
    timeout_.after(4 * character_time());
  } else {
    if ((r_.lsr & kDataReady) != 0) r_.lsr |= kOverrun;
    r_.rbr = byte;
  }
  r_.lsr |= kDataReady;
  update_irq();
}

u8 Uart16550::read_rbr() {
  if (fifos()) {
    r_.rbr = r_.rx.count != 0 ? r_.rx.pop() : u8{0};
    r_.timed_out = false;
    if (r_.rx.count == 0) {
      r_.lsr = static_cast<u8>(r_.lsr & ~(kDataReady | kBreak));
      timeout_.stop();
    } else {
      timeout_.after(4 * character_time());
    }
  } else {
    r_.lsr = static_cast<u8>(r_.lsr & ~(kDataReady | kBreak));
  }
  const u8 value = r_.rbr;
  update_irq();
  if (host_ != nullptr && (r_.lsr & kDataReady) == 0 && !loopback()) host_->room_available();
  return value;
}

void Uart16550::write_thr(u8 value) {
  r_.thre_pending = false;
  if (fifos()) {
    r_.tx.push(value);  // a full FIFO loses it, as the chip does
  } else {
    r_.thr = value;
    r_.tx.clear();
    r_.tx.push(value);
  }
  r_.lsr = static_cast<u8>(r_.lsr & ~(kThre | kTemt));
  update_irq();
  transmit();
}

// Everything waiting goes to the far end; what it does not take is offered again a little later. A far end that is full
// makes the line slow before bytes have to stay here, where the end of the program would find them.
void Uart16550::transmit() {
  while (r_.tx.count != 0) {
    const u8 byte = r_.tx.data[r_.tx.head];
    if (loopback()) {
      receive(byte);
    } else if (host_ != nullptr && host_->connected() && host_->write({&byte, 1}) == 0) {
      return retry_.after(kRetryAfter);
    }
    r_.tx.pop();
  }
  if (host_ != nullptr && !loopback() && host_->full()) return retry_.after(kRetryAfter);
  r_.lsr |= kThre | kTemt;
  r_.thre_pending = true;
  update_irq();
}

void Uart16550::write_fcr(u8 value) {
  const bool toggled = ((value ^ r_.fcr) & 1) != 0;
  if (toggled) value |= 6;
  if ((value & 2) != 0) {
    r_.rx.clear();
    r_.timed_out = false;
    timeout_.stop();
    r_.lsr = static_cast<u8>(r_.lsr & ~(kDataReady | kBreak));
  }
  if ((value & 4) != 0) {
    r_.tx.clear();
    r_.lsr |= kThre | kTemt;
    r_.thre_pending = true;
    retry_.stop();
  }
  r_.fcr = value & 0xc9;
  update_irq();
}

u8 Uart16550::modem_inputs() const {
  if (loopback()) {
    return static_cast<u8>(((r_.mcr & kDtr) != 0 ? kDsr : 0) | ((r_.mcr & kRts) != 0 ? kCts : 0) |
                           ((r_.mcr & kOut1) != 0 ? kRi : 0) | ((r_.mcr & kOut2) != 0 ? kDcd : 0));
  }
  return host_ != nullptr ? kCts | kDsr | kDcd : 0;
}

void Uart16550::update_modem() {
  const u8 now = modem_inputs();
  const u8 changed = static_cast<u8>((now ^ r_.msr) & 0xf0);
  u8 deltas = static_cast<u8>(changed >> 4);
  if ((now & kRi) != 0) deltas = static_cast<u8>(deltas & ~4);  // only the trailing edge of RI counts
  r_.msr = static_cast<u8>(now | (r_.msr & 0x0f) | deltas);
  update_irq();
}

void Uart16550::write_mcr(u8 value) {
  const bool was_loop = loopback();
  r_.mcr = value & 0x1f;
  update_modem();
  if (was_loop && !loopback()) {
    if (host_ != nullptr) host_->room_available();
  }
}

u8 Uart16550::interrupt_id() const {
  if ((r_.ier & kIerLine) != 0 && (r_.lsr & kLineErrors) != 0) return kIdLine;
  if ((r_.ier & kIerData) != 0) {
    const unsigned waiting = fifos() ? r_.rx.count : ((r_.lsr & kDataReady) != 0 ? 1 : 0);
    if (waiting >= trigger_level()) return kIdData;
    if (r_.timed_out && waiting != 0) return kIdTimeout;
  }
  if ((r_.ier & kIerThre) != 0 && r_.thre_pending) return kIdThre;
  if ((r_.ier & kIerModem) != 0 && (r_.msr & 0x0f) != 0) return kIdModem;
  return kIdNone;
}

// On a PC, OUT2 connects the interrupt pin to the bus; in loopback the pin of OUT2 is off.
void Uart16550::update_irq() { irq_.set(interrupt_id() != kIdNone && (r_.mcr & kOut2) != 0 && !loopback()); }

u8 Uart16550::read_iir() {
  const u8 id = interrupt_id();
  if (id == kIdThre) {
    r_.thre_pending = false;
    update_irq();
  }
  return static_cast<u8>(id | (fifos() ? 0xc0 : 0));
}

u32 Uart16550::read(u32 offset, unsigned) {
  const bool dlab = (r_.lcr & kDlab) != 0;
  switch (offset & 7) {
    case kData:
      return dlab ? r_.divisor & 0xff : read_rbr();
    case kIer:
      return dlab ? r_.divisor >> 8 : r_.ier;
    case kIir:
      return read_iir();
    case kLcr:
      return r_.lcr;
    case kMcr:
      return r_.mcr;
    case kLsr: {
      const u8 value = r_.lsr;
      if ((value & (kOverrun | kBreak)) != 0) {
        r_.lsr = static_cast<u8>(r_.lsr & ~(kOverrun | kBreak));
        update_irq();
      }
      return value;
    }
    case kMsr: {
      const u8 value = r_.msr;
      r_.msr = value & 0xf0;
      update_irq();
      return value;
    }
    default:
      return r_.scr;
  }
}

void Uart16550::write(u32 offset, u32 value, unsigned) {
  const u8 byte = static_cast<u8>(value);
  const bool dlab = (r_.lcr & kDlab) != 0;
  switch (offset & 7) {
    case kData:
      if (dlab)
        r_.divisor = static_cast<u16>((r_.divisor & 0xff00) | byte);
      else
        write_thr(byte);
      break;
    case kIer:
      if (dlab) {
        r_.divisor = static_cast<u16>((r_.divisor & 0x00ff) | byte << 8);
        break;
      }
      // Enabling the transmitter interrupt while THR is empty raises it at once; drivers depend on it.
      if ((byte & ~r_.ier & kIerThre) != 0 && (r_.lsr & kThre) != 0) r_.thre_pending = true;
      r_.ier = byte & 0x0f;
      update_irq();
      break;
    case kIir:
      write_fcr(byte);
      break;
    case kLcr:
      if ((byte & ~r_.lcr & kBreakControl) != 0 && loopback()) {
        receive(0);
        r_.lsr |= kBreak;
        update_irq();
      }
      r_.lcr = byte;
      break;
    case kMcr:
      write_mcr(byte);
      break;
    case kScr:
      r_.scr = byte;
      break;
    default:
      break;  // LSR and MSR: factory test
  }
}

}  // namespace umbra
