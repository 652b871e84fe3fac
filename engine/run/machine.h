/* machine.h: limits of this machine, measured: what rates are compared with. */
#ifndef MOCO_ENGINE_RUN_MACHINE_H
#define MOCO_ENGINE_RUN_MACHINE_H

#include "simd/simd.h"

/* Floating point operations a second of all threads: multiply-add on registers and L1. */
double machine_peak_flops(const struct moco_simd *simd);

/* Bytes a second of the in-place triad a += s b on arrays far larger than the caches (EMA's
 * traffic: two reads, one write); 0 when there is no memory for them. */
double machine_triad_bytes(void);

#endif
