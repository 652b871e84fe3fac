/* print.c: what moco data found, for people to read. */
#include "engine/cli/audit/audit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli/cli.h"
#include "engine/data/missing.h"

enum { CHANNELS_SHOWN = 16, CLASSES_SHOWN = 120, LINE_WIDTH = 96, NAME = 1300 };

/* ---- words ---- */

static const struct {
    const char *name, *one, *means;
} kinds[AUDIT_KINDS] = {
    [AUDIT_UNREADABLE] = { "unreadable", "unreadable",
                           "of no kind that is read, or nearly without a value" },
    [AUDIT_TRUNCATED] = { "truncated", "truncated", "end too early" },
    [AUDIT_DAMAGED] = { "damaged", "damaged", "a checksum, a code or a size is wrong" },
    [AUDIT_NOT_FINITE] = { "not_finite", "not finite", "hold NaN or infinite values" },
    [AUDIT_CONSTANT] = { "constant", "constant", "each channel has one value" },
    [AUDIT_DUPLICATE] = { "duplicates", "duplicate", "the same pixels as an image before" },
    [AUDIT_RELABELLED] = { "relabelled", "relabelled", "duplicates of another label" },
    [AUDIT_ODD_SIZE] = { "odd_sizes", "odd size", "unlike the others in size or shape" },
    [AUDIT_ANIMATED] = { "animated", "animated", "the first frame is taken" },
    [AUDIT_UNLABELLED] = { "unlabelled", "unlabelled", "no label where others have one" },
    [AUDIT_EMPTY_CLASS] = { "empty_classes", "empty class", "without an image" },
};

const char *audit_kind_name(enum audit_kind kind)
{
    return kinds[kind].name;
}

const char *audit_kind_one(enum audit_kind kind)
{
    return kinds[kind].one;
}

const char *audit_dtype(const struct source *source)
{
    static const char *const names[] = { "u8", "u16", "i16", "f16", "f32", "f64" };
    return names[source->dtype];
}

int audit_image_name(char *out, size_t size, const struct source *source, size_t index)
{
    const char *name = source->name ? source->name(source, index) : NULL;
    if (name)
        snprintf(out, size, "%s", name);
    else
        snprintf(out, size, "image %zu", index);
    return name != NULL;
}

void audit_reason(char *out, size_t size, const struct source *source,
                  const struct finding *finding)
{
    static const char refused[] = "not a readable image (", repair[] = "); repair or remove it";
    const char *text = finding->sentence ? finding->sentence : "no memory for the sentence";
    const char *name = source->name ? source->name(source, finding->image) : NULL;
    const char *at = name ? strstr(text, name) : NULL;
    if (at && !strncmp(at + strlen(name), ": ", 2))
        text = at + strlen(name) + 2;
    size_t length = strlen(text), tail = sizeof repair - 1;
    if (!strncmp(text, refused, sizeof refused - 1) && length > tail &&
        !strcmp(text + length - tail, repair)) {
        text += sizeof refused - 1;
        length = strlen(text) - tail;
    }
    snprintf(out, size, "%.*s", (int)length, text);
}

/* ---- the set ---- */

static void print_missing(const struct source *source)
{
    struct missing_counts n = missing_count(source);
    if (n.images_with)
        printf("missing     %llu of %llu numbers, in %llu images: not among the statistics\n",
               (unsigned long long)(n.declared + n.found), (unsigned long long)n.numbers,
               (unsigned long long)n.images_with);
}

static void print_size(const struct audit *audit)
{
    const struct source *source = audit->source;
    const int *s = audit->smallest, *m = audit->median, *l = audit->largest;
    printf("kind        %s\nimages      %zu", source->kind, source->count);
    if (audit->read < source->count)
        printf(", of which %zu can be read", audit->read);
    printf("\nchannels    %d, %s\n", source->channels, audit_dtype(source));
    if (audit->alpha)
        printf("alpha       %zu images have it\n", audit->alpha);
    print_missing(source);
    if (!memcmp(s, l, 2 * sizeof *s))
        printf("size        %d x %d\n", s[1], s[0]);
    else
        printf("size        %d x %d to %d x %d, median %d x %d (width x height)\n", s[1], s[0],
               l[1], l[0], m[1], m[0]);
}

