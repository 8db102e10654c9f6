// bench [--scale PERCENT] [--only NAME,...]    runs workloads, a line for each:  WORKLOAD name seconds cpu-seconds
// checksum bench --list                                 their names bench --corpus BYTES | --source FUNCTIONS    text
// to pack and C to compile, on standard output As process 1 it takes bench.scale= and bench.only= from the kernel's
// command line, and turns the machine off at its end.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

// The folder of its inputs is /bench; scratch files go to /tmp, which is on the disk. `before` is not timed.
static const struct {
  const char* name;
  Workload run;
  const char *before, *command;
} workloads[] = {
    {"fork_exec", run_fork_exec, 0, 0},
    {"workers", run_workers, 0, 0},
    {"pipe", run_pipe, 0, 0},
    {"syscall", run_syscall, 0, 0},
    {"mmap", run_mmap, 0, 0},
    {"signal", run_signal, 0, 0},
    {"file_copy", 0,
     "head -c $((SCALE * 163840)) /bench/corpus > /tmp/a; sync; [ ! -e /proc/sys/vm/drop_caches ] || echo 3 > "
     "/proc/sys/vm/drop_caches",
     "cp /tmp/a /tmp/b && sync /tmp/b && cp /tmp/b /tmp/c && sync /tmp/c && cksum < /tmp/c"},
    {"gcc", 0, "/bench/bench --source $(((SCALE + 2) / 3)) > /tmp/big.c",
     "cd /tmp && gcc -O1 -S -o big.s big.c && cksum big.s"},
    {"python3", 0, 0, "python3 -I -S /bench/work.py $SCALE"},
    {"sqlite3", 0, "sed s/SCALE/$SCALE/ /bench/work.sql > /tmp/work.sql", "sqlite3 :memory: < /tmp/work.sql"},
    {"perl", 0, 0, "perl /bench/work.pl $SCALE"},
    {"xz", 0, "head -c $((SCALE * 6000)) /bench/corpus > /tmp/a", "xz -3 -T1 -c /tmp/a | cksum"},
    {"bzip2", 0, "head -c $((SCALE * 20000)) /bench/corpus > /tmp/a", "bzip2 -c /tmp/a | cksum"},
    {"sha256", 0, "head -c $((SCALE * 163840)) /bench/corpus > /tmp/a",
     "for i in 1 2; do openssl dgst -sha256 < /tmp/a; done"},
    {"aes", 0, "head -c $((SCALE * 163840)) /bench/corpus > /tmp/a",
     "openssl enc -aes-128-cbc -K 00112233445566778899aabbccddeeff -iv 00 -in /tmp/a 2>&- | tail -c 1000"},
    {"rsa", 0, "i=0; while [ $i -lt $(((SCALE + 9) / 10)) ]; do echo $i; i=$((i + 1)); done > /tmp/a",
     "while read i; do echo $i | openssl dgst -sha256 -sign /bench/key.pem; done < /tmp/a"},
    {"sort", run_sort, 0, 0},
    {"matrix", run_matrix, 0, 0},
    {"list", run_list, 0, 0},
    {"state", run_state, 0, 0},
    {"crc", run_crc, 0, 0},
    {"nbody_x87", run_nbody_x87, 0, 0},
    {"nbody_sse2", run_nbody_sse2, 0, 0},
    {"fft_x87", run_fft_x87, 0, 0},
    {"fft_sse2", run_fft_sse2, 0, 0},
    {"fib", run_fib, 0, 0},
    {"vm", run_vm, 0, 0},
    {"movs", run_movs, 0, 0},
};
enum { kWorkloads = sizeof workloads / sizeof *workloads };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// CPU time of this process and of its children that have ended.
static double cpu(void) {
  double sum = 0;
  for (int i = 0; i < 2; ++i) {
    struct rusage u;
    getrusage(i ? RUSAGE_CHILDREN : RUSAGE_SELF, &u);
    sum += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
  }
  return sum;
}

// Runs a shell command; its checksum is that of what it says.
static uint32_t shell(const char* command) {
  FILE* said = popen(command, "r");
  uint32_t hash = 2166136261u;
  char buffer[4096];
  for (size_t n; (n = fread(buffer, 1, sizeof buffer, said)) > 0;) hash = fnv(hash, buffer, n);
  return pclose(said) == 0 ? hash : 0;
}

static int wanted(const char* name, const char* only) {
  if (only == 0 || *only == 0) return 1;
  const size_t n = strlen(name);
  for (const char* p = only; (p = strstr(p, name)) != 0; p += n)
    if ((p == only || p[-1] == ',') && (p[n] == 0 || p[n] == ',')) return 1;
  return 0;
}

