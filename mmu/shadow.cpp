#include "mmu/shadow.h"

#include <sys/mman.h>

#include "cpu/base/log.h"

namespace umbra {

namespace {

ShadowTable* new_table() {
  void* at =
      mmap(nullptr, sizeof(ShadowTable), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(at != MAP_FAILED);
  return static_cast<ShadowTable*>(at);
}

}  // namespace

Mmu::Mmu(PhysicalMemory& memory) : memory_(memory), tables_{new_table(), new_table()} {
  table_ = tables_[0];
  memory_.add_watcher(*this);
}

Mmu::~Mmu() {
  memory_.remove_watcher(*this);
  for (ShadowTable* table : tables_) munmap(table, sizeof(ShadowTable));
}

void Mmu::flush() {
  for (u32 vpn : filled_) {
    for (ShadowTable* table : tables_) table->load[vpn] = table->store[vpn] = 0;
  }
  filled_.clear();
}

void Mmu::set_state(const PagingState& state) {
  ++epoch_;
  state_ = state;
  flush();
}

void Mmu::set_user(bool user) {
  user_ = user;
  table_ = tables_[user];
}

void Mmu::invalidate(Linear) {
  ++epoch_;
  flush();
}
void Mmu::layout_changed(Phys, u64) {
  ++epoch_;
  flush();
}
void Mmu::protect_code(u64) { flush(); }

Fill Mmu::fill(Linear a, Access access, bool user) {
  const Walk w = walk(memory_, state_, a, access, user);
  Fill f{};
  if (!w.ok) {
    f.kind = Fill::Kind::kFault;
    f.error_code = w.error_code;
    return f;
  }
  f.address = memory_.wrap(w.address);
  f.host = memory_.host(f.address);
  f.kind = f.host != nullptr ? Fill::Kind::kRam : Fill::Kind::kDevice;
  if (f.host == nullptr || user != user_) return f;
  const u32 vpn = page_of(a);
  const u64 addend = reinterpret_cast<u64>(f.host) - a.value;
  if (table_->load[vpn] == 0) filled_.push_back(vpn);
  table_->load[vpn] = addend;
  const bool may_store = w.dirty && (w.writable || (!user && !write_protect(state_)));
  const bool direct = memory_.kind(f.address) == PhysicalMemory::Kind::kRam && !memory_.has_code(page_of(f.address));
  if (may_store && direct) table_->store[vpn] = addend;
  return f;
}

}  // namespace umbra
