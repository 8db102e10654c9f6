// Floating point kernels, compiled twice: UNIT is x87 or sse2.
#include <math.h>

#include "bench.h"

#define NAME2(base, unit) base##unit
#define NAME1(base, unit) NAME2(base, unit)
#define NAME(base) NAME1(base, UNIT)

struct Body {
  double x[3], v[3], mass;
};

uint32_t NAME(run_nbody_)(unsigned scale) {
  struct Body b[5] = {{{0, 0, 0}, {0, 0, 0}, 39.5},
                      {{4.8, -1.2, -0.1}, {0.6, 2.8, -0.02}, 0.04},
                      {{8.3, 4.1, -0.4}, {-1.0, 1.8, 0.008}, 0.01},
                      {{12.9, -15.1, -0.2}, {1.1, 0.9, -0.01}, 0.002},
                      {{15.4, -25.9, 0.2}, {1.0, 0.6, -0.03}, 0.002}};
  for (unsigned step = 0; step < scale * 5000; ++step) {
    for (int i = 0; i < 5; ++i)
      for (int j = i + 1; j < 5; ++j) {
        double d[3], square = 0;
        for (int k = 0; k < 3; ++k) {
          d[k] = b[i].x[k] - b[j].x[k];
          square += d[k] * d[k];
        }
        const double pull = 0.001 / (square * __builtin_sqrt(square));
        for (int k = 0; k < 3; ++k) {
          b[i].v[k] -= d[k] * b[j].mass * pull;
          b[j].v[k] += d[k] * b[i].mass * pull;
        }
      }
    for (int i = 0; i < 5; ++i)
      for (int k = 0; k < 3; ++k) b[i].x[k] += 0.001 * b[i].v[k];
  }
  return fnv(2166136261u, b, sizeof b);
}

uint32_t NAME(run_fft_)(unsigned scale) {
  enum { kBits = 12, kSize = 1 << kBits };
  static double re[kSize], im[kSize], c[kSize / 2], s[kSize / 2];
  uint32_t seed = 7;
  for (int i = 0; i < kSize; ++i) {
    re[i] = (double)(next_random(&seed) & 0xffff) / 65536;
    im[i] = 0;
  }
  // The roots of unity by halving angles: no library call, whose code path would depend on the CPU.
  for (int i = 0; i < kSize / 2; ++i) c[i] = 1, s[i] = 0;
  double co = -1, si = 0;
  for (int bit = kSize / 2; bit >= 1; bit /= 2) {
    for (int i = 0; i < kSize / 2; ++i)
      if (i & bit) {
        const double t = c[i] * co - s[i] * si;
        s[i] = s[i] * co + c[i] * si;
        c[i] = t;
      }
    const double next = __builtin_sqrt((1 + co) / 2);
    si = bit == kSize / 2 ? 1 : si / (2 * next);
    co = next;
  }
  for (unsigned round = 0; round < scale * 5; ++round) {
    for (int i = 0, j = 0; i < kSize; ++i) {
      if (i < j) {
        double t = re[i];
        re[i] = re[j], re[j] = t;
        t = im[i];
        im[i] = im[j], im[j] = t;
      }
      int bit = kSize / 2;
      for (; j & bit; bit /= 2) j ^= bit;
      j |= bit;
    }
    for (int len = 1; len < kSize; len *= 2)
      for (int i = 0; i < kSize; i += 2 * len)
        for (int k = 0; k < len; ++k) {
          const double wr = c[k * (kSize / 2 / len)], wi = s[k * (kSize / 2 / len)];
          const double tr = re[i + k + len] * wr - im[i + k + len] * wi;
          const double ti = re[i + k + len] * wi + im[i + k + len] * wr;
          re[i + k + len] = re[i + k] - tr, im[i + k + len] = im[i + k] - ti;
          re[i + k] += tr, im[i + k] += ti;
        }
    for (int i = 0; i < kSize; ++i) re[i] *= 1.0 / 64, im[i] *= 1.0 / 64;
  }
  return fnv(fnv(2166136261u, re, sizeof re), im, sizeof im);
}
