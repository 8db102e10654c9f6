#include "translator/x64/backend.h"

#include <sys/auxv.h>
#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/base/log.h"
#include "translator/x64/verify.h"
#include "translator/x64/writer.h"

namespace umbra::x64 {
namespace {

constexpr u32 kRedirectBytes = 11;  // MOV r11d or r8d, imm32; JMP rel32: also what an exit's cold path is
constexpr u8 kLoadR8d = 0xb8, kLoadR11d = 0xbb;

void put_rel32(u8* at, const u8* field, const u8* target) {
  const i32 distance = static_cast<i32>(target - (field + 4));
  std::memcpy(at, &distance, 4);
}

// An exit to a locator has not moved ESP yet. The cold path begins with that.
constexpr u32 lead(const Exit& exit) { return exit.locator == kNoReg ? 0 : Writer::kLeadBytes; }

// To run at `address`.
void load_and_jump(u8* code, const u8* address, u8 load, u32 value, const u8* stub) {
  code[0] = 0x41;
  code[1] = load;
  std::memcpy(code + 2, &value, 4);
  code[6] = 0xe9;
  put_rel32(code + 7, address + 7, stub);
}

}  // namespace

void X64Backend::start(CodeCache& cache, const Entries& entries) {
  cache_ = &cache;
  stubs_ = emit_stubs(cache, entries);
}

bool X64Backend::emit(Block& block, Draft& draft) {
  // Near the end of the cache it is written elsewhere first, to see whether it fits.
  const bool roomy = cache_->has_room(Writer::kMostBytes);
  if (!roomy && last_resort_ == nullptr) last_resort_ = std::make_unique<u8[]>(Writer::kMostBytes);
  Writer writer(stubs_, block, draft, bmi2_);
  writer.a.start(roomy ? cache_->writable_next() : last_resort_.get(), reinterpret_cast<u64>(cache_->next()));
  writer.block();
  while (writer.size() < block.entry + kRedirectBytes) writer.a.int3();
  block.host_size = writer.size();
  // Callouts know their EIP, 16-bit and limited code what it may reach.
  block.movable = writer.a.noted_all() && draft.site_count == 0 && block.key.mode.code_32() &&
                  block.key.cs_limit == 0xffffffff && !block.crosses();
  draft.relocation_count = 0;
  if (block.movable)
    for (const Relocation& r : writer.a.relocations()) draft.relocations[draft.relocation_count++] = r;
  if (!cache_->has_room(block.host_size)) return false;
  block.code =
      roomy ? cache_->commit(block.host_size, block.id) : cache_->add({last_resort_.get(), block.host_size}, block.id);
  return true;
}

// The exits of a copy are not linked yet, nor given up.
void X64Backend::move(u8* code, const u8* address, const Block& from, const Block& to) const {
  const auto add = [&](u32 offset, u32 by) {
    u32 value;
    std::memcpy(&value, code + offset, 4);
    value += by;
    std::memcpy(code + offset, &value, 4);
  };
  const u32 moved = static_cast<u32>(address - from.code), eip = to.key.eip - from.key.eip;
  for (const Relocation& r : std::span(from.relocations, from.relocation_count)) {
    switch (static_cast<Relocation::Kind>(r.kind)) {
      case Relocation::Kind::kStub:
        add(r.offset, 0 - moved);
        break;
      case Relocation::Kind::kEip:
        add(r.offset, eip);
        break;
      case Relocation::Kind::kSite:
        add(r.offset, site_number(to.id, 0) - site_number(from.id, 0));
        break;
    }
  }
  for (u32 i = 0; i < to.exit_count; ++i) {
    const Exit& exit = to.exits[i];
    load_and_jump(code + exit.cold, address + exit.cold, kLoadR8d, to.first_exit + i, stubs_.link);
    put_rel32(code + exit.rel32, code + exit.rel32, code + exit.cold - lead(exit));
  }
}

bool X64Backend::copy(const Block& from, Block& to) {
  if (!cache_->has_room(from.host_size)) return false;
  u8* code = cache_->writable_next();
  std::memcpy(code, from.code, from.host_size);
  move(code, cache_->next(), from, to);
  to.code = cache_->commit(from.host_size, to.id);
  return true;
}

bool X64Backend::moves_well(const Block& block, const Draft& draft) const {
  Block elsewhere = block;
  elsewhere.id += 3;
  elsewhere.first_exit += 5;
  elsewhere.key.eip += 5 * kPageSize;
  elsewhere.key.linear += 5 * kPageSize;
  const u8* address = block.code + 0x1230;
  std::vector<u8> moved(block.code, block.code + block.host_size), emitted(Writer::kMostBytes);
  move(moved.data(), address, block, elsewhere);
  std::vector<Exit> exits(kMaxBlockInsns + 1);
  Draft again = draft;
  again.exits = exits.data();
  Writer writer(stubs_, elsewhere, again, bmi2_);
  writer.a.start(emitted.data(), reinterpret_cast<u64>(address));
  writer.block();
  return std::equal(moved.begin(), moved.begin() + std::min(writer.size(), block.host_size), emitted.begin());
}

std::string X64Backend::verify(const Block& block) const {
  const std::span<const u8> code(block.code, block.host_size);
  if (!bmi2_) {
    const std::string text = listing(code);
    for (const char* insn : {"rorx", "mulx", "shrx"})
      if (text.find(insn) != std::string::npos) return "BMI2 on a host that has none";
  }
  return x64::verify(block, stubs_);
}

void X64Backend::point(u8* field, const u8* target) {
  u8 bytes[4];
  put_rel32(bytes, field, target);
  cache_->patch(field, bytes);
}

void X64Backend::chain(const Exit& exit, const Block& to) {
  if (exit.locator != kNoReg) return point(exit.from->code + exit.rel32, exit.from->code + exit.rel32 + 4);
  const bool fetched = exit.fpu || to.poll == 0;
  point(exit.from->code + exit.rel32, to.code + (!fetched ? 0 : exit.poll ? to.poll : to.entry));
}

void X64Backend::unchain(const Exit& exit) {
  point(exit.from->code + exit.rel32, exit.from->code + exit.cold - lead(exit));
}

void X64Backend::give_up(const Exit& exit) { put_jump(exit.from->code + exit.cold, exit.eip, stubs_.dispatch); }

void X64Backend::redirect(const Block& block) {
  for (const u32 at : {0u, block.poll}) {
    u8 hop[2] = {0xeb, static_cast<u8>(block.entry - at - 2)};
    cache_->patch(block.code + at, hop);
  }
  put_jump(block.code + block.entry, block.key.eip, stubs_.miss);
}

void X64Backend::put_jump(u8* at, u32 eip, const u8* stub) {
  u8 bytes[kRedirectBytes];
  load_and_jump(bytes, at, kLoadR11d, eip, stub);
  cache_->patch(at, bytes);
}

void X64Backend::divert_to_missed(void* ucontext, u32 site, bool flags_saved) {
  auto& registers = static_cast<ucontext_t*>(ucontext)->uc_mcontext.gregs;
  registers[REG_R8] = static_cast<greg_t>(site);
  registers[REG_RIP] =
      static_cast<greg_t>(reinterpret_cast<std::uintptr_t>(flags_saved ? stubs_.missed_saved : stubs_.missed));
}

bool X64Backend::was_write(const void* ucontext) const {
  return (static_cast<const ucontext_t*>(ucontext)->uc_mcontext.gregs[REG_ERR] & 2) != 0;
}

// FSGSBASE: the kernel must allow it, not just the processor have it.
bool X64Backend::has_windows() const { return (getauxval(AT_HWCAP2) & 2) != 0; }

void X64Backend::load_window(u64 base) {
  cache_->context().window = cache_->context().window_loaded = base;
  asm volatile("wrgsbase %0" : : "r"(base));
}

void X64Backend::divert_to_poll(void* ucontext, u32 eip) {
  auto& registers = static_cast<ucontext_t*>(ucontext)->uc_mcontext.gregs;
  registers[REG_R11] = eip;
  registers[REG_RIP] = static_cast<greg_t>(reinterpret_cast<std::uintptr_t>(stubs_.poll));
}

}  // namespace umbra::x64

namespace umbra {

Result<std::unique_ptr<Engine>> make_x64_engine(PhysicalMemory& memory, const TranslatorOptions& options) {
  const bool bmi2 = options.bmi2 && asmjit::CpuInfo::host().features().x86().hasBMI2();
  if (!bmi2)
    warn("this host has no BMI2: CLI, STI, PUSHF, POPF, RDTSC, CLD, STD and bit strings are not translated inline");
  auto cache = CodeCache::create(options.code_bytes);
  if (!cache) return cache.take_error();
  return std::unique_ptr<Engine>(
      std::make_unique<Translator>(std::move(*cache), std::make_unique<x64::X64Backend>(bmi2), memory, options));
}

}  // namespace umbra
