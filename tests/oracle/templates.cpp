// Every opcode of every map under every prefix and ModRM byte, decoded by our own decoder, sorted into groups.
#include <algorithm>
#include <map>

#include "cpu/base/log.h"
#include "cpu/model.h"
#include "tests/oracle/rules.h"
#include "tests/oracle/streams.h"

namespace umbra::oracle {
namespace {

constexpr std::size_t kTemplatesPerGroup = 24;

const char* kind_name(OperandKind kind) {
  switch (kind) {
    case OperandKind::kReg:
      return "r";
    case OperandKind::kSeg:
      return "seg";
    case OperandKind::kMem:
      return "m";
    case OperandKind::kImm:
      return "imm";
    case OperandKind::kRel:
      return "rel";
    case OperandKind::kSt:
      return "st";
    case OperandKind::kMmx:
      return "mm";
    case OperandKind::kXmm:
      return "xmm";
    default:
      return "?";
  }
}

std::string group_name(const Insn& insn) {
  std::string name = std::string(info(insn.op).name) + "/" + std::to_string(insn.operand_size * 8);
  if (insn.has(prefix::kLock)) name += " lock";
  if ((info(insn.op).traits & trait::string) != 0) {
    name += insn.has(prefix::kRep) ? " rep" : insn.has(prefix::kRepne) ? " repne" : "";
    name += insn.address_size == 2 ? " a16" : "";
  }
  bool first = true;
  for (const Operand& o : insn.operands) {
    if (o.kind == OperandKind::kNone) continue;
    name += first ? " " : ",";
    first = false;
    name += kind_name(o.kind);
    if (o.kind != OperandKind::kSt) name += std::to_string(o.size * 8);
    if (o.kind != OperandKind::kMem) continue;
    name += insn.address_size == 2 ? "[a16" : "[";
    if (insn.base != kNoReg) name += " base";
    if (insn.index != kNoReg) name += " index";
    if (insn.disp != 0 || insn.base == kNoReg) name += " disp";
    name += "]";
  }
  return name;
}

// Opcode, ModRM and a tail that any addressing form can take: SIB, displacement, immediates.
class Writer {
 public:
  Writer(std::mt19937_64& random, bool wide) : random_(random), wide_(wide) {}

  std::vector<u8> write(std::initializer_list<u8> prefixes, std::initializer_list<u8> opcode, u8 modrm) {
    std::vector<u8> bytes(prefixes);
    bool a32 = wide_;
    for (u8 p : prefixes) a32 ^= p == 0x67;
    bytes.insert(bytes.end(), opcode);
    const u8 last = bytes.back();
    if (opcode.size() == 1 && (last & 0xfc) == 0xa0) {  // MOV with a direct offset
      address(bytes, a32);
    } else {
      bytes.push_back(modrm);
      if ((modrm & 0xc0) != 0xc0) memory(bytes, modrm, a32);
    }
    while (bytes.size() < kMaxInsnLength) bytes.push_back(immediate());
    bytes.resize(kMaxInsnLength);
    return bytes;
  }

 private:
  void memory(std::vector<u8>& bytes, u8 modrm, bool a32) {
    const unsigned mod = modrm >> 6, rm = modrm & 7;
    bool absolute = mod == 0 && rm == (a32 ? 5 : 6);
    bool by_esp = false;
    if (a32 && rm == 4) {
      bytes.push_back(static_cast<u8>(random_()));
      absolute = mod == 0 && (bytes.back() & 7) == 5;
      by_esp = (bytes.back() & 7) == 4;
    }
    if (absolute) {
      address(bytes, a32);
    } else if (mod == 1) {
      bytes.push_back(static_cast<u8>(random_()));
    } else if (mod == 2) {
      number(bytes, static_cast<u32>(by_esp ? random_() & 0x3ff : random_()), a32);  // ESP stays near its page
    }
  }
  void address(std::vector<u8>& bytes, bool a32) {
    const u32 at = offset_in(wide_, kDataAt + 64 + static_cast<u32>(random_() % (kDataSize - 1024)));
    number(bytes, random_() % 2 != 0 ? at & ~15u : at, a32);
  }
  static void number(std::vector<u8>& bytes, u32 value, bool a32) {
    for (unsigned i = 0; i < (a32 ? 4 : 2); ++i) bytes.push_back(static_cast<u8>(value >> (8 * i)));
  }
  u8 immediate() {
    constexpr u8 kEdges[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0x1f, 0x20, 0x10};
    return random_() % 3 == 0 ? kEdges[random_() % 8] : static_cast<u8>(random_());
  }

