#include "cpu/interp/shapes.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>

#include "cpu/interp/bind.h"
#include "cpu/model.h"
#include "cpu/raw.h"

namespace umbra {
namespace {

constexpr u32 kSets = 2048;         // of two ways: 256 KiB
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
  constexpr u32 of(u64 data) const { return ((static_cast<u32>(data) & mask) ^ sign) - sign; }
};
constexpr Field kFields[] = {{}, {0xff, 0}, {0xffff, 0}, {0xffffffff, 0}, {0xff, 0x80}, {0xffff, 0x8000}};
constexpr unsigned kFieldBytes[] = {0, 1, 2, 4, 1, 2};

// The one of `n` bytes that makes `value` of `data`, whose bytes have their top bits set.
std::optional<u8> field(unsigned n, u64 data, u32 value) {
  if (n == 0) return 0;
  for (u8 i = 1; i < std::size(kFields); ++i)
    if (kFieldBytes[i] == n && kFields[i].of(data) == value) return i;
  return std::nullopt;
}

// Where the data of a shape goes. Registers are put at offsets into the Insn; those that go nowhere at that of raw[],
// which is filled in last.
constexpr u8 kNowhere = offsetof(Insn, raw);
struct Slots {
  u8 disp_imm = 0;  // indices of kFields, four bits each
  u8 imm_at = 0;    // in bits behind the shape
  u8 imm2 = 0;      // index of kFields
  u8 imm2_at = 0;   // in bits behind `imm`
  u8 reg_at = kNowhere;
  u8 rm_at = kNowhere;
  u8 segment_at = kNowhere;  // of a base that decides which one is used
};

// A shape takes one cache line: in the place of its bytes, the instruction has its key and Slots.
static_assert(sizeof(u64) + sizeof(Slots) <= kMaxInsnLength);
u64 key_of(const Insn& shape) { return load64(shape.raw); }
Slots slots_of(const Insn& shape) {
  Slots slots;
  std::memcpy(&slots, shape.raw + sizeof(u64), sizeof slots);
  return slots;
}

// The bytes before the displacement.
struct Front {
  u8 end = 0;          // 0 if there are too many to be kept
  u8 modrm_at = 0;     // or where some other byte is, all of which is shape
  u8 fixed = 0xff;     // bits of it that belong to the shape
  bool index = false;  // a SIB byte comes last that has one; all of one without is shape: on a 386 its scale has
                       // another meaning then
};

// The bytes of the shape, the first one lowest, and the code size, which makes it differ from an empty slot's 0. Where
// a shape ends is seen from its bytes, so that none is another with zeros behind.
inline u64 key_of(const u8* code, Front front, CodeSize size) {
  u64 key = load64(code) & ((u64{1} << 8 * front.end) - 1);
  key &= ~(u64{0xffu & ~front.fixed} << 8 * front.modrm_at);
  if (front.index) {
    const bool no_base = code[front.modrm_at] < 0x40 && (code[front.end - 1] & 7) == 5;
    key &= ~(u64{0xff} << 8 * (front.end - 1));
    key |= u64{no_base ? 5u : 0u} << 8 * (front.end - 1);
  }
  return key | (u64{1} + static_cast<u64>(size)) << 56;
}

inline u32 set_of(u64 key) { return static_cast<u32>((key * 0x9e3779b97f4a7c15) >> 40) % kSets; }

// Takes what is not shape from the bytes: all but raw[]. The remembered instruction has zeros there.
inline void put_data(Insn& insn, const Slots& slots, Front front, const u8* code) {
  u8* out = reinterpret_cast<u8*>(&insn);
  const u8 last = code[front.end - 1], rm = last & 7;  // ModRM or SIB
  out[slots.reg_at] = (code[front.modrm_at] >> 3) & 7;
  out[slots.rm_at] = rm;
  out[slots.segment_at] = rm == kEsp || rm == kEbp ? kSs : kDs;
  if (front.index) {
    insn.index = (last >> 3) & 7;
    insn.scale = static_cast<u8>(1 << (last >> 6));
  }
  u64 data = load64(code + front.end);
  insn.disp |= static_cast<i32>(kFields[slots.disp_imm & 15].of(data));
  data >>= slots.imm_at;
  insn.imm |= kFields[slots.disp_imm >> 4].of(data);
  insn.imm2 |= static_cast<u16>(kFields[slots.imm2].of(data >> slots.imm2_at));
}

// What an opcode byte is: the bits of ModRM that are shape, because they tell what the instruction does, or one of
// these.
enum Kind : u8 { kPlain = 0x80, kPrefix, kEscape, kRegisters };
constexpr u8 kReg = 0x38, kAll = 0x3f;
constexpr u8 kNamesRegister = 0x40;
constexpr u8 kRegIfMemory = kReg | kNamesRegister;  // and all of it if it names a register

// What a ModRM byte is: the bits of rm that are shape because they are no register, kNamesRegister, and kSib.
constexpr u8 kSib = 0x80, kNoIndex = 0x20;
u8 form_of(u8 modrm, bool wide) {
  if (modrm >= 0xc0) return kNamesRegister;
  if (!wide) return 7;
  if ((modrm & 7) == 4) return 7 | kSib;
  return (modrm & 0xc7) == 5 ? 7 : 0;
}

u8 one_byte_kind(u8 opcode, Generation generation) {
  if (opcode == 0x0f) return kEscape;
  if (is_prefix(opcode, generation)) return kPrefix;
  if (!one_byte_has_modrm(opcode)) return kPlain;
  switch (opcode) {
    case 0x8c:
    case 0x8e:  // segment registers: some end blocks, some are not there
    case 0x8f:
    case 0xc0:
    case 0xc1:
    case 0xc6:
    case 0xc7:
    case 0xf6:
    case 0xf7:
    case 0xfe:
      return kReg;
    case 0xff:  // PUSH ESP is its own
      return kRegIfMemory;
  }
  if ((opcode & 0xfc) == 0x80 || (opcode & 0xfc) == 0xd0) return kReg;
  return (opcode & 0xf8) == 0xd8 ? kRegIfMemory : 0;  // x87
}

u8 two_byte_kind(u8 opcode) {
  if (modrm_names_registers(opcode)) return kRegisters;
  if (!two_byte_has_modrm(opcode)) return kPlain;
  switch (opcode) {
    case 0x00:
    case 0x01:
    case 0x0d:
    case 0x71:
    case 0x72:
    case 0x73:
    case 0xae:
    case 0xba:
    case 0xc7:
      return kAll;
  }
  return (opcode & 0xf8) == 0x18 ? kAll : 0;
}

}  // namespace

