/* pack.h: what the tests of packed files share: packing, a folder of small images, and two sources
 * that must be the same. One file a subject. */
#ifndef MOCO_TESTS_PACK_PACK_H
#define MOCO_TESTS_PACK_PACK_H

#define CHECK_SHARED
#include "tests/files.h" /* before other headers: it wants _GNU_SOURCE */

#include "engine/data/format/pack.h"

extern struct pack_report report; /* of the last packing */

/* Packs SPEC into a file of the test's folder; side 0: images stay as they are. */
int pack(const char *out, const char *spec, int side, double max_bad);
void must_pack(const char *out, const char *spec, int side);

int exists(const char *name);

/* The packed file has the images, labels and names of SPEC, to the bit. */
void same_set(const char *spec, const char *packed);

void put_pnm(const char *name, int channels, int height, int width, int most);

/* "set": five images of two classes and of none, of one and three channels, 8 and 16 bits.
 * test_same() packs it as set.pack, which the tests of damage take. */
void make_folder(void);

/* Bytes of the file without header, index, texts and the gaps before images. */
size_t numbers_of(const char *name);

/* One a file. */
void test_same(void);
void test_scaled(void);
void test_left_out(void);
void test_damage(void);
void test_gaps(void);

#endif
