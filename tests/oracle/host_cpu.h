// The host's own processor running one ring-3 instruction in a 32-bit or 16-bit code segment.
#pragma once

#include <memory>
#include <span>

#include "cpu/base/result.h"
#include "tests/oracle/case.h"

namespace umbra::oracle {

class HostCpu {
 public:
  // An error says why this host cannot: then there is nothing to compare with.
  static Result<std::unique_ptr<HostCpu>> create();
  ~HostCpu();

  u8* memory(u32 region_offset) { return reinterpret_cast<u8*>(std::uintptr_t{kRegion} + region_offset); }
  void set_code(std::span<const u8> bytes, bool wide, bool branches);
  Outcome run(const Input& in);
  static void name_run(const char* name);  // for the report of a fault that is not the guest's

 private:
  HostCpu() = default;
  u8* code_ = nullptr;  // a second, writable mapping of the code page
  u32 length_ = 0;
};

}  // namespace umbra::oracle
