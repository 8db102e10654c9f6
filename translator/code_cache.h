// Code memory: one memory file mapped twice, writable and executable, never both through one mapping. Allocation is a
// bump; when it is full everything goes at once (blocks are cheap to make again, and a full flush keeps no links).
// Before each piece of code stands a number, by which a block is found from its address.
// Below the executable mapping lie the Context and the poll page, see context.h.
#pragma once

#include <cstring>
#include <memory>
#include <span>

#include "cpu/base/result.h"
#include "translator/backing.h"
#include "translator/context.h"

namespace umbra {

class CodeCache {
 public:
  static Result<std::unique_ptr<CodeCache>> create(u32 bytes);
  ~CodeCache();
  CodeCache(const CodeCache&) = delete;
  CodeCache& operator=(const CodeCache&) = delete;

  void use(Backing& backing) { backing_ = &backing; }
  u8* base() const { return code_; }  // executable
  u32 used() const { return used_; }
  u32 size() const { return size_; }
  bool has_room(u32 bytes) const { return bytes <= size_ - used_; }
  u8* next() const { return code_ + used_; }
  u8* add(std::span<const u8> code, u32 number);  // copies, 16-byte aligned; the caller has checked has_room
  // Or: write to writable_next() what will run at next(), and say how much that was.
  u8* writable_next() const { return writable_ + used_; }
  u8* commit(u32 bytes, u32 number);
  void expect() const {  // what comes is about to be written
    for (u32 i = 0; i < 4; ++i) __builtin_prefetch(writable_next() + 64 * i, 1);
  }
  static constexpr u32 kOverhead = 20;  // that a piece of code takes beside itself, at most
  // Of a block that is no more.
  static constexpr u32 kNone = ~u32{0};
  void forget_number(const u8* code) const {
    std::memcpy(writable_ + (code - code_) - sizeof kNone, &kNone, sizeof kNone);
  }
  static u32 number(const u8* code) {
    u32 n;
    std::memcpy(&n, code - sizeof n, sizeof n);
    return n;
  }
  void patch(u8* executable, std::span<const u8> code);
  void reset(u32 keep) { used_ = keep; }  // forget all but the first `keep` bytes (the stubs)
  bool contains(const void* p) const {
    const u8* a = static_cast<const u8*>(p);
    return a >= code_ && a < code_ + size_;
  }
  u32 offset(const u8* executable) const { return static_cast<u32>(executable - code_); }

  Context& context() const { return *reinterpret_cast<Context*>(code_ - sizeof(Context)); }
  FarTargets& far_targets() const { return *reinterpret_cast<FarTargets*>(code_ - kFarToCode); }
  u8* poll_page() const { return code_ - kPollToCode; }
  void arm_poll(bool trap) const;  // async-signal-safe

 private:
  CodeCache(u8* code, u8* writable, u32 size) : code_(code), writable_(writable), size_(size) {}
  void back();
  u8* code_;
  u8* writable_;
  u32 size_;
  u32 used_ = 0;
  u32 backed_ = 0;  // so far it has been asked for in huge pages
  Backing* backing_ = nullptr;
};

}  // namespace umbra