static void run_all(unsigned scale, const char* only) {
  char text[16];
  snprintf(text, sizeof text, "%u", scale);
  setenv("SCALE", text, 1);
  setenv("PATH", "/usr/bin:/bin:/usr/sbin:/sbin", 1);
  setenv("LC_ALL", "C", 1);
  setenv("PYTHONHASHSEED", "0", 1);
  setenv("PERL_HASH_SEED", "0", 1);
  // The code that a CPU with SSE2 and nothing more gets: native and guests then run the same instructions.
  setenv("OPENSSL_ia32cap", "0x07808110:0", 1);
  setenv("GLIBC_TUNABLES",
         "glibc.cpu.hwcaps=-SSSE3,-SSE4_1,-SSE4_2,-AVX,-AVX2,-AVX512F,-BMI1,-BMI2,-LZCNT,-MOVBE,-POPCNT,-ERMS,-FSRM",
         1);
  // A kernel that has just booted gathers entropy for a second in the first program that asks for random bytes.
  uint32_t random;
  if (getrandom(&random, sizeof random, 0) != sizeof random) printf("no random bytes\n");
  for (int i = 0; i < kWorkloads; ++i) {
    if (!wanted(workloads[i].name, only)) continue;
    if (workloads[i].before != 0 && system(workloads[i].before) != 0)
      printf("the preparation of %s failed\n", workloads[i].name);
    printf("START %s\n", workloads[i].name);
    const double start_cpu = cpu(), start = now();
    const uint32_t sum = workloads[i].run != 0 ? workloads[i].run(scale) : shell(workloads[i].command);
    const double seconds = now() - start;
    printf("WORKLOAD %s %.6f %.6f %08x\n", workloads[i].name, seconds, cpu() - start_cpu, sum);
  }
  printf("DONE\n");
}

static void print_corpus(unsigned size) {
  static const char* const words[] = {"the",  "machine", "runs",   "of",    "a",     "guest", "page",
                                      "and",  "table",   "window", "block", "is",    "to",    "code",
                                      "that", "fault",   "in",     "host",  "state", "return"};
  uint32_t seed = 8;
  for (unsigned done = 0; done < size;) {
    const uint32_t r = next_random(&seed);
    if (r % 16 == 0)
      done += (unsigned)printf("%u.\n", r);
    else
      done += (unsigned)printf("%s%c", words[(r >> 4) % 17 * (r >> 12 & 1) + (r >> 13) % 4], r % 7 ? ' ' : ',');
  }
}

static void print_source(unsigned functions) {
  printf("typedef struct { int a[16]; struct { short b; char c; } d[8]; } S;\nextern int out(const char*, int);\n");
  uint32_t seed = 9;
  for (unsigned i = 0; i < functions; ++i) {
    const unsigned k = next_random(&seed) % 97 + 3;
    printf("int f%u(S* s, unsigned n) {\n  int x = %u, i, j;\n  for (i = 0; i < (int)n; ++i) {\n", i, k);
    printf("    switch ((s->a[i & 15] ^ x) & 7) {\n");
    for (unsigned c = 0; c < 8; ++c)
      printf("      case %u: x = x * %u + s->d[(x >> %u) & 7].b; s->a[%u] %s x / %u; break;\n", c, k + c, c + 1, c * 2,
             c & 1 ? "+=" : "^=", k + 1);
    printf(
        "    }\n    for (j = i; j > 0 && s->a[j & 15] > x; j -= %u) s->d[j & 7].c = (char)(s->d[i & 7].c + j * x);\n",
        k % 5 + 1);
    printf("    if (x < 0 && out(\"f%u\", x) > %u) return s->a[x & 15]%s;\n  }\n", i, k, i ? "" : " + 1");
    if (i > 0) printf("  x += f%u(s, n / %u);\n", i - 1, k % 3 + 2);
    printf("  return x;\n}\n");
  }
  printf("int run(S* s, unsigned n) { return f%u(s, n); }\n", functions - 1);
}

// The value of NAME=VALUE on the kernel's command line.
static char* boot_option(char* line, const char* name) {
  char* p = strstr(line, name);
  if (p == 0) return 0;
  p += strlen(name);
  char* value = strdup(p);
  value[strcspn(value, " \n")] = 0;
  return value;
}

static void be_init(void) {
  static char line[4096];
  const int fd = open("/proc/cmdline", O_RDONLY);
  const ssize_t n = fd >= 0 ? read(fd, line, sizeof line - 1) : 0;
  line[n > 0 ? n : 0] = 0;
  // The guest's own account of its boot ends here.
  printf("INIT %.3f\n", now());
  const char* scale = boot_option(line, "bench.scale=");
  const char* only = boot_option(line, "bench.only=");
  if (only == 0 || strcmp(only, "none") != 0) run_all(scale != 0 ? (unsigned)atoi(scale) : 100, only);
  sync();
  reboot(RB_POWER_OFF);
}

int main(int argc, char** argv) {
  setvbuf(stdout, 0, _IOLBF, 0);
  if (getpid() == 1) {
    be_init();
    return 1;
  }
  unsigned scale = 100;
  const char* only = 0;
  for (int i = 1; i < argc; ++i) {
    const char* word = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "0";
    if (strcmp(word, "--nothing") == 0) return 0;
    if (strcmp(word, "--list") == 0) {
      for (int w = 0; w < kWorkloads; ++w) printf("%s\n", workloads[w].name);
      return 0;
    }
    if (strcmp(word, "--corpus") == 0) return print_corpus((unsigned)atoi(value)), 0;
    if (strcmp(word, "--source") == 0) return print_source((unsigned)atoi(value)), 0;
    if (strcmp(word, "--scale") == 0)
      scale = (unsigned)atoi(value), ++i;
    else if (strcmp(word, "--only") == 0)
      only = value, ++i;
    else
      return fprintf(stderr, "bench: what is %s?\n", word), 2;
  }
  run_all(scale, only);
  return 0;
}
