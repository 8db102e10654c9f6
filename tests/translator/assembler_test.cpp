// Every instruction that the assembler of the hot path can write, held against asmjit's assembler given the same
// operands: both must read alike to Capstone, which knows neither. Encodings may differ.
#include "translator/x64/assembler.h"

#include <capstone/capstone.h>

#include <catch2/catch.hpp>

#include <random>

using namespace umbra;
using namespace umbra::x64;
namespace x86 = asmjit::x86;

namespace {

constexpr u64 kAddress = 0x10000000;

// One instruction a line; an undecodable byte ends it with a "?".
std::string text(const u8* code, std::size_t size) {
  static const csh handle = [] {
    csh h = 0;
    cs_open(CS_ARCH_X86, CS_MODE_64, &h);
    return h;
  }();
  cs_insn* insns = nullptr;
  const std::size_t count = cs_disasm(handle, code, size, kAddress, 0, &insns);
  std::string out;
  std::size_t read = 0;
  for (std::size_t i = 0; i < count; ++i) {
    out += std::string(insns[i].mnemonic) + " " + insns[i].op_str + "\n";
    read += insns[i].size;
  }
  if (count != 0) cs_free(insns, count);
  return read == size ? out : out + "?";
}

template <class F>
std::string ours(F emit) {
  static x64::Assembler a;
  u8 bytes[256];
  a.start(bytes, kAddress);
  emit(a);
  return text(bytes, a.offset());
}

template <class F>
std::string theirs(F emit) {
  asmjit::CodeHolder code;
  code.init(asmjit::Environment::host(), kAddress);
  x86::Assembler a(&code);
  a.addDiagnosticOptions(asmjit::DiagnosticOptions::kValidateAssembler);
  emit(a);
  return text(code.textSection()->data(), a.offset());
}

struct Operands {
  std::mt19937 random{1};
  x86::Gp wide, wide2, any, any2, byte;  // wide: 4 or 8 bytes; any: 1 to 8; any2 has the size of any
  x86::Gp dword, dword2, qword, qword2, word;
  x86::Mem memory;  // of the size of any
  i32 value = 0;    // that fits any
  u32 count = 0;    // of bits

  u32 pick(u32 n) { return random() % n; }
  x86::Gp reg(u32 size, u32 id) {
    return size == 1   ? x86::Gp(x86::gpb_lo(id))
           : size == 2 ? x86::Gp(x86::gpw(id))
           : size == 4 ? x86::Gp(x86::gpd(id))
                       : x86::Gp(x86::gpq(id));
  }
  x86::Gp reg(u32 size) { return reg(size, pick(16)); }
  x86::Mem address(u32 size) {
    const u32 kind = pick(4), shift = pick(4);
    const i32 displacement = pick(3) == 0   ? 0
                             : pick(2) == 0 ? static_cast<i32>(pick(256)) - 128
                                            : static_cast<i32>(random());
    const bool small = pick(3) == 0;                                                           // 32-bit registers
    const x86::Gp base = reg(small ? 4 : 8), index = reg(small ? 4 : 8, (pick(15) + 5) % 16);  // all but RSP
    x86::Mem m = kind == 0   ? x86::ptr(base, displacement)
                 : kind == 1 ? x86::ptr(base, index, shift, displacement)
                 : kind == 2 ? x86::ptr(static_cast<u64>(static_cast<i64>(displacement)), index, shift)
                             : x86::ptr_abs(static_cast<u64>(static_cast<i64>(displacement)));
    m.setSize(size);
    if (pick(3) == 0) m.setSegment(x86::gs);
    return m;
  }
  void draw() {
    const u32 size = 1u << pick(4);
    any = reg(size), any2 = reg(size), memory = address(size);
    wide = reg(4u << pick(2)), wide2 = reg(wide.size());
    byte = reg(1), word = reg(2), dword = reg(4), dword2 = reg(4), qword = reg(8), qword2 = reg(8);
    const i32 far = static_cast<i32>(random());
    value = size == 1 || pick(2) == 0 ? static_cast<i8>(far) : size == 2 ? static_cast<i16>(far) : far;
    count = 1 + pick(any.size() * 8 - 1);
  }
};

template <class F>
void same(const char* name, F emit) {
  Operands o;
  for (u32 n = 0; n < 300; ++n) {
    o.draw();
    const std::string mine = ours([&](auto&a) { emit(a, o); }), other = theirs([&](auto&a) { emit(a, o); });
    INFO(name << ", draw " << n);
    REQUIRE(!mine.empty());
    REQUIRE(mine == other);
  }
}

template <class F>
std::string one(F emit) {
  return ours([&](auto& a) { emit(a); });
}

}  // namespace

#define SAME(...) same(#__VA_ARGS__, [](auto& a, Operands& o) { a.__VA_ARGS__; })
#define SAME_ALU(name)         \
  SAME(name(o.any, o.any2));   \
  SAME(name(o.any, o.memory)); \
  SAME(name(o.memory, o.any)); \
  SAME(name(o.any, o.value));  \
  SAME(name(o.memory, o.value))