class Shapes {
 public:
  void use(const CpuModel& model);
  bool decode_bound(std::span<const u8> bytes, CodeSize size, Insn& insn);
  ShapeCounts counts;

 private:
  // All of a model that decode() looks at.
  struct Model {
    Generation generation;
    bool has_cpuid;
    u32 edx, ecx;
    bool operator==(const Model&) const = default;
  };

  void start_over(const Model& model);
  Front front_of(const u8* code, CodeSize size) const;
  [[gnu::noinline]] bool learn(std::span<const u8> bytes, CodeSize size, Insn& insn, Front front);
  static void find_registers(Slots& slots, const Insn& insn, const Insn& other, u8 modrm, u8 other_modrm);
  static bool find_numbers(Slots& slots, const Insn& other, unsigned end, u64 data);

  const CpuModel* asked_ = nullptr;  // for the moment
  std::optional<Model> model_;
  unsigned limit_ = 0;  // of an instruction's length
  u8 one_byte_[256];    // Kind
  u8 two_byte_[256];
  u8 forms_[2][256];  // by the size of addresses
  struct alignas(128) Set {
    Insn shapes[2];  // the newer one first
  };
  Set sets_[kSets];
};

void Shapes::use(const CpuModel& model) {
  asked_ = &model;
  const Model now{model.generation, model.vendor[0] != 0, model.features_edx, model.features_ecx};
  if (model_ != now) start_over(now);
}

