// Reading single-step test files: the MOO format, version 1.1, as the SingleStepTests project publishes it for the
// 8088, 8086, V20, 286 and 386; plain or gzip'd. Everything in a file is hostile: a length is believed only after a
// check.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cpu/base/result.h"
#include "cpu/base/types.h"

namespace umbra {

// Registers of both layouts; 16-bit files fill the low halves. What a state does not list is empty.
struct MooRegs {
  enum Name : u8 {
    kEax,
    kEbx,
    kEcx,
    kEdx,
    kCs,
    kSs,
    kDs,
    kEs,
    kEsp,
    kEbp,
    kEsi,
    kEdi,
    kEip,
    kFlags,
    kFs,
    kGs,
    kCr0,
    kCr3,
    kDr6,
    kDr7,
    kCount
  };
  std::optional<u32> value[kCount];
  static const char* name(unsigned n);
};

struct MooByte {
  u32 address;
  u8 value;
};

struct MooState {
  MooRegs regs;
  MooRegs masks;          // the defined bits, where some are not (RMSK, RM32)
  bool shutdown = false;  // instead of registers
  std::vector<MooByte> ram;
};

struct MooTest {
  u32 index = 0;
  std::string name;
  std::vector<u8> bytes;
  MooState initial, final;
  std::optional<u8> exception;
  std::string hash;  // in hexadecimal digits, or empty
};

struct MooFile {
  std::string cpu;  // as in the file: C286, 386E, 8088…
  MooRegs masks;    // of every test
  std::vector<MooTest> tests;
};

Result<MooFile> parse_moo(const std::vector<u8>& bytes, const std::string& path);
Result<MooFile> read_moo(const std::string& path);

// The mask of defined flags for a test file, from metadata.json or a .csv in its folder; all ones when nothing is said.
class FlagMasks {
 public:
  static Result<FlagMasks> for_folder(const std::string& folder);
  u32 of(const std::string& file_name) const;

 private:
  std::vector<std::pair<std::string, u32>> masks_;  // "80.4" or "27"
};

// The hashes of tests that were found bad, from revocation_list.txt beside the files or above them.
std::set<std::string> revoked_tests(const std::string& folder);

}  // namespace umbra
