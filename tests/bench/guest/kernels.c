// Integer kernels, each a different way to spend a CPU's time.
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static void quick(int* a, int n) {
  while (n > 16) {
    const int pivot = a[n / 2];
    int i = 0, j = n - 1;
    for (;;) {
      while (a[i] < pivot) ++i;
      while (a[j] > pivot) --j;
      if (i >= j) break;
      const int t = a[i];
      a[i++] = a[j];
      a[j--] = t;
    }
    quick(a, i);
    a += i;
    n -= i;
  }
  for (int i = 1; i < n; ++i) {
    const int v = a[i];
    int j = i;
    for (; j > 0 && a[j - 1] > v; --j) a[j] = a[j - 1];
    a[j] = v;
  }
}

uint32_t run_sort(unsigned scale) {
  enum { kCount = 100000 };
  int* a = malloc(kCount * sizeof(int));
  uint32_t seed = 1, hash = 2166136261u;
  for (unsigned round = 0; round < (scale + 3) / 4; ++round) {
    for (int i = 0; i < kCount; ++i) a[i] = (int)next_random(&seed);
    quick(a, kCount);
    hash = fnv(hash, &a[kCount / 3], 4);
    for (int i = 1; i < kCount; ++i)
      if (a[i - 1] > a[i]) abort();
  }
  free(a);
  return hash;
}

uint32_t run_matrix(unsigned scale) {
  enum { kSide = 160 };
  static int a[kSide][kSide], b[kSide][kSide], c[kSide][kSide];
  uint32_t seed = 2;
  for (int i = 0; i < kSide; ++i)
    for (int j = 0; j < kSide; ++j) {
      a[i][j] = (int)next_random(&seed);
      b[i][j] = (int)next_random(&seed);
    }
  for (unsigned round = 0; round < scale * 2; ++round) {
    for (int i = 0; i < kSide; ++i)
      for (int j = 0; j < kSide; ++j) {
        int sum = 0;
        for (int k = 0; k < kSide; ++k) sum += a[i][k] * b[k][j];
        c[i][j] = sum;
      }
    a[round % kSide][0] = c[0][round % kSide];
  }
  return fnv(2166136261u, c, sizeof c);
}

struct Node {
  struct Node* next;
  uint32_t value[7];
};

uint32_t run_list(unsigned scale) {
  enum { kNodes = 16384 };  // 512 KiB: out of the first cache, within the second
  struct Node* nodes = malloc(kNodes * sizeof *nodes);
  unsigned* order = malloc(kNodes * sizeof *order);
  uint32_t seed = 3, sum = 0;
  for (unsigned i = 0; i < kNodes; ++i) order[i] = i;
  for (unsigned i = kNodes - 1; i > 0; --i) {
    const unsigned j = next_random(&seed) % (i + 1), t = order[i];
    order[i] = order[j];
    order[j] = t;
  }
  for (unsigned i = 0; i < kNodes; ++i) {
    nodes[order[i]].next = &nodes[order[(i + 1) % kNodes]];
    nodes[order[i]].value[0] = i;
  }
  struct Node* at = nodes;
  for (unsigned i = 0; i < scale * 250000; ++i) {
    sum += at->value[0];
    at = at->next;
  }
  free(order);
  free(nodes);
  return sum;
}

// A scanner of numbers, words, strings and comments: a switch in a loop, hard to predict.
uint32_t run_state(unsigned scale) {
  enum { kSize = 65536 };
  static char text[kSize];
  static const char kLetters[] = "ab12 \"/* */\"cd.e+-39;\n({[";
  uint32_t seed = 4, counts[8] = {0};
  for (int i = 0; i < kSize; ++i) text[i] = kLetters[next_random(&seed) % (sizeof kLetters - 1)];
  for (unsigned round = 0; round < scale * 5; ++round) {
    unsigned state = 0;
    for (int i = 0; i < kSize; ++i) {
      const char c = text[i];
      switch (state) {
        case 0:
          state = c == '"' ? 3 : c == '/' ? 4 : c >= '0' && c <= '9' ? 1 : c >= 'a' && c <= 'z' ? 2 : 0;
          break;
        case 1:
          state = (c >= '0' && c <= '9') || c == '.' ? 1 : c == 'e' ? 7 : 0;
          break;
        case 2:
          state = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? 2 : 0;
          break;
        case 3:
          state = c == '"' ? 0 : 3;
          break;
        case 4:
          state = c == '*' ? 5 : 0;
          break;
        case 5:
          state = c == '*' ? 6 : 5;
          break;
        case 6:
          state = c == '/' ? 0 : c == '*' ? 6 : 5;
          break;
        default:
          state = c == '+' || c == '-' || (c >= '0' && c <= '9') ? 7 : 0;
          break;
      }
      ++counts[state];
    }
  }
  return fnv(2166136261u, counts, sizeof counts);
}

