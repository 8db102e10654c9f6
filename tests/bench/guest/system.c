// What a program asks of the kernel: processes, pipes, system calls, pages, signals.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

uint32_t run_fork_exec(unsigned scale) {
  unsigned done = 0;
  for (unsigned i = 0; i < scale * 2; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      execl("/bench/bench", "bench", "--nothing", (char*)0);
      _exit(1);
    }
    int status = 1;
    waitpid(child, &status, 0);
    done += status == 0;
  }
  return done;
}

// Calls between pages: what the workers of a server or a shell's functions do.
#define OWN_PAGE __attribute__((noinline, aligned(4096)))
static OWN_PAGE uint32_t stir(uint32_t x) { return x * 2654435761u ^ x >> 15; }
static OWN_PAGE uint32_t pick(uint32_t x, unsigned i) { return (x >> (i & 7)) + stir(x + i); }
static OWN_PAGE uint32_t tower(unsigned height, uint32_t x) {
  if (height == 0) return stir(x);
  uint32_t sum = pick(x, height);
  for (unsigned i = 0; i < 3; ++i) sum += tower(height - 1, pick(sum, i));
  return sum;
}

// Processes that forked and run the same code at the same addresses, in turn on one processor, wherever this runs.
uint32_t run_workers(unsigned scale) {
  enum { kWorkers = 4 };
  cpu_set_t before, one;
  sched_getaffinity(0, sizeof before, &before);
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  sched_setaffinity(0, sizeof one, &one);
  uint32_t* sums = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (sums == MAP_FAILED) abort();
  pid_t children[kWorkers] = {0};
  for (unsigned w = kWorkers; w-- != 0;) {
    if (w != 0 && (children[w] = fork()) != 0) continue;
    for (unsigned round = 0; round < scale * 2; ++round) sums[w] = tower(9, sums[w] + w + round);
    if (w != 0) _exit(0);
  }
  uint32_t sum = 0;
  for (unsigned w = 0; w < kWorkers; ++w) {
    if (w != 0) waitpid(children[w], 0, 0);
    sum = stir(sum + sums[w]);
  }
  munmap(sums, 4096);
  sched_setaffinity(0, sizeof before, &before);
  return sum;
}

uint32_t run_pipe(unsigned scale) {
  int there[2], back[2];
  if (pipe(there) != 0 || pipe(back) != 0) abort();
  const unsigned rounds = scale * 100;
  char c = 0;
  const pid_t child = fork();
  if (child == 0) {
    for (unsigned i = 0; i < rounds; ++i) {
      if (read(there[0], &c, 1) != 1) _exit(1);
      ++c;
      if (write(back[1], &c, 1) != 1) _exit(1);
    }
    _exit(0);
  }
  for (unsigned i = 0; i < rounds; ++i)
    if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1) abort();
  waitpid(child, 0, 0);
  for (int i = 0; i < 2; ++i) close(there[i]), close(back[i]);
  return (unsigned char)c;
}

uint32_t run_syscall(unsigned scale) {
  uint32_t sum = 0;
  for (unsigned i = 0; i < scale * 2000; ++i) sum += syscall(SYS_getppid) >= 0;
  return sum;
}

uint32_t run_mmap(unsigned scale) {
  enum { kPages = 256 };
  uint32_t sum = 0;
  for (unsigned i = 0; i < scale; ++i) {
    char* p = mmap(0, kPages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) abort();
    // Huge pages would answer 512 of these at once, where the host has them.
    madvise(p, kPages * 4096, MADV_NOHUGEPAGE);
    for (int page = 0; page < kPages; ++page) p[page * 4096] = 1;
    for (int page = 0; page < kPages; ++page) sum += p[page * 4096];
    munmap(p, kPages * 4096);
  }
  return sum;
}

static volatile unsigned caught;
static void on_signal(int number) { caught += number == SIGUSR1; }

uint32_t run_signal(unsigned scale) {
  caught = 0;
  signal(SIGUSR1, on_signal);
  const pid_t self = getpid();
  for (unsigned i = 0; i < scale * 200; ++i) kill(self, SIGUSR1);
  return caught;
}