static void class_name(char *out, size_t size, const struct source *source, int c)
{
    if (source->class_names)
        snprintf(out, size, "%s", source->class_names[c]);
    else
        snprintf(out, size, "%d", c);
}

/* Names and counts in as many columns as fit. */
static void print_classes(const struct audit *audit)
{
    const struct source *source = audit->source;
    char name[NAME], digits[32];
    int widest = 0, wide = 0, shown = source->classes;
    if (!source->labels) {
        printf("classes     none\n");
        return;
    }
    printf("classes     %d\n", source->classes);
    shown = shown < CLASSES_SHOWN ? shown : CLASSES_SHOWN;
    for (int c = 0; c < shown; c++) {
        class_name(name, sizeof name, source, c);
        int length = (int)strlen(name);
        widest = length > widest ? length : widest;
        length = snprintf(digits, sizeof digits, "%zu", audit->class_counts[c]);
        wide = length > wide ? length : wide;
    }
    int cell = widest + wide + 4, columns = cell < LINE_WIDTH ? LINE_WIDTH / cell : 1;
    int rows = (shown + columns - 1) / columns;
    for (int row = 0; row < rows; row++)
        for (int c = row; c < shown; c += rows) {
            class_name(name, sizeof name, source, c);
            printf("  %-*s %*zu%s", widest, name, wide, audit->class_counts[c],
                   c + rows < shown ? " " : "\n");
        }
    if (shown < source->classes)
        printf("  and %d more (--json has all)\n", source->classes - shown);
}

/* C libraries print the sign of NaN, which says nothing. */
static double plain(double x)
{
    return isnan(x) ? (double)NAN : x;
}

static void print_statistics(const struct audit *audit)
{
    int channels = audit->source->channels;
    printf("\n%-11s %-11s %-11s %-11s %s\n", "channel", "mean", "std", "min", "max");
    for (int c = 0; c < channels && c < CHANNELS_SHOWN; c++)
        printf("  %-9d %-11.5g %-11.5g %-11.5g %.5g\n", c, plain(audit->mean[c]),
               plain(audit->std[c]), plain(audit->low[c]), plain(audit->high[c]));
    if (channels > CHANNELS_SHOWN)
        printf("  and %d more (--json has all)\n", channels - CHANNELS_SHOWN);
}

/* ---- findings ---- */

static void print_finding(const struct source *source, const struct finding *f)
{
    char name[NAME], more[NAME];
    if (f->kind == AUDIT_EMPTY_CLASS) {
        class_name(name, sizeof name, source, (int)f->image);
        printf("    %s\n", name);
        return;
    }
    audit_image_name(name, sizeof name, source, f->image);
    printf("    %s", name);
    if (f->kind <= AUDIT_DAMAGED) {
        audit_reason(more, sizeof more, source, f);
        printf(": %s", more);
    } else if (f->kind == AUDIT_DUPLICATE || f->kind == AUDIT_RELABELLED) {
        audit_image_name(more, sizeof more, source, f->other);
        printf(" = %s", more);
    }
    if (f->kind == AUDIT_RELABELLED)
        for (int i = 0; i < 2; i++) {
            int label = source_label(source, i ? f->other : f->image);
            strcpy(more, "none");
            if (label >= 0)
                class_name(more, sizeof more, source, label);
            printf(i ? " and %s)" : " (labels %s", more);
        }
    printf("\n");
}

static void print_size_of(const struct audit *audit, const struct finding *f)
{
    char name[NAME];
    const struct audit_image *image = &audit->images[f->image];
    audit_image_name(name, sizeof name, audit->source, f->image);
    printf("    %s: %d x %d\n", name, image->width, image->height);
}

/* "odd sizes" */
static const char *words_of(char *out, size_t size, int kind)
{
    snprintf(out, size, "%s", kinds[kind].name);
    for (char *at = out; *at; at++)
        *at = *at == '_' ? ' ' : *at;
    return out;
}

/* Says something only of images with labels. */
static int is_of_labels(int kind)
{
    return kind == AUDIT_RELABELLED || kind == AUDIT_UNLABELLED || kind == AUDIT_EMPTY_CLASS;
}