  std::mt19937_64& random_;
  bool wide_;
};

bool is_prefix(u8 byte) {
  constexpr u8 kPrefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x66, 0x67, 0xf0, 0xf2, 0xf3};
  return std::find(std::begin(kPrefixes), std::end(kPrefixes), byte) != std::end(kPrefixes);
}

u8 first_opcode(const Insn& insn) {
  unsigned i = 0;
  while (is_prefix(insn.raw[i])) ++i;
  return insn.raw[i];
}

// A relative branch stays in the code page, which is full of INT3, and does not meet itself.
void tame_branch(Insn& insn) {
  if (insn.operands[0].kind != OperandKind::kRel) return;
  const u8 opcode = first_opcode(insn);
  const u32 size = opcode == 0x0f || opcode == 0xe8 || opcode == 0xe9 ? insn.operand_size : 1;
  u32 distance = (insn.imm & 0x3f) + 0x10;
  if ((insn.imm & 0x80) != 0) distance = 0u - distance;
  for (u32 i = 0; i < size; ++i) insn.raw[insn.length - size + i] = static_cast<u8>(distance >> (8 * i));
}

}  // namespace

std::vector<Group> find_groups(const CpuModel& model, u64 seed, const std::string& only, const Report& left_out) {
  std::mt19937_64 random(seed);
  std::map<std::string, Group> groups;
  const auto add = [&](const std::vector<u8>& bytes, bool wide) {
    const CodeSize size = wide ? CodeSize::k32 : CodeSize::k16;
    Decoded d = decode(bytes, size, model);
    if (d.truncated || d.insn.op == Op::kInvalid) return;
    if (!only.empty() && only != info(d.insn.op).name) return;
    if (const char* reason = excluded(d.insn, wide)) return left_out(d.insn.op, reason);
    if ((info(d.insn.op).traits & trait::branch) != 0) {
      tame_branch(d.insn);
      const std::vector<u8> again(d.insn.raw, d.insn.raw + kMaxInsnLength);
      const u8 length = d.insn.length;
      d = decode(again, size, model);
      if (d.insn.length != length) return;
    }
    std::fill(d.insn.raw + d.insn.length, d.insn.raw + kMaxInsnLength, u8{0xcc});
    Group& g = groups[group_name(d.insn)];
    g.op = d.insn.op;
    ++g.seen;
    if (g.templates.size() < kTemplatesPerGroup) {
      g.templates.push_back({d.insn, wide});
    } else if (const u64 at = random() % g.seen; at < kTemplatesPerGroup) {
      g.templates[at] = {d.insn, wide};
    }
  };
  constexpr u8 kEs = 0x26, kCs = 0x2e, kSs = 0x36;
  for (bool wide : {true, false}) {
    Writer w(random, wide);
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
      const u8 op = static_cast<u8>(opcode);
      const bool prefix_byte = is_prefix(op) || op == 0x64 || op == 0x65;
      for (unsigned m = 0; m < 256; ++m) {
        const u8 modrm = static_cast<u8>(m);
        if (op != 0x0f && !prefix_byte) {
          for (auto prefixes : std::initializer_list<std::initializer_list<u8>>{{},
                                                                                {0x66},
                                                                                {0x67},
                                                                                {0x66, 0x67},
                                                                                {0xf2},
                                                                                {0xf3},
                                                                                {0x66, 0xf3},
                                                                                {0x66, 0xf2},
                                                                                {0xf0},
                                                                                {0x66, 0xf0},
                                                                                {kEs},
                                                                                {kSs}}) {
            // A 16-bit address in a flat segment is below the lowest mapping: no use, but for LOOP and JCXZ.
            const bool a16 = std::find(prefixes.begin(), prefixes.end(), 0x67) != prefixes.end();
            if (wide && a16 && (op < 0xe0 || op > 0xe3)) continue;
            add(w.write(prefixes, {op}, modrm), wide);
          }
        }
        for (auto prefixes : std::initializer_list<std::initializer_list<u8>>{
                 {}, {0x66}, {0xf2}, {0xf3}, {0xf0}, {0x66, 0xf0}, {0x67}, {0x67, 0x66}, {kCs}}) {
          if (wide && prefixes.size() != 0 && *prefixes.begin() == 0x67) continue;
          add(w.write(prefixes, {0x0f, op}, modrm), wide);
        }
        for (u8 map : {u8{0x38}, u8{0x3a}}) {
          add(w.write({}, {0x0f, map, op}, modrm), wide);
          add(w.write({0x66}, {0x0f, map, op}, modrm), wide);
        }
      }
    }
  }
  std::vector<Group> list;
  for (auto& [name, group] : groups) {
    group.name = name;
    list.push_back(std::move(group));
  }
  return list;
}

}  // namespace umbra::oracle
