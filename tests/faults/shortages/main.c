/* main.c: sets of all formats are read while memory, descriptors or reads fail, at every place. A
 * read that a signal interrupts changes nothing; what the process lacks ends the call as such and
 * leaves no memory behind; a disk's failure is one of its file. No image is ever another one. */
#include "tests/faults/shortages/sets.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/faults/shortages/inject.h"

enum { IMAGES_MAX = 16, PLACES_MAX = 1500 };

int check_count, check_failures;
char files_dir[512];

/* What a set is: rc of the first failure, else a sum for each image. */
struct result {
    int rc, own; /* own: a failure was one of the process */
    size_t count, bad;
    uint64_t labels, sums[IMAGES_MAX]; /* 0: it could not be read */
};

static uint64_t add(uint64_t sum, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(1099511628211);
    return sum;
}

static uint64_t sum_of(const struct image *image)
{
    int size[] = { image->channels, image->height, image->width };
    size_t n = (size_t)size[0] * (size_t)size[1] * (size_t)size[2];
    return add(add(1469598103, size, sizeof size), image->pixels, n * sizeof(float)) | 1;
}

/* All images that there are; one that fails by itself does not end it. */
static void read_images(struct result *out, const struct source *source)
{
    struct image image = { 0 };
    out->count = source->count;
    out->labels = add(source_views(source), source->note, strlen(source->note));
    for (size_t i = 0; i < source->count && i < IMAGES_MAX; i++) {
        const char *name = source->name ? source->name(source, i) : NULL;
        int label = source_label(source, i);
        out->labels = add(out->labels, &label, sizeof label);
        if (label >= 0 && source->class_names)
            out->labels = add(out->labels, source->class_names[label],
                              strlen(source->class_names[label]));
        out->labels = add(out->labels, name ? name : "", name ? strlen(name) : 0);
        int rc = source->read(source, i, &image);
        if (rc == MOCO_OK) {
            out->sums[i] = sum_of(&image);
            continue;
        }
        out->bad++;
        out->rc = out->rc == MOCO_OK ? rc : out->rc;
        out->own |= source_is_short(rc);
    }
    image_close(&image);
}

static struct result look(const char *spec)
{
    struct result out = { .rc = MOCO_OK };
    struct source *source = NULL;
    error_set(MOCO_OK, "%s", "");
    out.rc = source_open(&source, spec);
    out.own = source_is_short(out.rc);
    if (out.rc == MOCO_OK)
        read_images(&out, source);
    source_close(&source);
    return out;
}

/* Each image that was read is the one that it should be, and has its label. */
static int agrees(const struct result *got, const struct result *want, int all)
{
    if (got->count && got->count != want->count)
        return 0;
    for (size_t i = 0; i < got->count; i++)
        if ((got->sums[i] || all) && got->sums[i] != want->sums[i])
            return 0;
    return !all || got->labels == want->labels;
}

/* The same where a file of several images may have become one that cannot be read. */
static int are_among(const struct result *got, const struct result *want)
{
    size_t at = 0;
    for (size_t i = 0; i < got->count; i++) {
        if (!got->sums[i])
            continue;
        while (at < want->count && want->sums[at] != got->sums[i])
            at++;
        if (at++ == want->count)
            return 0;
    }
    return got->bad <= 2;
}

/* ---- failures, one place after the other ---- */

static long places(const char *spec, enum inject_what what)
{
    inject(what, 0, 0, 0);
    look(spec);
    return inject_end();
}

/* The k-th allocation fails. */
static struct result one_fails(const struct set *set, const char *spec, const struct result *want,
                               int lasting, long k)
{
    long held = inject_held();
    inject(INJECT_ALLOCATION, k, lasting, ENOMEM);
    struct result got = look(spec);
    inject_end();
    CHECK_MSG(got.rc == MOCO_OK || got.own, "%s, allocation %ld: %s", spec, k, error_text());
    CHECK_MSG(agrees(&got, want, got.rc == MOCO_OK), "%s, allocation %ld: %zu images, other ones",
              spec, k, got.count);
    CHECK_MSG(set->library || inject_held() == held, "%s, allocation %ld: %ld blocks are left",
              spec, k, inject_held() - held);
    return got;
}

/* The same in a process of its own, which the format's library may crash: some do where they have
 * no memory. Returns 1 if so. */
