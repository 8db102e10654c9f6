// Making a block and linking it to the others.
#include <x86intrin.h>

#include "cpu/base/log.h"
#include "translator/engine.h"

namespace umbra {
namespace {

constexpr u32 kMaxSites = 1u << 20;
constexpr u32 kHot = 2;           // samples
constexpr u32 kThrashing = 2000;  // blocks of one page that died: from here on it is interpreted

}  // namespace

void Translator::trace(const Block& block) const {
  for (const Site& site : block.insns()) {
    const u32 end = &site == &block.insns().back() ? block.cold : (&site)[1].host;
    log(Log::kInAsm, "%08x  %s%s", site.eip, disassemble(site.insn, site.eip, block.key.size()).c_str(),
        site.inline_code ? "" : "   ; callout");
    if (log_on(Log::kOutAsm))
      log(Log::kOutAsm, "%s", backend_->listing({block.code + site.host, end - site.host}).c_str());
  }
}

Block* Translator::translate(const BlockKey& key, const Walk&) {
  const u64 start = __rdtsc();
  const Phys at(key.phys);
  const u8* host = memory_.host(at);
  if (host == nullptr || code_pages_.deaths(page_of(at)) > kThrashing) return nullptr;
  if (sites_used_ + kMaxBlockInsns > kMaxSites) flush_now();
  Cpu& cpu = *cpu_;

  std::span<const u8> next_page;
  u64 second = ~u64{0};
  const u32 room = kPageSize - page_offset(at);
  if (room < kMaxInsnLength) {
    const Linear beyond(key.linear + room);
    const Walk walk = umbra::walk(memory_, cpu.mmu.state(), beyond, Access::kRead, key.mode.user());
    if (walk.ok && memory_.host(memory_.wrap(walk.address)) != nullptr) {
      second = page_of(memory_.wrap(walk.address));
      next_page = {memory_.host(memory_.wrap(walk.address)), kMaxInsnLength};
    }
  }
  Block& block = blocks_.emplace_back();
  block.key = key;
  discover(block, cpu.model, {host, room}, next_page, sites_ + sites_used_);
  if (block.count > options_.max_block_insns) {
    block.count = options_.max_block_insns;
    block.guest_size = block.sites[block.count].eip - key.eip;
  }
  if (block.count == 0) {
    blocks_.pop_back();
    return nullptr;
  }
  if (block.guest_size > room) block.second_page = second;
  block.window = windows_ && (options_.always_windows || heat_[page_of(at)] >= kHot);
  if (block.window && !checked_.empty())
    for (Site& site : block.insns()) site.checked = checked_.contains(key.phys + (site.eip - key.eip));
  if (!backend_->emit(block)) {
    blocks_.pop_back();
    flush_now();
    return translate(key, {});
  }
  if (options_.verify) {
    const std::string offence = backend_->verify(block);
    if (!offence.empty()) {
      for (const Site& site : block.insns())
        warn("%08x %s", site.eip, disassemble(site.insn, site.eip, key.size()).c_str());
      warn("%s\n%s", offence.c_str(), backend_->listing({block.code, block.host_size}).c_str());
    }
    CHECK(offence.empty());
  }
  sites_used_ += block.count;
  by_key_[key] = &block;
  register_pages(block);
  if (options_.chain) {
    chain_exits(block);
    chain_to(block);
  }
  ++stats_.translations;
  stats_.window_blocks += block.window ? 1 : 0;
  stats_.guest_insns += block.count;
  stats_.guest_bytes += block.guest_size;
  stats_.host_bytes += block.host_size;
  for (const Site& site : block.insns()) ++(site.inline_code ? stats_.lane_accesses : stats_.callout_accesses);
  stats_.translation_cycles += __rdtsc() - start;
  if (log_on(Log::kInAsm) || log_on(Log::kOutAsm)) trace(block);
  return &block;
}

void Translator::register_pages(Block& block) {
  for (u64 page : {page_of(Phys(block.key.phys)), block.second_page}) {
    if (page == ~u64{0}) continue;
    code_pages_.add(page, block);
    if (!memory_.has_code(page)) memory_.mark_code(page, true);
  }
}

// Exits stay inside the page, where the mapping that brought us here holds as well.
void Translator::chain_exits(Block& block) {
  for (u8 i = 0; i < block.exit_count; ++i) {
    const Exit& exit = block.exits[i];
    BlockKey key = block.key;
    const u32 distance = exit.eip - block.key.eip;
    key.eip = exit.eip;
    key.linear += distance;
    key.phys += static_cast<i64>(static_cast<i32>(distance));
    incoming_.emplace(key, PendingExit{&block, exit});
    if (const Block* to = lookup(key); to != nullptr && !to->crosses()) backend_->chain(block, exit, *to);
  }
}

void Translator::chain_to(const Block& block) {
  if (block.crosses()) return;
  const auto [first, last] = incoming_.equal_range(block.key);
  for (auto it = first; it != last; ++it)
    if (it->second.from->valid) backend_->chain(*it->second.from, it->second.exit, block);
}

}  // namespace umbra
