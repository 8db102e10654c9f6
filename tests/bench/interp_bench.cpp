// interp_bench [ENGINE]: guest instructions per second of an engine on small loops, in millions.
#include <cstdio>
#include <ctime>

#include "tests/cpu/engines.h"
#include "tests/cpu/machine.h"

namespace umbra {
namespace {

struct Kernel {
  const char* name;
  std::vector<u8> code;  // at 0x1000, flat 32-bit, ends with HLT
  u64 instructions;
};

const Kernel kKernels[] = {
    // mov ecx,20000000; l: add eax,ecx; xor edx,eax; dec ecx; jnz l; hlt
    {"register loop",
     {0xb9, 0x00, 0x2d, 0x31, 0x01, 0x01, 0xc8, 0x31, 0xc2, 0x49, 0x75, 0xf9, 0xf4},
     20'000'000ull * 4},
    // mov ecx,10000000; l: mov eax,[0x8000]; add eax,3; mov [0x8000],eax; inc dword [0x8004]; dec ecx; jnz l; hlt
    {"memory loop",
     {0xb9, 0x80, 0x96, 0x98, 0x00, 0xa1, 0x00, 0x80, 0x00, 0x00, 0x83, 0xc0, 0x03, 0xa3,
      0x00, 0x80, 0x00, 0x00, 0xff, 0x05, 0x04, 0x80, 0x00, 0x00, 0x49, 0x75, 0xea, 0xf4},
     10'000'000ull * 6},
    // mov ecx,5000000; l: call f; dec ecx; jnz l; hlt; f: push ebx; mov ebx,ecx; pop ebx; ret
    {"calls",
     {0xb9, 0x40, 0x4b, 0x4c, 0x00, 0xe8, 0x04, 0x00, 0x00, 0x00, 0x49, 0x75, 0xf8, 0xf4, 0x53, 0x89, 0xcb, 0x5b, 0xc3},
     5'000'000ull * 7},
    // Sieve of 65536 bytes at 0x100000, again 40 times (ebp):
    //   round: mov edi,0x100000; mov ecx,65536; mov al,1; rep stosb; mov esi,2
    //   next: cmp byte [esi+0x100000],0; je skip; lea edi,[esi+esi]; jmp test
    //   strike: mov byte [edi+0x100000],0; add edi,esi
    //   test: cmp edi,65536; jb strike
    //   skip: inc esi; cmp esi,32768; jb next; dec ebp; jnz round; hlt
    {"sieve",
     {0xbd, 0x28, 0,    0,    0,    0xbf, 0,    0,    0x10, 0, 0xb9, 0,    0,    1,    0,    0xb0, 1,
      0xf3, 0xaa, 0xbe, 2,    0,    0,    0,    0x80, 0xbe, 0, 0,    0x10, 0,    0,    0x74, 0x16, 0x8d,
      0x3c, 0x36, 0xeb, 0x09, 0xc6, 0x87, 0,    0,    0x10, 0, 0,    0x01, 0xf7, 0x81, 0xff, 0,    0,
      1,    0,    0x72, 0xef, 0x46, 0x81, 0xfe, 0,    0x80, 0, 0,    0x72, 0xd8, 0x4d, 0x75, 0xc2, 0xf4},
     0},
};

void start(TestMachine& m, const Kernel& k) {
  m.cpu.reset();
  m.flat32();
  m.cpu.s.r32(kEsp) = 0x7000;
  m.poke(0x1000, k.code);
  m.cpu.s.eip = 0x1000;
}

// By the interpreter, which counts.
u64 count_once(const Kernel& k) {
  TestMachine m;
  start(m, k);
  m.run();
  return m.interp.retired();
}

int run(const char* engine_name) {
  for (const Kernel& k : kKernels) {
    TestMachine m;
    auto engine = make_engine(engine_name, *m.memory);
    if (engine == nullptr) {
      std::fprintf(stderr, "interp_bench: there is no engine '%s' in this build\n", engine_name);
      return 1;
    }
    double best = 1e9;
    const u64 count = k.instructions != 0 ? k.instructions : count_once(k);
    for (unsigned round = 0; round < 3; ++round) {
      start(m, k);
      const std::clock_t before = std::clock();  // of this process: neighbours do not count
      engine->run(m.cpu);
      best = std::min(best, static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC);
    }
    std::printf("%-14s %8.1f million instructions/s  (%.3f s)\n", k.name, static_cast<double>(count) / best / 1e6,
                best);
  }
  return 0;
}

}  // namespace
}  // namespace umbra

int main(int argc, char** argv) { return umbra::run(argc > 1 ? argv[1] : "interp"); }
