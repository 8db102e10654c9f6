#include "mmu/paging.h"

#include <atomic>

#include "cpu/base/bits.h"

namespace umbra {

namespace {

constexpr u32 kCr4Pse = 1u << 4, kCr4Pge = 1u << 7;
constexpr u64 kEferNxe = 1u << 11;

// One entry of a table of either width. Tables may lie anywhere, ROM, devices and holes included: there the bits that
// the walk sets are lost, as they are on the real bus.
class Entry {
 public:
  Entry(PhysicalMemory& memory, u64 address, unsigned size) : memory_(memory), at_(memory.wrap(Phys(address))) {
    value_ = memory.load(at_, size);
  }
  u64 value() const { return value_; }
  Phys at() const { return at_; }
  bool has(u64 bits) const { return (value_ & bits) == bits; }

  void set(u64 bits) {
    if (has(bits)) return;
    if (memory_.kind(at_) == PhysicalMemory::Kind::kRam) {
      if (memory_.has_code(page_of(at_))) memory_.notify_code(page_of(at_), page_offset(at_), 4);
      // A and D are in the low four bytes of both formats. Locked, as the processor does it.
      std::atomic_ref<u32>(*reinterpret_cast<u32*>(memory_.host(at_))).fetch_or(static_cast<u32>(bits));
      value_ |= bits;
    } else if (memory_.kind(at_) == PhysicalMemory::Kind::kDevice) {
      memory_.store(at_, static_cast<u32>(value_ | bits), 4);
    }
  }

 private:
  PhysicalMemory& memory_;
  Phys at_;
  u64 value_;
};

// `checked` is false for probe: any present mapping will do and nothing is written.
struct Request {
  Access access;
  bool user;
  bool checked;
};

class Walker {
 public:
  Walker(PhysicalMemory& memory, const PagingState& state, Linear address, Request request)
      : memory_(memory), state_(state), address_(address), request_(request) {}

  Walk run() {
    if (!paging_on(state_)) return flat();
    return paging_pae(state_) ? pae() : two_level();
  }

 private:
  Walk flat() {
    Walk w;
    w.ok = w.user = w.writable = w.dirty = true;
    w.address = Phys(address_.value);
    w.page_bits = 32;
    return w;
  }

  Walk two_level() {
    const u32 a = address_.value;
    Entry pde(memory_, (state_.cr3 & ~kPageMask) + (a >> 22) * 4, 4);
    if (!pde.has(pte::kPresent)) return fault(0);
    if ((state_.cr4 & kCr4Pse) != 0 && pde.has(pte::kLarge)) {
      // Bits 13 and up of the entry are address bits 32 and up, as many as there are; the rest up to 21 is reserved.
      const unsigned high_bits = state_.phys_bits - 32u;
      const u64 reserved = 0x3fe000u & ~(((u64{1} << high_bits) - 1) << 13);
      if ((pde.value() & reserved) != 0) return fault(pf::kPresent | pf::kReserved);
      const u64 frame = (pde.value() & 0xffc00000u) | bits<u64>(pde.value(), 20, 13) << 32;
      return finish(pde, nullptr, frame, 22);
    }
    Entry leaf(memory_, (pde.value() & 0xfffff000u) + bits(a, 21, 12) * 4, 4);
    if (!leaf.has(pte::kPresent)) return fault(0);
    return finish(leaf, &pde, leaf.value() & 0xfffff000u, 12);
  }

  Walk pae() {
    const u32 a = address_.value;
    const u64 pointer = state_.pdpte[a >> 30];
    if ((pointer & pte::kPresent) == 0) return fault(0);
    const u64 frame_mask = ((u64{1} << state_.phys_bits) - 1) & ~u64{kPageMask};
    const u64 reserved = (~((u64{1} << state_.phys_bits) - 1) & ~pte::kNoExecute) | (nx() ? 0 : pte::kNoExecute);
    Entry pde(memory_, (pointer & frame_mask) + bits(a, 29, 21) * 8, 8);
    if (!pde.has(pte::kPresent)) return fault(0);
    if (pde.has(pte::kLarge)) {
      if ((pde.value() & (reserved | 0x1fe000)) != 0) return fault(pf::kPresent | pf::kReserved);
      return finish(pde, nullptr, pde.value() & frame_mask & ~u64{0x1fffff}, 21);
    }
    if ((pde.value() & reserved) != 0) return fault(pf::kPresent | pf::kReserved);
    Entry leaf(memory_, (pde.value() & frame_mask) + bits(a, 20, 12) * 8, 8);
    if (!leaf.has(pte::kPresent)) return fault(0);
    if ((leaf.value() & reserved) != 0) return fault(pf::kPresent | pf::kReserved);
    return finish(leaf, &pde, leaf.value() & frame_mask, 12);
  }