static int one_fails_apart(const struct set *set, const char *spec, const struct result *want,
                           int lasting, long k, long *told)
{
    int status = 0, before = check_failures;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        struct result got = one_fails(set, spec, want, lasting, k);
        fflush(stdout);
        fflush(stderr);
        _exit(check_failures > before ? 1 : got.own ? 2 : 0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_MSG(WIFSIGNALED(status) || WEXITSTATUS(status) != 1, "%s, allocation %ld", spec, k);
    *told += WIFEXITED(status) && WEXITSTATUS(status) == 2;
    return WIFSIGNALED(status);
}

static void memory_fails(const struct set *set, const char *spec, const struct result *want,
                         int lasting)
{
    long n = places(spec, INJECT_ALLOCATION), step = 1 + n / PLACES_MAX, told = 0, tried = 0;
    long crashed = 0;
    CHECK_MSG(n > 2, "%s: %ld allocations", spec, n);
    for (long k = 1; k <= n; k += step, tried++)
        if (set->library)
            crashed += one_fails_apart(set, spec, want, lasting, k, &told);
        else
            told += one_fails(set, spec, want, lasting, k).own;
    CHECK_MSG(told > 0, "%s: no failure of memory was told", spec);
    CHECK_MSG(8 * crashed <= tried, "%s: %ld of %ld crashed", spec, crashed, tried);
    if (crashed)
        printf("%s: the library crashed at %ld of %ld allocations\n", spec, crashed, tried);
}

static void opening_fails(const char *spec, const struct result *want)
{
    long n = places(spec, INJECT_OPEN);
    for (long k = 1; k <= n; k++) {
        inject(INJECT_OPEN, k, 0, EINTR);
        struct result again = look(spec);
        inject_end();
        CHECK_MSG(again.rc == MOCO_OK && agrees(&again, want, 1), "%s, open %ld of %ld "
                  "interrupted: %s", spec, k, n, error_text());
        inject(INJECT_OPEN, k, 1, k & 1 ? EMFILE : ENFILE);
        struct result got = look(spec);
        inject_end();
        CHECK_MSG((got.rc == MOCO_OK || got.own) && agrees(&got, want, got.rc == MOCO_OK),
                  "%s, open %ld of %ld: %s", spec, k, n, error_text());
    }
}

static void reading_fails(const char *spec, const struct result *want)
{
    long n = places(spec, INJECT_READ), told = 0;
    for (long k = 1; k <= n; k++) {
        inject(INJECT_READ, k, 0, EINTR);
        struct result again = look(spec);
        inject_end();
        CHECK_MSG(again.rc == MOCO_OK && agrees(&again, want, 1), "%s, read %ld of %ld "
                  "interrupted: %s", spec, k, n, error_text());
        inject(INJECT_READ, k, 0, EIO);
        struct result got = look(spec);
        inject_end();
        int right = got.rc == MOCO_OK ? agrees(&got, want, 1)
                                      : source_is_bad(got.rc) && !got.own && are_among(&got, want);
        CHECK_MSG(right, "%s, read %ld of %ld: %d, %zu images, %zu bad: %s", spec, k, n, got.rc,
                  got.count, got.bad, error_text());
        told += got.rc != MOCO_OK;
    }
    CHECK_MSG(2 * told >= n, "%s: %ld of %ld failures of reads were told", spec, told, n);
}

/* ---- no descriptor is left ---- */

static rlim_t allow(rlim_t files)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = files;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    return before;
}

static void no_descriptors(const struct set *set, const char *spec, const struct result *want)
{
    int next = dup(0);
    close(next);
    struct source *source = must_open(spec);
    struct result late = { .rc = MOCO_OK };
    rlim_t before = allow((rlim_t)next); /* files that are open stay so */
    struct result early = look(spec);
    if (source)
        read_images(&late, source);
    allow(before);
    CHECK_MSG(early.rc == MOCO_ELIMIT, "%s without descriptors: %d, %s", spec, early.rc,
              error_text());
    CHECK_MSG(set->opens ? late.rc == MOCO_ELIMIT : late.rc == MOCO_OK && agrees(&late, want, 1),
              "%s, open without descriptors: %d", spec, late.rc);
    source_close(&source);
}

int main(void)
{
    if (files_begin() || chdir(files_dir)) /* what stands behind a comma is found from here */
        return 1;
    for (const struct set *set = sets; set->path; set++) {
        char spec[1400];
        set->make();
        snprintf(spec, sizeof spec, "%s", spec_of(set->kind, set->path, set->rest));
        struct result want = look(spec); /* and libraries begin */
        CHECK_MSG(want.rc == MOCO_OK && want.count && want.count <= IMAGES_MAX, "%s: %s", spec,
                  error_text());
        opening_fails(spec, &want);
        reading_fails(spec, &want);
        no_descriptors(set, spec, &want);
        for (int lasting = 0; set->library != 2 && lasting < 2; lasting++)
            memory_fails(set, spec, &want, lasting);
    }
    files_end();
    return check_summary("shortages");
}
