// The guest's side of the benchmark: one static i386 program that is init in the guest and an ordinary program in a
// chroot, and runs the same workloads in both.
#pragma once

#include <stdint.h>

// Does `scale` percent of its work, returns a checksum that must come out the same everywhere.
typedef uint32_t (*Workload)(unsigned scale);

uint32_t run_sort(unsigned scale);
uint32_t run_matrix(unsigned scale);
uint32_t run_list(unsigned scale);
uint32_t run_state(unsigned scale);
uint32_t run_crc(unsigned scale);
uint32_t run_fib(unsigned scale);
uint32_t run_vm(unsigned scale);
uint32_t run_movs(unsigned scale);
uint32_t run_nbody_x87(unsigned scale);
uint32_t run_nbody_sse2(unsigned scale);
uint32_t run_fft_x87(unsigned scale);
uint32_t run_fft_sse2(unsigned scale);

uint32_t run_fork_exec(unsigned scale);
uint32_t run_workers(unsigned scale);
uint32_t run_pipe(unsigned scale);
uint32_t run_syscall(unsigned scale);
uint32_t run_mmap(unsigned scale);
uint32_t run_signal(unsigned scale);

static inline uint32_t next_random(uint32_t* state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static inline uint32_t fnv(uint32_t hash, const void* data, unsigned size) {
  const unsigned char* p = (const unsigned char*)data;
  for (unsigned i = 0; i < size; ++i) hash = (hash ^ p[i]) * 16777619u;
  return hash;
}