/* What was looked for and is not there. */
static void print_none(const struct audit *audit)
{
    char name[32];
    int column = 0;
    for (int kind = 0; kind < AUDIT_KINDS; kind++) {
        if (audit->seen[kind] || (is_of_labels(kind) && !audit->source->labels))
            continue;
        words_of(name, sizeof name, kind);
        if (column == 0)
            column = printf("none of     %s", name);
        else if (column + (int)strlen(name) + 2 > LINE_WIDTH)
            column = printf(",\n            %s", name) - 2;
        else
            column += printf(", %s", name);
    }
    if (column)
        putchar('\n');
}

static void print_findings(const struct audit *audit, int list)
{
    size_t i = 0;
    char name[32];
    printf("\n");
    for (int kind = 0; kind < AUDIT_KINDS; kind++) {
        size_t n = audit->seen[kind], lines = n < (size_t)list ? n : (size_t)list;
        if (n)
            printf("%-11s %zu, %s\n", words_of(name, sizeof name, kind), n, kinds[kind].means);
        for (size_t k = 0; k < lines; k++) {
            const struct finding *finding = &audit->findings[i + k];
            if (kind == AUDIT_ODD_SIZE)
                print_size_of(audit, finding);
            else
                print_finding(audit->source, finding);
        }
        if (lines < n && list)
            printf("    and %zu more\n", n - lines);
        i += n;
    }
    print_none(audit);
}

static void print_set(const struct audit *audit, int list)
{
    print_size(audit);
    print_classes(audit);
    print_statistics(audit);
    print_findings(audit, list);
}

/* ---- two sets ---- */

/* Classes of one set that have no image in the other. */
static void print_absent(const char *title, const char *means, const struct source *source,
                         const unsigned char *absent, int list)
{
    char name[NAME];
    int n = 0;
    for (int c = 0; c < source->classes; c++)
        n += absent[c];
    printf("%s%d%s%s\n", title, n, n ? ", " : "", n ? means : "");
    for (int c = 0, line = 0; c < source->classes && line < list; c++)
        if (absent[c]) {
            class_name(name, sizeof name, source, c);
            printf("    %s\n", name);
            line++;
        }
    if (n > list && list)
        printf("    and %d more\n", n - list);
}

static void print_classes_of_both(const struct checked *c)
{
    const struct audit *train = &c->train, *test = &c->test;
    int a = train->source->classes, b = test->source->classes;
    unsigned char *absent = calloc(2 * ((size_t)a + (size_t)b) + 1, 1), *tested;
    if (!absent)
        return;
    tested = absent + b;
    for (int i = 0; i < b; i++) {
        absent[i] = (unsigned char)(!c->map ? test->class_counts[i] > 0
                                            : audit_untrained(train, test, c->map, i));
        if (c->map && c->map[i] < a && test->class_counts[i])
            tested[c->map[i]] = 1;
    }
    for (int i = 0; i < a; i++)
        tested[i] = (unsigned char)(!tested[i] && train->class_counts[i] > 0);
    print_absent("untrained   ", "classes of the second set without an image in the first",
                 test->source, absent, c->list);
    print_absent("untested    ", "classes of the first set without an image in the second",
                 train->source, tested, c->list);
    free(absent);
}

static void print_leaks(const struct checked *c)
{
    char name[NAME], other[NAME];
    size_t lines = c->leak_count < (size_t)c->list ? c->leak_count : (size_t)c->list;
    printf("leaks       %zu%s\n", c->leak_count,
           c->leak_count ? ", images of the second set whose pixels are in the first" : "");
    for (size_t i = 0; i < lines; i++) {
        audit_image_name(name, sizeof name, c->test.source, c->leaks[i].test);
        audit_image_name(other, sizeof other, c->train.source, c->leaks[i].train);
        printf("    %s = %s\n", name, other);
    }
    if (lines < c->leak_count && c->list)
        printf("    and %zu more\n", c->leak_count - lines);
}

void audit_print(const struct checked *c)
{
    print_set(&c->train, c->list);
    if (!c->has_test)
        return;
    printf("\n-- the second set\n\n");
    print_set(&c->test, c->list);
    printf("\n-- both sets\n\n");
    print_leaks(c);
    print_classes_of_both(c);
}
