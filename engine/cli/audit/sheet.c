/* sheet.c: a contact sheet of a data set: some of its images, then a row for each kind of
 * finding; duplicates and leaks stand beside the image that has the same pixels. */
#include "engine/cli/audit/audit.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/cli/sheet/sheet.h"

enum { CELL = 128, COLUMNS = 8, TEXT = 1500 };

struct cell {
    const struct source *source;
    size_t image;
    const char *what; /* of the finding, "" */
};

struct cells {
    struct cell *at; /* (COLUMNS a row); source NULL: empty */
    size_t n;
};

static void put(struct cells *cells, const struct source *source, size_t image, const char *what)
{
    cells->at[cells->n++] = (struct cell){ source, image, what };
}

static void next_row(struct cells *cells)
{
    while (cells->n % COLUMNS)
        cells->at[cells->n++] = (struct cell){ NULL, 0, "" };
}

static void put_findings(struct cells *cells, const struct audit *audit)
{
    size_t at = 0;
    for (int kind = 0; kind < AUDIT_KINDS; kind++) {
        int pairs = kind == AUDIT_DUPLICATE || kind == AUDIT_RELABELLED;
        size_t most = pairs ? COLUMNS / 2 : COLUMNS;
        for (size_t k = 0; k < audit->seen[kind] && k < most; k++) {
            const struct finding *f = &audit->findings[at + k];
            if (kind == AUDIT_EMPTY_CLASS || audit->images[f->image].rc != MOCO_OK)
                continue;
            put(cells, audit->source, f->image, audit_kind_one(f->kind));
            if (pairs)
                put(cells, audit->source, f->other, "");
        }
        next_row(cells);
        at += audit->seen[kind];
    }
}

static void put_sample(struct cells *cells, const struct audit *audit, size_t count)
{
    for (size_t i = 0, n = 0; i < audit->source->count; i++) {
        if (audit->images[i].rc != MOCO_OK)
            continue;
        if ((n + 1) * count / audit->read != n * count / audit->read)
            put(cells, audit->source, i, "");
        n++;
    }
    next_row(cells);
}

static void describe(char *text, const struct cell *cell, const struct image *image)
{
    char name[1300];
    const struct source *source = cell->source;
    int label = source_label(source, cell->image);
    if (!audit_image_name(name, sizeof name, source, cell->image))
        snprintf(name, sizeof name, "#%zu", cell->image);
    snprintf(text, TEXT, "%s%s%s %dx%d", cell->what, cell->what[0] ? ": " : "", name, image->width,
             image->height);
    size_t used = strlen(text);
    if (label >= 0 && source->class_names)
        snprintf(text + used, TEXT - used, " %.150s", source->class_names[label]);
    else if (label >= 0)
        snprintf(text + used, TEXT - used, " class %d", label);
}

static int show(struct sheet *sheet, const struct cell *cell, int row, int column,
                struct image *image)
{
    char text[TEXT];
    struct tone tone;
    int rc = cell->source->read(cell->source, cell->image, image);
    rc = rc == MOCO_ENOTFINITE ? MOCO_OK : rc; /* its pixels are there */
    if (!rc)
        rc = sheet_tone(&tone, image, NULL, cell->source->dtype != DTYPE_U8);
    if (rc)
        return rc;
    describe(text, cell, image);
    sheet_picture(sheet, row, column, image->pixels, image->channels, image->height, image->width,
                  &tone);
    sheet_text(sheet, row, column, text);
    return MOCO_OK;
}

static int show_all(const struct cells *cells, const char *out)
{
    struct sheet sheet;
    struct image image = { 0 };
    int rc = sheet_open(&sheet, (int)(cells->n / COLUMNS), COLUMNS, CELL);
    for (size_t i = 0; i < cells->n && !rc; i++)
        if (cells->at[i].source)
            rc = show(&sheet, &cells->at[i], (int)(i / COLUMNS), (int)(i % COLUMNS), &image);
    if (!rc)
        rc = sheet_write(&sheet, out);
    sheet_close(&sheet);
    image_close(&image);
    return rc;
}

int audit_sheet(const struct checked *c, const char *out, int count)
{
    size_t rows = (size_t)count / COLUMNS + 3 + 2 * AUDIT_KINDS;
    struct cells cells = { .at = calloc(rows * COLUMNS, sizeof *cells.at) };
    if (!cells.at)
        return error_memory("a contact sheet", rows * COLUMNS * sizeof *cells.at);
    size_t shown = (size_t)count < c->train.read ? (size_t)count : c->train.read;
    put_sample(&cells, &c->train, shown);
    put_findings(&cells, &c->train);
    if (c->has_test)
        put_findings(&cells, &c->test);
    for (size_t i = 0; i < c->leak_count && i < COLUMNS / 2; i++) {
        put(&cells, c->test.source, c->leaks[i].test, "leak");
        put(&cells, c->train.source, c->leaks[i].train, "");
    }
    next_row(&cells);
    int rc = cells.n ? show_all(&cells, out)
                     : error_set(MOCO_EFORMAT, "no image can be read, so there is none to show");
    free(cells.at);
    return rc;
}
