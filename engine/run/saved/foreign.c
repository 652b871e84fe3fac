/* foreign.c: which encoders a file holds, which is taken, and its tensors' names; see foreign.h. */
#include "engine/run/saved/foreign.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/saved/foreign_kind.h"

/* ---- names ---- */

/* layer2.0.conv1.weight -> encoder.stages.1.layers.0.layer.0.convolution.weight */
static void hugging_face_name(char *out, size_t size, const char *name)
{
    int stage, block, unit, at = 0;
    char part[16];
    if (sscanf(name, "layer%d.%d.%15[a-z]%n", &stage, &block, part, &at) < 3) {
        snprintf(out, size, "embedder.embedder.%s%s",
                 !strncmp(name, "conv1", 5) ? "convolution" : "normalization",
                 name + strcspn(name, "."));
        return;
    }
    const char *rest = name + at; /* "1.weight" of convN and bnN, ".0.weight" of downsample */
    int down = !strcmp(part, "downsample"), norm = down ? rest[1] == '1' : !strcmp(part, "bn");
    unit = down ? 0 : *rest - '1';
    const char *leaf = strchr(rest + down, '.');
    int used = snprintf(out, size, "encoder.stages.%d.layers.%d.", stage - 1, block);
    if (down)
        used += snprintf(out + used, size - (size_t)used, "shortcut.");
    else
        used += snprintf(out + used, size - (size_t)used, "layer.%d.", unit);
    snprintf(out + used, size - (size_t)used, "%s%s", norm ? "normalization" : "convolution",
             leaf ? leaf : "");
}

static void numbered_name(char *out, size_t size, const struct foreign_encoder *e,
                          const char *name)
{
    if (!strncmp(name, "layer", 5))
        snprintf(out, size, "%d%s", e->layer1 + name[5] - '1', name + 6);
    else if (!strncmp(name, "conv1.", 6))
        snprintf(out, size, "0%s", name + 5);
    else if (!strncmp(name, "bn1.", 4))
        snprintf(out, size, "1%s", name + 3);
    else
        snprintf(out, size, "%s", name);
}

void foreign_name(char out[FOREIGN_NAME], const struct foreign_encoder *e, const char *name)
{
    size_t length = strlen(e->prefix);
    char *rest = out + length;
    size_t size = FOREIGN_NAME - length;
    memcpy(out, e->prefix, length + 1);
    if (e->naming == NAMED_HUGGING_FACE)
        hugging_face_name(rest, size, name);
    else if (e->naming == NAMED_BY_NUMBER)
        numbered_name(rest, size, e, name);
    else
        snprintf(rest, size, "%s", name);
    char *down = e->shortcut ? strstr(rest, ".downsample.") : NULL;
    if (down) {
        memcpy(down, ".shortcut.", 10);
        memmove(down + 10, down + 12, strlen(down + 12) + 1);
    }
}

const struct st_tensor *foreign_tensor(const struct st_file *file, const struct foreign_encoder *e,
                                       const char *name)
{
    char full[FOREIGN_NAME];
    foreign_name(full, e, name);
    return safetensors_find(file, full);
}

static int is_stem_or_stage(const struct foreign_encoder *e, const char *rest)
{
    static const char *const named[] = { "conv", "bn", "layer", "norm" };
    if (e->naming == NAMED_HUGGING_FACE)
        return !strncmp(rest, "embedder.", 9) || !strncmp(rest, "encoder.", 8);
    if (e->naming == NAMED_BY_NUMBER) {
        int number = -1;
        return isdigit((unsigned char)*rest) && sscanf(rest, "%3d.", &number) == 1 &&
               number < e->layer1 + 4;
    }
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        size_t length = strlen(named[i]);
        if (!strncmp(rest, named[i], length) && isdigit((unsigned char)rest[length]))
            return 1;
    }
    return 0;
}

int foreign_is_backbone(const struct foreign_encoder *e, const char *name)
{
    size_t length = strlen(e->prefix);
    return !strncmp(name, e->prefix, length) && is_stem_or_stage(e, name + length);
}