TEST_CASE("Moves are encoded as asmjit encodes them") {
  SAME(mov(o.any, o.any2));
  SAME(mov(o.any, o.memory));
  SAME(mov(o.memory, o.any));
  SAME(mov(o.memory, o.value));
  SAME(mov(o.dword, static_cast<u32>(o.value)));
  SAME(mov(o.word, o.value & 0xffff));
  SAME(movzx(o.dword, o.byte));
  SAME(movzx(o.dword, o.word));
  same("movzx from memory", [](auto& a, Operands& o) {
    x86::Mem m = o.memory;
    m.setSize(1 + o.count % 2);
    a.movzx(o.dword, m);
  });
  SAME(lea(o.wide, o.memory));
  SAME(lea(o.dword, o.memory));
}

TEST_CASE("Moves that asmjit calls otherwise read as they should") {
  CHECK(one([](auto& a) { a.movsx(x86::r11, x86::bx); }) == "movsx r11, bx\n");
  CHECK(one([](auto& a) { a.movsx(x86::r11, x86::r9w); }) == "movsx r11, r9w\n");
  CHECK(one([](auto& a) { a.movsx(x86::rcx, x86::r12d); }) == "movsxd rcx, r12d\n");
  CHECK(one([](auto& a) { a.mov(x86::r10, u64{0x123456789abcdef0}); }) == "movabs r10, 0x123456789abcdef0\n");
  CHECK(one([](auto& a) { a.mov(x86::r10, u64{0xffffffff}); }) == "mov r10d, 0xffffffff\n");
  CHECK(one([](auto& a) { a.xchg(x86::r10, x86::rax); }) == "xchg r10, rax\n");
  CHECK(one([](auto& a) { a.xchg(x86::ebx, x86::ecx); }) == "xchg ebx, ecx\n");
}

TEST_CASE("Arithmetic is encoded as asmjit encodes it") {
  SAME_ALU(add);
  SAME_ALU(or_);
  SAME_ALU(and_);
  SAME_ALU(sub);
  SAME_ALU(xor_);
  SAME_ALU(cmp);
  SAME(test(o.any, o.any2));
  SAME(test(o.any, o.value));
  SAME(test(o.memory, o.value));
  SAME(shr(o.any, o.count));
  SAME(not_(o.any));
  SAME(rorx(o.wide, o.wide2, o.count & 31));
  SAME(pext(o.wide, o.wide2, x86::Gp(o.wide.size() == 4 ? o.dword : o.qword)));
  same("mulx", [](auto& a, Operands& o) { a.mulx(o.qword, o.qword2, x86::qword_ptr(o.wide.r64(), o.value)); });
  SAME(seto(o.byte));
  for (u32 cc = 0; cc < 16; ++cc) {
    static u32 code;
    code = cc;
    same("setcc", [](auto& a, Operands& o) {
      if constexpr (requires { a.setcc(x86::CondCode::kO, o.byte); }) {
        a.setcc(static_cast<x86::CondCode>(code), o.byte);
      } else {
        a.emit(x86::Inst::setccFromCond(static_cast<x86::CondCode>(code)), o.byte);
      }
    });
  }
}

TEST_CASE("Bit tests are encoded as asmjit encodes them") {
  const auto emit = [](auto& a, u32 opcode, const auto& word, const x86::Gp& bit) {
    if constexpr (requires { a.bit_test(u8{}, word, bit); }) {
      a.bit_test(static_cast<u8>(opcode), word, bit);
    } else {
      opcode == 0xa3   ? a.bt(word, bit)
      : opcode == 0xab ? a.bts(word, bit)
      : opcode == 0xb3 ? a.btr(word, bit)
                       : a.btc(word, bit);
    }
  };
  for (u32 opcode : {0xa3, 0xab, 0xb3, 0xbb}) {
    same("in a register", [&](auto& a, Operands& o) { emit(a, opcode, o.wide, o.wide2); });
    same("in a word", [&](auto& a, Operands& o) { emit(a, opcode, o.word, x86::Gp(o.dword.r16())); });
    same("in memory", [&](auto& a, Operands& o) {
      x86::Mem m = o.memory;
      m.setSize(o.wide.size());
      emit(a, opcode, m, o.wide2);
    });
  }
}

TEST_CASE("Whole state and control words are loaded as asmjit loads them") {
  const auto sized = [](Operands& o, u32 size) {
    x86::Mem m = o.memory;
    m.setSize(size);
    return m;
  };
  same("fxrstor", [&](auto& a, Operands& o) { a.fxrstor(sized(o, 0)); });
  same("ldmxcsr", [&](auto& a, Operands& o) { a.ldmxcsr(sized(o, 4)); });
  same("fldcw", [&](auto& a, Operands& o) { a.fldcw(sized(o, 2)); });
}

TEST_CASE("Instructions without operands read as they should") {
  CHECK(one([](auto& a) { a.lahf(); }) == "lahf \n");
  CHECK(one([](auto& a) { a.sahf(); }) == "sahf \n");
  CHECK(one([](auto& a) { a.int3(); }) == "int3 \n");
  CHECK(one([](auto& a) { a.rdtsc(); }) == "rdtsc \n");
  CHECK(one([](auto& a) {
          a.lock();
          a.add(x86::dword_ptr(x86::r8), 1);
        }) == "lock add dword ptr [r8], 1\n");
}