  bool nx() const { return paging_pae(state_) && (state_.efer & kEferNxe) != 0; }

  Walk finish(Entry& leaf, Entry* directory, u64 frame, u8 page_bits) {
    const u64 both = leaf.value() & (directory != nullptr ? directory->value() : ~u64{0});
    const u64 either = leaf.value() | (directory != nullptr ? directory->value() : 0);
    Walk w;
    w.user = (both & pte::kUser) != 0;
    w.writable = (both & pte::kWritable) != 0;
    w.executable = !nx() || (either & pte::kNoExecute) == 0;
    if (request_.checked) {
      const bool write = request_.access == Access::kWrite;
      const bool refused = (request_.user && !w.user) ||
                           (write && !w.writable && (request_.user || write_protect(state_))) ||
                           (request_.access == Access::kExecute && !w.executable);
      if (refused) return fault(pf::kPresent);
      if (directory != nullptr) directory->set(pte::kAccessed);
      leaf.set(pte::kAccessed | (write ? pte::kDirty : 0));
    }
    w.ok = true;
    w.address = Phys(frame | (address_.value & ((u64{1} << page_bits) - 1)));
    w.dirty = leaf.has(pte::kDirty);
    w.global = (state_.cr4 & kCr4Pge) != 0 && leaf.has(pte::kGlobal);
    w.page_bits = page_bits;
    for (const Entry* entry : {const_cast<const Entry*>(directory), const_cast<const Entry*>(&leaf)}) {
      if (entry == nullptr) continue;
      w.at[w.levels] = entry->at();
      w.entry[w.levels++] = entry->value();
    }
    return w;
  }

  Walk fault(u32 code) {
    if (request_.access == Access::kWrite) code |= pf::kWrite;
    if (request_.user) code |= pf::kUser;
    if (request_.access == Access::kExecute && nx()) code |= pf::kFetch;
    Walk w;
    w.error_code = code;
    return w;
  }

  PhysicalMemory& memory_;
  const PagingState& state_;
  Linear address_;
  Request request_;
};

}  // namespace

Walk walk(PhysicalMemory& memory, const PagingState& state, Linear address, Access access, bool user) {
  return Walker(memory, state, address, {access, user, true}).run();
}

Walk probe(PhysicalMemory& memory, const PagingState& state, Linear address) {
  return Walker(memory, state, address, {Access::kRead, false, false}).run();
}

Walk leaf(const PagingState& state, u64 pde, u64 pte) {
  const bool nx = paging_pae(state) && (state.efer & kEferNxe) != 0;
  const u64 physical = paging_pae(state) ? (u64{1} << state.phys_bits) - 1 : 0xffffffff;
  const u64 frame = physical & ~u64{kPageMask};
  const u64 reserved = ~physical & ~(nx ? pte::kNoExecute : 0);
  const u64 both = pde & pte;
  Walk w;
  w.ok = (both & pte::kPresent) != 0 && (both & pte::kAccessed) != 0 && ((pde | pte) & reserved) == 0;
  w.address = Phys(pte & frame);
  w.user = (both & pte::kUser) != 0;
  w.writable = (both & pte::kWritable) != 0;
  w.executable = !nx || ((pde | pte) & pte::kNoExecute) == 0;
  w.dirty = (pte & pte::kDirty) != 0;
  w.global = (state.cr4 & kCr4Pge) != 0 && (pte & pte::kGlobal) != 0;
  return w;
}

bool load_pdptes(PhysicalMemory& memory, PagingState& state) {
  const u64 reserved = ~((u64{1} << state.phys_bits) - 1) | 0x1e6;  // SDM table 4-8
  u64 loaded[4];
  for (unsigned i = 0; i < 4; ++i) {
    loaded[i] = memory.load(memory.wrap(Phys((state.cr3 & ~0x1fu) + i * 8)), 8);
    if ((loaded[i] & pte::kPresent) != 0 && (loaded[i] & reserved) != 0) return false;
  }
  for (unsigned i = 0; i < 4; ++i) state.pdpte[i] = loaded[i];
  return true;
}

}  // namespace umbra