void Shapes::start_over(const Model& model) {
  model_ = model;
  limit_ = model.generation == Generation::k286 ? 10 : kMaxInsnLength;
  for (unsigned i = 0; i < 256; ++i) {
    one_byte_[i] = one_byte_kind(static_cast<u8>(i), model.generation);
    two_byte_[i] = two_byte_kind(static_cast<u8>(i));
    for (const bool wide : {false, true}) forms_[wide][i] = form_of(static_cast<u8>(i), wide);
  }
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
  Front front;
  if (kind == kEscape) {
    const u8 opcode = code[i++];
    kind = two_byte_[opcode];
    if (opcode == 0x38 || opcode == 0x3a) ++i, kind = 0;
    if (kind == kRegisters) {
      front.end = static_cast<u8>(i < kMaxShape ? i + 1 : 0);
      return front;
    }
  }
  // Without a branch, as there is nothing to predict one by.
  const u8 form = kind == kPlain ? 0 : forms_[wide ? 1 : 0][code[i]];
  i += kind != kPlain;
  front.modrm_at = static_cast<u8>(i - 1);
  const bool sib = (form & kSib) != 0;
  i += sib;
  front.index = sib && (code[i - 1] & 0x38) != kNoIndex;
  const bool whole = kind == kPlain || (kind & form & kNamesRegister) != 0;
  front.fixed = static_cast<u8>(0xc0 | kind | (form & 7) | (whole ? 0xff : 0));
  if (i > kMaxShape) return {};
  front.end = static_cast<u8>(i);
  return front;
}

inline bool Shapes::decode_bound(std::span<const u8> bytes, CodeSize size, Insn& insn) {
  u8 copy[kReadable];
  const u8* code = bytes.data();
  if (bytes.size() < kReadable) {
    std::memset(copy, 0, sizeof copy);
    if (!bytes.empty()) std::memcpy(copy, code, bytes.size());
    code = copy;
  }
  const Front front = front_of(code, size);
  const u64 key = key_of(code, front, size);
  const Insn* shape = sets_[set_of(key)].shapes;
  if (key_of(*shape) != key) ++shape;
  if (front.end == 0 || key_of(*shape) != key || shape->length > std::min<std::size_t>(bytes.size(), limit_))
    return learn(bytes, size, insn, front);
  ++counts.hits;
  const Slots slots = slots_of(*shape);
  std::memcpy(&insn, shape, sizeof insn);  // an assignment leaves the padding out, which takes longer
  put_data(insn, slots, front, code);
  static_assert(kMaxInsnLength == 15);  // two overlapping words
  if (bytes.size() >= kMaxInsnLength) {
    const u64 first = load64(code), last = load64(code + 7);
    std::memcpy(insn.raw, &first, 8);
    std::memcpy(insn.raw + 7, &last, 8);
  } else {
    std::memcpy(insn.raw, copy, kMaxInsnLength);
  }
  return true;
}

// Another instruction of the same shape: no two registers change alike, and a base becomes one that goes with another
// segment if there is such a one.
static void vary(u8* code, Front front) {
  u8& modrm = code[front.modrm_at];
  if (front.index) {
    u8& sib = code[front.end - 1];
    sib ^= (sib & 0x38) == 0x38 ? 0xc8 : 0xd8;
    if (modrm >= 0x40 || (sib & 7) != 5) sib = static_cast<u8>((sib & 0xf8) | ((sib & 6) == 4 ? 1 : 4));
  }
  if ((front.fixed & kReg) == 0) modrm ^= 1 << 3;
  if ((front.fixed & 7) != 0) return;
  if (modrm >= 0xc0) {
    modrm ^= 2;
  } else if (modrm >= 0x40) {
    modrm = static_cast<u8>((modrm & 0xf8) | ((modrm & 7) == 5 ? 3 : 5));
  } else {
    modrm ^= 1;
  }
}

