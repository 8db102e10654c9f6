// Two ways to speak besides Result: trace channels chosen with -d, and CHECK for our own bugs.
//
//   if (log_on(Log::kInt)) log(Log::kInt, "v=%02x", vector);
//   CHECK(index < size);                    on in release; prints the state given by set_crash_report
//   guest_oddity("ide: unknown command %02x", cmd);   said once per distinct format string
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "cpu/base/result.h"
#include "cpu/base/types.h"

namespace umbra {

enum class Log : u32 {
  kInAsm = 1u << 0,
  kOutAsm = 1u << 1,
  kExec = 1u << 2,
  kCpu = 1u << 3,
  kInt = 1u << 4,
  kReset = 1u << 5,
  kExits = 1u << 6,
  kGuestErrors = 1u << 7,
  kUnimp = 1u << 8,
  kPage = 1u << 9,
  kMmu = 1u << 10,
  kIo = 1u << 11,
};

struct LogItem {
  Log bit;
  const char* name;
  const char* help;
};
inline constexpr LogItem kLogItems[] = {
    {Log::kInAsm, "in_asm", "guest code of each block as it is first decoded"},
    {Log::kOutAsm, "out_asm", "host code of each block the translator emits"},
    {Log::kExec, "exec", "each block as it is entered from the outer loop"},
    {Log::kCpu, "cpu", "registers before each block"},
    {Log::kInt, "int", "interrupts and exceptions as they are delivered"},
    {Log::kReset, "cpu_reset", "processor state at a reset"},
    {Log::kExits, "exits", "counts and time of everything that leaves generated code, at the end"},
    {Log::kGuestErrors, "guest_errors", "guest actions that real hardware would ignore or reject"},
    {Log::kUnimp, "unimp", "guest uses of what is not modelled"},
    {Log::kPage, "page", "page table walks that fault"},
    {Log::kMmu, "mmu", "address space switches and invalidations"},
    {Log::kIo, "ioport", "port reads and writes"},
};

extern u32 g_log_mask;
inline bool log_on(Log item) { return (g_log_mask & static_cast<u32>(item)) != 0; }
[[gnu::format(printf, 2, 3)]] void log(Log item, const char* format, ...);
[[gnu::format(printf, 1, 2)]] void guest_oddity(const char* format, ...);
[[gnu::format(printf, 1, 2)]] void warn(const char* format, ...);  // one line for the user, on stderr

Result<u32> parse_log_items(std::string_view comma_list);
Status set_log_file(const std::string& path);  // "" means stderr

[[gnu::format(printf, 1, 2)]] std::string format(const char* text, ...);

using CrashReport = void (*)(void* context, std::FILE* out);
void set_crash_report(CrashReport report, void* context);
[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace umbra

#ifndef CHECK  // tests have Catch2's
#define CHECK(condition) ((condition) ? void(0) : ::umbra::check_failed(#condition, __FILE__, __LINE__))
#endif
