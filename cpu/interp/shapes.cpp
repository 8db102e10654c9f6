#include "cpu/interp/shapes.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "cpu/interp/bind.h"
#include "cpu/model.h"
#include "cpu/raw.h"

namespace umbra {
namespace {

constexpr u32 kSets = 4096;         // of two ways: 0.8 MB, where a compiler has some 8000 shapes, a quarter of them hot
constexpr unsigned kMaxShape = 7;   // longer ones, full of prefixes, are decoded each time
constexpr unsigned kReadable = 24;  // bytes that are looked at, at most: a word behind a shape, and a whole raw[]

u64 load64(const u8* p) {
  u64 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// Little-endian bytes as a number: zero-extended, or sign-extended where `sign` is their top bit.
struct Field {
  u32 mask = 0;
  u32 sign = 0;
  u32 of(u64 data) const { return ((static_cast<u32>(data) & mask) ^ sign) - sign; }
};

u32 low_bytes(unsigned n) { return static_cast<u32>((u64{1} << (8 * n)) - 1); }

// The field of `n` bytes that makes `value` of `data`, whose bytes have their top bits set.
std::optional<Field> field(unsigned n, u64 data, u32 value) {
  const Field unsigned_one{low_bytes(n), 0}, signed_one{low_bytes(n), n == 0 ? 0 : 1u << (8 * n - 1)};
  if (unsigned_one.of(data) == value) return unsigned_one;
  if (signed_one.of(data) == value) return signed_one;
  return std::nullopt;
}

struct Slot {
  u64 key = 0;
  u8 imm_at = 0;   // in bits behind the shape
  u8 imm2_at = 0;  // in bits behind `imm`
  u16 imm2_mask = 0;
  Field disp, imm;
};

// The bytes before the displacement.
struct Front {
  u8 end = 0;  // 0 if there are too many to be kept
  bool sib = false;
};

constexpr u8 kNoIndex = 0x20;  // in a SIB byte

// What of a SIB byte is shape: the base, and all of it where there is no index, which gives the scale another meaning
// on a 386.
inline u8 shape_of_sib(u8 sib) { return (sib & 0x38) == kNoIndex ? sib : sib & 7; }

// The bytes of the shape, the first one lowest, and the code size, which makes it differ from an empty slot's 0. Where
// a shape ends is seen from its bytes, so that none is another with zeros behind.
inline u64 key_of(const u8* code, Front front, CodeSize size) {
  const unsigned bits = 8u * front.end;
  u64 key = load64(code) & ((u64{1} << bits) - 1);
  if (front.sib) {
    key &= ~u64{0} >> (72 - bits);
    key |= u64{shape_of_sib(code[front.end - 1])} << (bits - 8);
  }
  return key | (u64{1} + static_cast<u64>(size)) << 56;
}

inline u32 set_of(u64 key) { return static_cast<u32>((key * 0x9e3779b97f4a7c15) >> 40) % kSets; }

// Takes what is not shape from the bytes. The remembered instruction has zeros there.
inline void put_data(Insn& insn, const Slot& slot, Front front, const u8* code) {
  if (front.sib) {
    const u8 sib = code[front.end - 1];
    if ((sib & 0x38) != kNoIndex) {
      insn.index = (sib >> 3) & 7;
      insn.scale = static_cast<u8>(1 << (sib >> 6));
    }
  }
  u64 data = load64(code + front.end);
  insn.disp |= static_cast<i32>(slot.disp.of(data));
  data >>= slot.imm_at;
  insn.imm |= slot.imm.of(data);
  insn.imm2 |= static_cast<u16>((data >> slot.imm2_at) & slot.imm2_mask);
}

enum Kind : u8 { kPlain = 0, kModrm = 1, kPrefix = 2, kEscape = 4, kRegisters = 8 };

class Shapes {
 public:
  bool decode_bound(std::span<const u8> bytes, CodeSize size, const CpuModel& model, Insn& insn);
  ShapeCounts counts;

 private:
  // All of a model that decode() looks at.
  struct Model {
    Generation generation;
    bool has_cpuid;
    u32 edx, ecx;
    bool operator==(const Model&) const = default;
  };

  void use(const CpuModel& model);
  [[gnu::noinline]] void start_over(const Model& model);
  Front front_of(const u8* code, CodeSize size) const;
  bool learn(std::span<const u8> bytes, CodeSize size, const CpuModel& model, Insn& insn, Front front);
  static bool describe(Slot& slot, const Insn& other, unsigned end, u64 data);

  std::optional<Model> model_;
  unsigned limit_ = 0;  // of an instruction's length
  u8 one_byte_[256];
  u8 two_byte_[256];
  struct Set {
    Slot slots[2];  // the newer one first
  };
  Set sets_[kSets];
  alignas(64) Insn insns_[kSets][2];
};

inline void Shapes::use(const CpuModel& model) {
  const Model now{model.generation, model.vendor[0] != 0, model.features_edx, model.features_ecx};
  if (model_ != now) start_over(now);
}

void Shapes::start_over(const Model& model) {
  model_ = model;
  limit_ = model.generation == Generation::k286 ? 10 : kMaxInsnLength;
  for (unsigned i = 0; i < 256; ++i) {
    const u8 byte = static_cast<u8>(i);
    one_byte_[i] = is_prefix(byte, model.generation) ? kPrefix : one_byte_has_modrm(byte) ? kModrm : kPlain;
    two_byte_[i] = modrm_names_registers(byte) ? kRegisters : two_byte_has_modrm(byte) ? kModrm : kPlain;
  }
  one_byte_[0x0f] = kEscape;
  std::fill(std::begin(sets_), std::end(sets_), Set{});
}

inline Front Shapes::front_of(const u8* code, CodeSize size) const {
  bool wide = size == CodeSize::k32;
  unsigned i = 0;
  u8 kind = one_byte_[code[0]];
  while (kind == kPrefix) {
    if (code[i] == 0x67) wide = size == CodeSize::k16;
    if (++i == kMaxShape) return {};
    kind = one_byte_[code[i]];
  }
  ++i;
  if (kind == kEscape) {
    const u8 opcode = code[i++];
    kind = two_byte_[opcode];
    if (opcode == 0x38 || opcode == 0x3a) ++i, kind = kModrm;
  }
  Front front;
  if (kind != kPlain) {
    const u8 modrm = code[i++];
    front.sib = kind == kModrm && wide && modrm < 0xc0 && (modrm & 7) == 4;
    i += front.sib ? 1 : 0;
  }
  if (i > kMaxShape) return {};
  front.end = static_cast<u8>(i);
  return front;
}

bool Shapes::decode_bound(std::span<const u8> bytes, CodeSize size, const CpuModel& model, Insn& insn) {
  use(model);
  u8 copy[kReadable];
  const u8* code = bytes.data();
  if (bytes.size() < kReadable) {
    std::memset(copy, 0, sizeof copy);
    if (!bytes.empty()) std::memcpy(copy, code, bytes.size());
    code = copy;
  }
  const Front front = front_of(code, size);
  const u64 key = key_of(code, front, size);
  const u32 set = set_of(key);
  const u32 way = sets_[set].slots[0].key == key ? 0 : 1;
  const Slot& slot = sets_[set].slots[way];
  if (front.end == 0 || slot.key != key || insns_[set][way].length > std::min<std::size_t>(bytes.size(), limit_))
    return learn(bytes, size, model, insn, front);
  ++counts.hits;
  insn = insns_[set][way];
  static_assert(kMaxInsnLength == 15);  // two overlapping words
  if (bytes.size() >= kMaxInsnLength) {
    const u64 first = load64(code), last = load64(code + 7);
    std::memcpy(insn.raw, &first, 8);
    std::memcpy(insn.raw + 7, &last, 8);
  } else {
    std::memcpy(insn.raw, copy, kMaxInsnLength);
  }
  put_data(insn, slot, front, code);
  return true;
}

// `other` is the instruction with `data` behind its shape.
bool Shapes::describe(Slot& slot, const Insn& other, unsigned end, u64 data) {
  if (other.tail_at < end || other.length < other.tail_at) return false;
  const unsigned disp = other.tail_at - end, immediates = other.length - other.tail_at;
  const bool far = other.operands[0].kind == OperandKind::kFar;
  const unsigned second = far ? 2 : immediates == 3 ? 1 : 0;  // ENTER
  if (disp > 4 || immediates < second || immediates - second > 4 || disp + immediates > 8) return false;
  slot.imm_at = static_cast<u8>(8 * disp);
  slot.imm2_at = static_cast<u8>(8 * (immediates - second));
  slot.imm2_mask = static_cast<u16>(low_bytes(second));
  const auto disp_field = field(disp, data, static_cast<u32>(other.disp));
  const auto imm_field = field(immediates - second, data >> slot.imm_at, other.imm);
  if (disp != 0 && !disp_field) return false;
  if (immediates != second && !imm_field) return false;
  slot.disp = disp != 0 ? *disp_field : Field{};
  slot.imm = immediates != second ? *imm_field : Field{};
  return true;
}

bool Shapes::learn(std::span<const u8> bytes, CodeSize size, const CpuModel& model, Insn& insn, Front front) {
  ++counts.misses;
  Decoded d = decode(bytes, size, model);
  if (d.truncated) return false;
  insn = d.insn;
  insn.handler = bind(insn);
  if (insn.op == Op::kInvalid || insn.too_long()) return true;
  ++counts.refused;
  const unsigned end = front.end;
  if (end == 0 || end > insn.length) return true;

  u8 code[kReadable] = {0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8};
  std::memmove(code + end, code, 8);
  std::memcpy(code, bytes.data(), end);
  const u8 index = front.sib ? code[end - 1] & 0x38 : kNoIndex;
  if (index != kNoIndex) code[end - 1] ^= index == 0x38 ? 0xc8 : 0xd8;  // to another index and scale
  Insn other = decode({code, kMaxInsnLength}, size, model).insn;
  if (other.op != insn.op || other.length != insn.length) return true;
  other.handler = bind(other);
  Slot slot{.key = key_of(code, front, size), .disp = {}, .imm = {}};
  if (!describe(slot, other, end, load64(code + end))) return true;

  Insn kept = other;
  if (slot.disp.mask != 0) kept.disp = 0;
  if (slot.imm.mask != 0) kept.imm = 0;
  if (slot.imm2_mask != 0) kept.imm2 = 0;
  const auto gives = [&](const Insn& expected, std::span<const u8> from) {
    u8 copy[kReadable] = {};
    std::copy(from.begin(), from.end(), copy);
    Insn made = kept;
    std::memcpy(made.raw, copy, kMaxInsnLength);
    put_data(made, slot, front, copy);
    return made == expected;
  };
  if (!gives(other, {code, kMaxInsnLength})) return true;
  if (!gives(insn, bytes.first(std::min<std::size_t>(bytes.size(), kMaxInsnLength)))) return true;
  --counts.refused;
  const u32 set = set_of(slot.key);
  Slot* slots = sets_[set].slots;
  slots[1] = slots[0];
  insns_[set][1] = insns_[set][0];
  slots[0] = slot;
  insns_[set][0] = kept;
  return true;
}

Shapes& shapes() {
  static thread_local const std::unique_ptr<Shapes> own = std::make_unique<Shapes>();
  return *own;
}

}  // namespace

bool decode_bound(std::span<const u8> bytes, CodeSize size, const CpuModel& model, Insn& insn) {
  return shapes().decode_bound(bytes, size, model, insn);
}

const ShapeCounts& shape_counts() { return shapes().counts; }

}  // namespace umbra