// Both are instructions of the shape, with these registers in ModRM.
void Shapes::find_registers(Slots& slots, const Insn& insn, const Insn& other, u8 modrm, u8 other_modrm) {
  for (unsigned i = 0; i < std::size(insn.operands); ++i) {
    const u8 from = insn.operands[i].reg, to = other.operands[i].reg;
    if (from == to) continue;
    const bool is_reg = from == (modrm >> 3 & 7) && to == (other_modrm >> 3 & 7);
    (is_reg ? slots.reg_at : slots.rm_at) =
        static_cast<u8>(offsetof(Insn, operands) + i * sizeof(Operand) + offsetof(Operand, reg));
  }
  if (insn.base != other.base) slots.rm_at = offsetof(Insn, base);
  if (insn.segment != other.segment) slots.segment_at = offsetof(Insn, segment);
}

// `other` is the instruction with `data` behind its shape.
bool Shapes::find_numbers(Slots& slots, const Insn& other, unsigned end, u64 data) {
  if (other.tail_at < end || other.length < other.tail_at) return false;
  const unsigned disp = other.tail_at - end, immediates = other.length - other.tail_at;
  const bool far = other.operands[0].kind == OperandKind::kFar;
  const unsigned second = far ? 2 : immediates == 3 ? 1 : 0;  // ENTER
  if (disp > 4 || immediates < second || immediates - second > 4 || disp + immediates > 8) return false;
  slots.imm_at = static_cast<u8>(8 * disp);
  slots.imm2_at = static_cast<u8>(8 * (immediates - second));
  slots.imm2 = static_cast<u8>(second);
  const auto disp_field = field(disp, data, static_cast<u32>(other.disp));
  const auto imm_field = field(immediates - second, data >> slots.imm_at, other.imm);
  if (!disp_field || !imm_field) return false;
  slots.disp_imm = static_cast<u8>(*disp_field | *imm_field << 4);
  return true;
}

bool Shapes::learn(std::span<const u8> bytes, CodeSize size, Insn& insn, Front front) {
  const CpuModel& model = *asked_;
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
  vary(code, front);
  Insn other = decode({code, kMaxInsnLength}, size, model).insn;
  if (other.op != insn.op || other.length != insn.length) return true;
  other.handler = bind(other);
  Slots slots;
  if (!find_numbers(slots, other, end, load64(code + end))) return true;
  find_registers(slots, insn, other, bytes[front.modrm_at], code[front.modrm_at]);

  Insn kept = other;
  if ((slots.disp_imm & 15) != 0) kept.disp = 0;
  if (slots.disp_imm >> 4 != 0) kept.imm = 0;
  if (slots.imm2 != 0) kept.imm2 = 0;
  const auto gives = [&](const Insn& expected, std::span<const u8> from) {
    u8 copy[kReadable] = {};
    std::copy(from.begin(), from.end(), copy);
    Insn made = kept;
    put_data(made, slots, front, copy);
    std::memcpy(made.raw, copy, kMaxInsnLength);
    return made == expected;
  };
  if (!gives(other, {code, kMaxInsnLength})) return true;
  if (!gives(insn, bytes.first(std::min<std::size_t>(bytes.size(), kMaxInsnLength)))) return true;
  --counts.refused;
  const u64 key = key_of(code, front, size);
  std::memcpy(kept.raw, &key, sizeof key);
  std::memcpy(kept.raw + sizeof key, &slots, sizeof slots);
  Set& set = sets_[set_of(key)];
  set.shapes[1] = set.shapes[0];
  set.shapes[0] = kept;
  return true;
}

static Shapes& shapes() {
  static thread_local const std::unique_ptr<Shapes> own = std::make_unique<Shapes>();
  return *own;
}

Shapes& shapes_of(const CpuModel& model) {
  Shapes& own = shapes();
  own.use(model);
  return own;
}

bool decode_bound(std::span<const u8> bytes, CodeSize size, Shapes& shapes, Insn& insn) {
  return shapes.decode_bound(bytes, size, insn);
}

const ShapeCounts& shape_counts() { return shapes().counts; }

}  // namespace umbra
