/* arena.h: one allocation for many tensors of one kind.
 *
 * All parameters of an encoder, all gradients, all activations lie in one arena each, so EMA, the
 * optimiser and the checkpoint are single passes and a training step allocates nothing. */
#ifndef MOCO_ENGINE_BASE_ARENA_H
#define MOCO_ENGINE_BASE_ARENA_H

#include "engine/base/size.h"

enum { ARENA_ALIGN = 64 }; /* bytes: a cache line, and one AVX-512 register */

struct arena {
    unsigned char *base; /* ARENA_ALIGN-aligned, zeroed at the start; owned */
    size_t size;         /* bytes */
    size_t used;         /* bytes, a multiple of ARENA_ALIGN */
};

/* Bytes that a piece of `bytes` takes in an arena. */
static inline size_t arena_round(size_t bytes)
{
    return size_add(bytes, ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

/* Allocates `bytes` zeroed bytes (huge pages where the system offers them). `what` names the
 * arena in the sentence of a failure. */
int arena_open(struct arena *arena, size_t bytes, const char *what);

/* The next piece, ARENA_ALIGN-aligned. The caller has sized the arena: it never fails. */
void *arena_take(struct arena *arena, size_t bytes);

/* What an arena is to hold, stated once for its size and for its opening. */
enum { ARENA_PIECES = 12 };

struct arena_pieces {
    struct {
        void *to;      /* address of the pointer to the piece; NULL: the list ends here */
        size_t bytes;
    } list[ARENA_PIECES];
};

size_t arena_pieces_bytes(const struct arena_pieces *pieces);

/* Opens an arena of that size and sets all the pointers. */
int arena_open_pieces(struct arena *arena, const struct arena_pieces *pieces, const char *what);

/* Asks for huge pages behind memory of any origin, where it is large; a hint. */
void arena_huge_pages(void *memory, size_t bytes);

/* Whether `bytes` could be had now, before a library is called that does not bear to be refused:
 * MOCO_ENOMEM for `what` if not. A try, no promise. */
int arena_try(size_t bytes, const char *what);

/* Frees; accepts a zeroed arena. */
void arena_close(struct arena *arena);

#endif
