#include "translator/x64/backend.h"

#include <sys/auxv.h>
#include <ucontext.h>

#include <cstring>

#include "cpu/base/log.h"
#include "translator/x64/verify.h"
#include "translator/x64/writer.h"

namespace umbra::x64 {
namespace {

constexpr u32 kRedirectBytes = 11;  // MOV r11d, imm32; JMP rel32

void put_rel32(u8* at, const u8* field, const u8* target) {
  const i32 distance = static_cast<i32>(target - (field + 4));
  std::memcpy(at, &distance, 4);
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
  Writer writer(stubs_, block, draft);
  writer.a.start(roomy ? cache_->writable_next() : last_resort_.get(), reinterpret_cast<u64>(cache_->next()));
  writer.block();
  while (writer.size() < block.entry + kRedirectBytes) writer.a.int3();
  block.host_size = writer.size();
  if (!cache_->has_room(block.host_size)) return false;
  block.code =
      roomy ? cache_->commit(block.host_size, block.id) : cache_->add({last_resort_.get(), block.host_size}, block.id);
  return true;
}

std::string X64Backend::verify(const Block& block) const { return x64::verify({block.code, block.host_size}, stubs_); }

void X64Backend::point(u8* field, const u8* target) {
  u8 bytes[4];
  put_rel32(bytes, field, target);
  cache_->patch(field, bytes);
}

void X64Backend::chain(const Exit& exit, const Block& to) {
  point(exit.from->code + exit.rel32, to.code + (exit.poll ? 0 : to.entry));
}

void X64Backend::unchain(const Exit& exit) { point(exit.from->code + exit.rel32, exit.from->code + exit.cold); }

void X64Backend::give_up(const Exit& exit) {
  constexpr u32 kLinkJump = 13;  // behind the two loads of a cold path (Writer::cold_path)
  point(exit.from->code + exit.cold + kLinkJump, stubs_.dispatch);
}

void X64Backend::redirect(const Block& block) {
  u8 hop[2] = {0xeb, static_cast<u8>(block.entry - 2)};
  cache_->patch(block.code, hop);
  u8* at = block.code + block.entry;
  u8 bytes[kRedirectBytes] = {0x41, 0xbb};
  std::memcpy(bytes + 2, &block.key.eip, 4);
  bytes[6] = 0xe9;
  put_rel32(bytes + 7, at + 7, stubs_.miss);
  cache_->patch(at, bytes);
}

void X64Backend::divert_to_missed(void* ucontext, u32 site) {
  auto& registers = static_cast<ucontext_t*>(ucontext)->uc_mcontext.gregs;
  registers[REG_R8] = static_cast<greg_t>(site);
  registers[REG_RIP] = static_cast<greg_t>(reinterpret_cast<std::uintptr_t>(stubs_.missed));
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
  if (!asmjit::CpuInfo::host().features().x86().hasBMI2())
    return Error{"the translator needs a processor with BMI2; run with -accel interp"};
  auto cache = CodeCache::create(options.code_bytes);
  if (!cache) return cache.take_error();
  return std::unique_ptr<Engine>(
      std::make_unique<Translator>(std::move(*cache), std::make_unique<x64::X64Backend>(), memory, options));
}

}  // namespace umbra
