// The guest's page tables: 2-level, PSE with PSE-36, PAE with NX. SDM vol. 3 chapter 4. One walk function; it sets
// accessed and dirty bits when and only when the access is allowed.
//
// Left out on purpose: PAT, PCD and PWT (memory types do nothing here), SMEP and SMAP (no modelled processor has them).
// Where the SDM leaves the processor free, the strictest reading is taken: A is set in no entry, at no level, when the
// access faults.
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
  u8 phys_bits = 36;  // 36: PSE-36 and PAE addresses; 32 for models without PSE-36
  bool operator==(const PagingState&) const = default;
};

enum class Access : u8 { kRead, kWrite, kExecute };

namespace pf {  // bits of a #PF error code
inline constexpr u32 kPresent = 1, kWrite = 2, kUser = 4, kReserved = 8, kFetch = 16;
}
namespace pte {  // bits of an entry, at every level
inline constexpr u64 kPresent = 1, kWritable = 2, kUser = 4, kAccessed = 0x20, kDirty = 0x40, kLarge = 0x80,
                     kGlobal = 0x100, kNoExecute = u64{1} << 63;
}

struct Walk {
  bool ok = false;
  u32 error_code = 0;  // of the #PF, when !ok
  Phys address;        // of the byte asked for, A20 not applied
  bool user = false;   // the rights that the tables give, for filling a shadow entry
  bool writable = false;
  bool executable = true;
  bool dirty = false;  // D is set: stores need no further walk
  bool global = false;
  u8 page_bits = 12;  // 12, 21, 22; 32 with paging off
  u8 levels = 0;      // entries used: 0 with paging off, 1 for a large page, 2 otherwise
  Phys at[2];         // where they lie, directory first, A20 applied
  u64 entry[2] = {};  // their values after A and D were set
};

Walk walk(PhysicalMemory& memory, const PagingState& state, Linear address, Access access, bool user);
// For debuggers and `info tlb`: never changes A or D, never faults on rights.
Walk probe(PhysicalMemory& memory, const PagingState& state, Linear address);

// What a walk through this directory entry to this page-table entry would allow, without looking at memory. Not ok if
// it would fault for everyone or would have to set an accessed bit. `address` is of the page.
Walk leaf(const PagingState& state, u64 pde, u64 pte);

// What MOV CR3 does with CR4.PAE: reads the four pointers into the state. False if a present one has reserved bits
// set: the instruction then is #GP(0) and the state is as before.
bool load_pdptes(PhysicalMemory& memory, PagingState& state);

inline bool paging_on(const PagingState& s) { return (s.cr0 & 0x80000000u) != 0; }
inline bool paging_pae(const PagingState& s) { return (s.cr4 & 0x20) != 0; }
inline bool write_protect(const PagingState& s) { return (s.cr0 & 0x10000) != 0; }

}  // namespace umbra
