/* words.h: how far a word is from the one that was meant. */
#ifndef MOCO_ENGINE_BASE_WORDS_H
#define MOCO_ENGINE_BASE_WORDS_H

#include <stddef.h>

/* Letters to insert, to leave out, to replace or to swap with the next one between a and b (Damerau
 * 1964, Levenshtein 1966; no letter is touched twice). Of b the first WORD_MAX bytes count. */
enum { WORD_MAX = 63 };
size_t word_distance(const char *a, const char *b);

#endif