TEST_CASE("Jumps reach their labels, forwards and backwards, near and far") {
  x64::Assembler a;
  for (u32 between : {0u, 1u, 100u, 124u, 125u, 126u, 127u, 128u, 129u, 130u, 5000u}) {
    INFO(between << " bytes between");
    std::vector<u8> bytes(2 * between + 64);
    a.start(bytes.data(), kAddress);
    const x64::Label back = a.newLabel(), ahead = a.newLabel(), short_one = a.newLabel();
    const auto fill = [&] {
      for (u32 i = 0; i < between; ++i) a.int3();
    };
    a.bind(back);
    fill();
    const u32 first = a.offset();
    a.jmp(back);
    const u32 second = a.offset();
    a.j(x86::CondCode::kS, back);
    CHECK((a.offset() - second == 2) == (second + 2 <= 128));
    const u32 third = a.offset();
    a.jnz(ahead);
    const u32 fourth = a.offset();
    a.jmp(ahead);
    const u32 fifth = a.offset();
    a.jecxz(x86::rcx, short_one);
    a.int3();
    a.bind(short_one);
    const u32 sixth = a.offset();
    fill();
    a.bind(ahead);
    const auto read = [&](u32 at, u32 end) {
      const std::string all = text(bytes.data() + at, end - at);
      return all.substr(0, all.find('\n'));
    };
    // Capstone is told that each begins at kAddress.
    const auto to = [&](u32 from, u32 target) {
      return format("0x%llx", static_cast<unsigned long long>(kAddress + target - from));
    };
    CHECK(read(first, second) == "jmp " + to(first, 0));
    CHECK(read(second, third) == "js " + to(second, 0));
    CHECK(read(third, fourth) == "jne " + to(third, a.offset()));
    CHECK(read(fourth, fifth) == "jmp " + to(fourth, a.offset()));
    CHECK(read(fifth, sixth) == "jecxz " + to(fifth, sixth));
  }
}

TEST_CASE("Every condition becomes its jump") {
  constexpr const char* kNames[] = {"jo", "jno", "jb", "jae", "je", "jne", "jbe", "ja",
                                    "js", "jns", "jp", "jnp", "jl", "jge", "jle", "jg"};
  const x86::CondCode kCodes[] = {x86::CondCode::kO, x86::CondCode::kNO, x86::CondCode::kB,  x86::CondCode::kAE,
                                  x86::CondCode::kE, x86::CondCode::kNE, x86::CondCode::kBE, x86::CondCode::kA,
                                  x86::CondCode::kS, x86::CondCode::kNS, x86::CondCode::kPE, x86::CondCode::kPO,
                                  x86::CondCode::kL, x86::CondCode::kGE, x86::CondCode::kLE, x86::CondCode::kG};
  for (u32 i = 0; i < 16; ++i)
    for (bool far : {false, true}) {
      const std::string line = one([&](auto& a) {
        const x64::Label there = a.newLabel();
        if (!far) a.bind(there);
        a.j(kCodes[i], there);
        if (far) a.bind(there);
      });
      CHECK(line == format("%s 0x%x\n", kNames[i], static_cast<u32>(kAddress) + (far ? 6 : 0)));
    }
  CHECK(one([](auto& a) { a.jmp(x86::r8); }) == "jmp r8\n");
  CHECK(one([](auto& a) { a.jmp(x86::rax); }) == "jmp rax\n");
}

TEST_CASE("Distances to absolute targets are relative to where the code will run, and are noted") {
  x64::Assembler a;
  u8 bytes[32];
  a.start(bytes, kAddress);
  a.int3();
  a.jmp(kAddress + 0x1234);
  a.call(kAddress - 0x1234);
  a.mov(x86::r8d, 0x11223344);
  a.note(Relocation::Kind::kEip);
  CHECK(text(bytes, a.offset()) == "int3 \njmp 0x10001234\ncall 0xfffedcc\nmov r8d, 0x11223344\n");
  REQUIRE(a.noted_all());
  const auto notes = a.relocations();
  REQUIRE(notes.size() == 3);
  CHECK(notes[0].offset == 2);
  CHECK(notes[1].offset == 7);
  CHECK(notes[2].offset == 13);
  CHECK(notes[0].kind == static_cast<u16>(Relocation::Kind::kStub));
  CHECK(notes[2].kind == static_cast<u16>(Relocation::Kind::kEip));
  CHECK(std::memcmp(bytes + 13, "\x44\x33\x22\x11", 4) == 0);
}

TEST_CASE("Notes beyond what there is room for are counted, not kept") {
  x64::Assembler a;
  std::vector<u8> bytes(8 * kMostRelocations);
  a.start(bytes.data(), kAddress);
  for (u32 i = 0; i < kMostRelocations; ++i) a.jmp(kAddress);
  CHECK(a.noted_all());
  a.jmp(kAddress);
  CHECK_FALSE(a.noted_all());
}
