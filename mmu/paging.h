// The guest's page tables: 2-level, PSE with PSE-36, PAE with NX. SDM vol. 3 chapter 4. One walk function; it sets
// accessed and dirty bits when and only when the access is allowed.
#pragma once

#include "cpu/base/types.h"
#include "mmu/phys.h"

namespace umbra {

struct PagingState {
  u32 cr0 = 0;
  u32 cr3 = 0;
  u32 cr4 = 0;
  u64 efer = 0;
  u64 pdpte[4] = {};  // PAE: loaded by MOV CR3 and friends, not at each walk
  bool operator==(const PagingState&) const = default;
};

enum class Access : u8 { kRead, kWrite, kExecute };

struct Walk {
  bool ok = false;
  u32 error_code = 0;  // of the #PF, when !ok
  Phys address;        // of the byte asked for, A20 not applied
  bool user = false;   // the rights that the tables give, for filling a shadow entry
  bool writable = false;
  bool executable = true;
  bool dirty = false;  // D is set: stores need no further walk
  bool global = false;
  u8 page_bits = 12;  // 12, 21 or 22
};

Walk walk(PhysicalMemory& memory, const PagingState& state, Linear address, Access access, bool user);
// For debuggers and `info tlb`: never changes A or D, never faults on rights.
Walk probe(PhysicalMemory& memory, const PagingState& state, Linear address);

}  // namespace umbra