uint32_t run_crc(unsigned scale) {
  enum { kSize = 65536 };
  static unsigned char data[kSize];
  static uint32_t table[256];
  uint32_t seed = 5, crc = ~0u;
  for (unsigned i = 0; i < 256; ++i) {
    uint32_t v = i;
    for (int bit = 0; bit < 8; ++bit) v = v & 1 ? v >> 1 ^ 0xedb88320u : v >> 1;
    table[i] = v;
  }
  for (int i = 0; i < kSize; ++i) data[i] = (unsigned char)next_random(&seed);
  for (unsigned round = 0; round < scale * 8; ++round)
    for (int i = 0; i < kSize; ++i) crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
  return ~crc;
}

// Kept a real call by the attribute and by the flags that the file is compiled with.
__attribute__((noinline, noclone)) static uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

uint32_t run_fib(unsigned scale) {
  uint32_t sum = 0;
  for (unsigned round = 0; round < (scale + 1) / 2; ++round) sum += fib(27 + round % 3);
  return sum;
}

// An interpreter that calls each operation through a table.
struct Vm {
  uint32_t regs[8];
  unsigned pc;
};
typedef void (*Op)(struct Vm*, unsigned, unsigned);
static void op_add(struct Vm* vm, unsigned a, unsigned b) { vm->regs[a] += vm->regs[b]; }
static void op_xor(struct Vm* vm, unsigned a, unsigned b) { vm->regs[a] ^= vm->regs[b]; }
static void op_mul(struct Vm* vm, unsigned a, unsigned b) { vm->regs[a] *= vm->regs[b] | 1; }
static void op_rol(struct Vm* vm, unsigned a, unsigned b) {
  vm->regs[a] = vm->regs[a] << (b & 7) | vm->regs[a] >> (32 - (b & 7)) % 32;
}
static void op_set(struct Vm* vm, unsigned a, unsigned b) { vm->regs[a] = b * 77; }
static void op_dec(struct Vm* vm, unsigned a, unsigned b) { vm->regs[a] -= b; }
static void op_skip(struct Vm* vm, unsigned a, unsigned b) { vm->pc += vm->regs[a] >> b & 1; }
static void op_sub(struct Vm* vm, unsigned a, unsigned b) { vm->regs[a] -= vm->regs[b]; }
static Op volatile ops[8] = {op_add, op_xor, op_mul, op_rol, op_set, op_dec, op_skip, op_sub};

uint32_t run_vm(unsigned scale) {
  enum { kLength = 256 };
  static unsigned char program[kLength + 8][3];
  uint32_t seed = 6;
  for (int i = 0; i < kLength; ++i)
    for (int j = 0; j < 3; ++j) program[i][j] = next_random(&seed) & 7;
  struct Vm vm = {{1, 2, 3, 4, 5, 6, 7, 8}, 0};
  for (unsigned round = 0; round < scale * 600; ++round)
    for (vm.pc = 0; vm.pc < kLength; ++vm.pc) ops[program[vm.pc][0]](&vm, program[vm.pc][1], program[vm.pc][2]);
  return fnv(2166136261u, vm.regs, sizeof vm.regs);
}

uint32_t run_movs(unsigned scale) {
  enum { kSize = 65536 };
  static unsigned char from[kSize], to[kSize];
  uint32_t hash = 2166136261u;
  for (unsigned round = 0; round < scale * 300; ++round) {
    const unsigned size = round % 8 == 0 ? kSize : 64 + (round * 37) % 2000;
    void *d = from, *s;
    unsigned n = size / 4;
    __asm__ volatile("rep stosl" : "+D"(d), "+c"(n) : "a"(round * 0x01010101u) : "memory");
    d = to, s = from, n = size;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
    d = to + 4, s = from, n = size / 4 - 1;
    __asm__ volatile("rep movsl" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
    hash = fnv(hash, to + size / 2, 4);
  }
  return hash;
}
