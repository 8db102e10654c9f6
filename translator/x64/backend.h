// The x86-64 host: blocks become near copies of themselves. See regs.h for who lives where.
#pragma once

#include "cpu/base/result.h"
#include "translator/engine.h"
#include "translator/x64/stubs.h"

namespace umbra::x64 {

class X64Backend final : public Backend {
 public:
  explicit X64Backend(bool bmi2) : bmi2_(bmi2) {}
  const char* name() const override { return "x64"; }
  void start(CodeCache& cache, const Entries& entries) override;
  bool emit(Block& block, Draft& draft) override;
  bool copy(const Block& from, Block& to) override;
  bool moves_well(const Block& block, const Draft& draft) const override;
  std::string verify(const Block& block) const override;
  void chain(const Exit& exit, const Block& to) override;
  void unchain(const Exit& exit) override;
  void give_up(const Exit& exit) override;
  void redirect(const Block& block) override;
  void enter(CpuState& state, const u8* code) override { stubs_.enter(&state, cache_->base(), code); }
  u8* exit_code() const override { return const_cast<u8*>(stubs_.exit); }
  void divert_to_missed(void* ucontext, u32 site, bool flags_saved) override;
  bool was_write(const void* ucontext) const override;
  void divert_to_poll(void* ucontext, u32 eip) override;
  void load_window(u64 base) override;
  bool has_windows() const override;
  std::string listing(std::span<const u8> code) const override;

 private:
  void point(u8* field, const u8* target);
  void put_jump(u8* at, u32 eip, const u8* stub);
  // Changes the code of `from`, copied, to that of `to`, which will run at `address`.
  void move(u8* code, const u8* address, const Block& from, const Block& to) const;
  CodeCache* cache_ = nullptr;
  Stubs stubs_;
  const bool bmi2_;
  std::unique_ptr<u8[]> last_resort_;
};

}  // namespace umbra::x64

namespace umbra {

// The engine `x64`. An error says what the host lacks; the caller falls back to the interpreter.
Result<std::unique_ptr<Engine>> make_x64_engine(PhysicalMemory& memory, const TranslatorOptions& options = {});

}  // namespace umbra
