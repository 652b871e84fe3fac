/* sha256.h: SHA-256 (FIPS 180-4), for the hashes of the manifest of image files. */
#ifndef MOCO_TESTS_SHA256_H
#define MOCO_TESTS_SHA256_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t sha256_turned(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* The fractions of the cube roots of the first 64 primes. */
static inline void sha256_constants(uint32_t k[64])
{
    for (int n = 2, i = 0; i < 64; n++) {
        int prime = 1;
        for (int d = 2; d * d <= n; d++)
            prime &= n % d != 0;
        if (prime) {
            long double root = cbrtl((long double)n);
            k[i++] = (uint32_t)((root - floorl(root)) * 4294967296.0L);
        }
    }
}

/* Byte p of the message that is hashed: a one behind the data, zeros, the data's length in bits. */
static inline unsigned char sha256_byte(const unsigned char *data, size_t size, size_t p)
{
    size_t total = (size + 9 + 63) / 64 * 64;
    if (p < size)
        return data[p];
    if (p == size)
        return 0x80;
    return p >= total - 8 ? (unsigned char)((uint64_t)size * 8 >> 8 * (total - 1 - p)) : 0;
}

/* The 64 words that the block at `at` becomes. */
static inline void sha256_words(uint32_t w[64], const unsigned char *data, size_t size, size_t at)
{
    for (size_t i = 0; i < 16; i++) {
        w[i] = 0;
        for (size_t b = 0; b < 4; b++)
            w[i] = w[i] << 8 | sha256_byte(data, size, at + 4 * i + b);
    }
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] +
               (sha256_turned(a, 7) ^ sha256_turned(a, 18) ^ a >> 3) +
               (sha256_turned(b, 17) ^ sha256_turned(b, 19) ^ b >> 10);
    }
}

/* Adds a block's words to the state in 64 rounds. */
static inline void sha256_rounds(uint32_t state[8], const uint32_t w[64], const uint32_t k[64])
{
    uint32_t s[8];
    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t one = s[7] + k[i] + w[i] + ((s[4] & s[5]) ^ (~s[4] & s[6])) +
                       (sha256_turned(s[4], 6) ^ sha256_turned(s[4], 11) ^ sha256_turned(s[4], 25));
        uint32_t two = ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2])) +
                       (sha256_turned(s[0], 2) ^ sha256_turned(s[0], 13) ^ sha256_turned(s[0], 22));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

static inline void sha256(uint32_t state[8], const unsigned char *data, size_t size)
{
    static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
    uint32_t k[64], w[64];
    sha256_constants(k);
    memcpy(state, initial, sizeof initial);
    for (size_t at = 0; at < size + 9; at += 64) {
        sha256_words(w, data, size, at);
        sha256_rounds(state, w, k);
    }
}

#endif