int foreign_is_other(const struct foreign *f, const char *name)
{
    for (int i = 0; i < f->other_count; i++) {
        const struct foreign_encoder *e = &f->others[i];
        size_t length = strlen(e->prefix);
        int apart = strncmp(f->is.prefix, e->prefix, length) != 0; /* the one taken is not inside */
        if (foreign_is_backbone(e, name) || (apart && !strncmp(name, e->prefix, length)))
            return 1;
    }
    return 0;
}

/* ---- finding ---- */

/* Which tensor, behind a prefix, is an encoder's first, and which must stand beside it. */
static const struct {
    enum naming naming;
    const char *first;
} starts[] = {
    { NAMED_TORCHVISION, "conv1.weight" },
    { NAMED_BY_NUMBER, "0.weight" },
    { NAMED_HUGGING_FACE, "embedder.embedder.convolution.weight" },
};

/* The number of layer1 in a Sequential: with and without ReLU and max-pool between, lightly's own
 * ResNet has neither. */
static int find_layer1(struct foreign_encoder *e, const struct st_file *file)
{
    for (e->layer1 = 2; e->layer1 <= 4; e->layer1++)
        if (foreign_tensor(file, e, "layer1.0.conv1.weight") &&
            foreign_tensor(file, e, "bn1.weight"))
            return 1;
    return 0;
}

static int is_encoder(struct foreign_encoder *e, const struct st_file *file)
{
    const struct st_tensor *t = foreign_tensor(file, e, "conv1.weight");
    if (!t || t->rank != 4)
        return 0;
    if (e->naming == NAMED_BY_NUMBER ? !find_layer1(e, file)
                                     : !foreign_tensor(file, e, "layer1.0.conv1.weight"))
        return 0;
    if (e->naming == NAMED_HUGGING_FACE)
        return 1;
    e->shortcut = 1; /* as lightly's ResNet says it */
    e->shortcut = foreign_tensor(file, e, "layer2.0.downsample.0.weight") != NULL;
    return 1;
}

static int is_word(const char *word, size_t length, const char *const *words)
{
    for (; *words; words++)
        if (strlen(*words) == length && !strncmp(*words, word, length))
            return 1;
    return 0;
}

/* How likely an encoder is the trained one, 0 the best, by the words of its prefix (between dots
 * and underscores): key encoders, teachers and averages follow another. */
static int rank_of(const char *prefix)
{
    static const char *const trained[] = { "q", "query", "base", "online", "student", NULL };
    static const char *const followers[] = { "k", "key", "momentum", "target", "teacher", "ema",
                                             "swa", NULL };
    int rank = 1;
    for (const char *at = prefix; *at;) {
        size_t length = strcspn(at, "._");
        if (is_word(at, length, followers))
            return 2;
        if (is_word(at, length, trained))
            rank = 0;
        at += length;
        at += *at != '\0';
    }
    return rank;
}

/* The better one; of equals the shorter prefix, then the alphabet's order. */
static int is_before(const struct foreign_encoder *a, const struct foreign_encoder *b)
{
    int x = rank_of(a->prefix), y = rank_of(b->prefix);
    size_t m = strlen(a->prefix), n = strlen(b->prefix);
    return x != y ? x < y : m != n ? m < n : strcmp(a->prefix, b->prefix) < 0;
}

static void add(struct foreign *out, const struct foreign_encoder *e, int *found)
{
    struct foreign_encoder loser = *e;
    if (!*found) {
        out->is = *e;
        *found = 1;
        return;
    }
    if (is_before(e, &out->is)) {
        loser = out->is;
        out->is = *e;
    }
    if (out->other_count < FOREIGN_MAX)
        out->others[out->other_count++] = loser;
}

int foreign_find(struct foreign *out, const struct st_file *file)
{
    int found = 0;
    *out = (struct foreign){ 0 };
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const char *name = safetensors_at(file, i)->name;
        size_t length = strlen(name);
        for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
            size_t first = strlen(starts[s].first);
            if (length < first || strcmp(name + length - first, starts[s].first) ||
                length - first >= FOREIGN_PREFIX ||
                (length > first && name[length - first - 1] != '.'))
                continue;
            struct foreign_encoder e = { .naming = starts[s].naming };
            memcpy(e.prefix, name, length - first);
            if (is_encoder(&e, file))
                add(out, &e, &found);
        }
    }
    return found ? MOCO_OK : foreign_refuse(file);
}
