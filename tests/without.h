/* without.h: what the test of a format is in a build without the format's library: a file, and a
 * folder of such files, are refused with a sentence that names the package. */
#ifndef MOCO_TESTS_WITHOUT_H
#define MOCO_TESTS_WITHOUT_H

#include "tests/files.h"

struct without {
    const char *kind, *name, *rest; /* "tiff", "a.tif", what stands behind the path */
    const char *bytes;              /* how such a file begins */
    size_t size;
    const char *library, *package;
    int folders; /* the format has folders */
};

/* The exit status of the program: 77, for that is not what it should test. */
static inline int without_library(const struct without *w)
{
    char sentence[64], inside[64];
    if (files_begin())
        return 1;
    snprintf(sentence, sizeof sentence, "install the package %s", w->package);
    put(w->name, w->bytes, w->size);
    must_refuse(at(w->name), sentence);
    must_refuse(spec_of(w->kind, w->name, w->rest), "build moco again");
    if (w->folders) {
        mkdir(at("set"), 0777);
        snprintf(inside, sizeof inside, "set/%s", w->name);
        put(inside, w->bytes, w->size);
        must_refuse(at("set"), sentence);
    }
    files_end();
    printf("this build has no %s: only the sentences that say so were checked\n", w->library);
    return check_summary(w->kind) ? 1 : 77;
}

#endif
