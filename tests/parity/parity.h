/* parity.h: a recorded case, and what the engine produced for it. Shared by the files of the
 * replayer; main.c says what it does. */
#ifndef MOCO_TESTS_PARITY_PARITY_H
#define MOCO_TESTS_PARITY_PARITY_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/net/conv.h"
#include "simd/simd.h"
#include "tests/npy.h"

enum { PATH = 4096, NAME = 128, QUANTITIES = 2048 };

struct options {
    int list;
    double factor; /* of every tolerance that is not 0 */
    enum conv_policy conv;
    struct moco_simd simd;
};

/* One quantity that the engine produced: `rows` leading indices of `count` numbers. */
struct got {
    char name[NAME];
    size_t rows, count;
    double *data;
};

struct replay {
    const char *dir;
    const struct options *options;
    cJSON *json, *config; /* config: inside json */
    struct got *got;      /* (QUANTITIES) */
    size_t got_count;
};

/* How a case did. */
struct verdict {
    size_t quantities, failed;
    double worst; /* share of the tolerance */
    char name[NAME + 32];
};

/* ---- case.c: the folder, its settings and arrays, and the list of what was produced ---- */

void *room(size_t bytes); /* zeros; ends the program without memory */
void path_of(char *out, const struct replay *r, const char *file);
cJSON *read_json(const char *path);

/* Reads an array of `count` (0: any number of) numbers of a kind; the caller closes it. */
int read_array(struct npy *npy, const struct replay *r, const char *file, char kind, size_t item,
               size_t count);

/* Settings of the case, and of one of its steps. */
double number(const struct replay *r, const char *key);
int flag(const struct replay *r, const char *key);
const char *word(const struct replay *r, const char *key);
double per_step(const struct replay *r, const char *key, int step);

double *got_row(struct replay *r, const char *prefix, const char *name, size_t row, size_t rows,
                size_t count);
void put_floats(struct replay *r, const char *prefix, const char *name, size_t row, size_t rows,
                const float *from, size_t count);
void put_ints(struct replay *r, const char *name, size_t row, size_t rows, const int64_t *from,
              size_t count);
void put_figure(struct replay *r, const char *name, size_t row, size_t rows, double value);

/* ---- training.c, kernels.c: replay what the case holds ---- */

int replay_training(struct replay *r);
int replay_infonce(struct replay *r);
int replay_knn(struct replay *r);

/* ---- compare.c ---- */

int compare(struct verdict *v, const struct replay *r);

#endif
