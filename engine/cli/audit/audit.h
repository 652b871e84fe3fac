/* audit.h: what moco data found, printed, as JSON, and on a contact sheet. */
#ifndef MOCO_ENGINE_CLI_AUDIT_AUDIT_H
#define MOCO_ENGINE_CLI_AUDIT_AUDIT_H

#include <stdio.h>

#include "engine/data/audit.h"

/* One set, or a second one that it is to be tested on. */
struct checked {
    struct audit train, test;
    int has_test;
    struct leak *leaks; /* (leak_count) */
    size_t leak_count;
    int32_t *map; /* (test's classes) what they are in train's numbering; NULL: no class is in both
                   * sets */
    int list; /* lines for each kind of finding */
};

/* Of a kind: "odd_sizes" and, for one finding, "odd size". */
const char *audit_kind_name(enum audit_kind kind);
const char *audit_kind_one(enum audit_kind kind);

/* "u8" */
const char *audit_dtype(const struct source *source);

/* A file's name or "image 17"; 1 if it was a name. */
int audit_image_name(char *out, size_t size, const struct source *source, size_t index);

/* What the sentence says of an image beside its name and that it should be repaired. */
void audit_reason(char *out, size_t size, const struct source *source,
                  const struct finding *finding);

void audit_print(const struct checked *checked);
void audit_print_json(const struct checked *checked);

/* `count` images of the set at even distances, then what was found. */
int audit_sheet(const struct checked *checked, const char *out, int count);

#endif
