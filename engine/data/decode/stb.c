/* stb.c: the implementation of stb_image (public domain, Sean Barrett), compiled once.
 *
 * Only PNG is built in, and JPEG where libjpeg is not there. Its warnings are not ours, so they are
 * off here. stbi_failure_reason() is per thread: with C11, stb_image finds _Thread_local by
 * itself, and the build fails here should that ever change.
 * stb_image grows its buffers as long as a stream goes on, up to 4 GiB from a small file. So it
 * allocates through an account a thread, which stb_budget() opens; blocks carry their size. */
#include "engine/data/decode/decode.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"

/* In front of each block; as large as the strictest alignment. */
union block {
    size_t bytes;
    max_align_t align;
};

static _Thread_local size_t budget, held;
static _Thread_local size_t lacking; /* bytes that the system, not the budget, refused */

void stb_budget(size_t bytes)
{
    budget = bytes;
    held = 0; /* what an earlier image held is freed in full before this */
    lacking = 0;
}

static void *budget_realloc(void *old, size_t bytes)
{
    union block *block = old ? (union block *)old - 1 : NULL;
    size_t before = block ? block->bytes : 0;
    if (bytes > budget || held - before > budget - bytes)
        return NULL;
    union block *fresh = realloc(block, sizeof *block + bytes);
    if (!fresh) {
        lacking = bytes;
        return NULL;
    }
    fresh->bytes = bytes;
    held += bytes - before;
    return fresh + 1;
}

static void budget_free(void *old)
{
    if (!old)
        return;
    held -= ((union block *)old - 1)->bytes;
    free((union block *)old - 1);
}

int stb_refuse(const struct decode_file *file, int code, const char *why)
{
    return lacking ? error_memory(file->name, lacking) : decode_fail(code, file, why);
}

#define STBI_MALLOC(bytes) budget_realloc(NULL, bytes)
#define STBI_REALLOC(old, bytes) budget_realloc(old, bytes)
#define STBI_FREE(old) budget_free(old)

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#pragma GCC diagnostic ignored "-Wstringop-overflow"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Warray-bounds"
#endif

#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_NO_GIF
#define STBI_NO_PSD
#define STBI_NO_PIC
#define STBI_NO_BMP
#define STBI_NO_TGA
#define STBI_NO_PNM
#define STBI_NO_STDIO
#ifdef MOCO_JPEG
#define STBI_NO_JPEG
#endif
#include <stb_image.h>

#ifndef STBI_THREAD_LOCAL
#error "stb_image.h without thread-local failure reasons: use version 2.26 or newer"
#endif
