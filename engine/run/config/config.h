/* config.h: every setting of a run, and where its value came from.
 *
 * A flag beats the config file, which beats the preset, which beats what the weights say that
 * training starts from, which beat what is derived from the data.
 * One table in config.c lists all settings (name as typed, type, field, help): flags, files,
 * presets, the printed list and config.json all read that table. */
#ifndef MOCO_ENGINE_RUN_CONFIG_CONFIG_H
#define MOCO_ENGINE_RUN_CONFIG_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/contrast/method.h"
#include "engine/data/digest.h"
#include "engine/data/loader.h"
#include "engine/net/encoder.h"
#include "engine/optim/optimiser.h"
#include "engine/optim/schedule.h"
#include "engine/run/saved/safetensors.h"

enum origin { FROM_DEFAULT, FROM_DATA, FROM_WEIGHTS, FROM_PRESET, FROM_FILE, FROM_FLAG };

struct run_config {
    /* what */
    char data[1024], positive[1024], out[1024], init[1024], preset[32], method[32], key_encoder[32];
    /* encoder */
    char arch[16], stem[16];
    int width, dim, mlp, bn_splits, side;
    /* contrast */
    int queue;       /* moco-k */
    double m, T;     /* moco-m, moco-t */
    int symmetric, mask, shuffle_bn, fill_first, m_cosine;
    int hidden;      /* moco-mlp-dim */
    int nce, sampled, full_softmax; /* one of them: the memory bank's loss */
    int negatives;
    double bank_momentum, proximal;
    char nce_z[16];
    char positive_by[16];
    double margin;
    int pairs_by_label, normalise;
    double consistency, labels_fraction;
    int labels_per_batch;
    /* optimiser */
    char optimiser[16];
    double trust, beta1, beta2, epsilon;
    int epochs, batch, accumulate;
    double lr, wd, momentum, warmup;
    int cosine;
    char schedule[128];  /* "120,160" */
    /* augmentation */
    double crop_lo, crop_hi, flip_p, jitter_p, brightness, contrast, saturation, hue, grey_p;
    double blur_p, blur_lo, blur_hi;
    int antialias, rotate90, per_channel;
    double flip_vertical_p, rotate, solarise_p, solarise_threshold, noise, poisson, drop_p;
    char rotate_fill[16];
    char mean[4096], std[4096]; /* "0.49,0.48,0.45"; "" = measured on the data */
    /* evaluation */
    char knn_train[1024], knn_test[1024], feature[16];
    int knn_every, knn_k;
    double knn_t;
    /* the run */
    uint64_t seed;
    double max_bad, max_missing;
    int shuffle_window;
    int threads, workers, checkpoint_every, resume, force, json, deterministic, profile;
    char conv[16], precision[8], simd[16], config[1024];
};

/* For settings that came after the first checkpoints: these go on, and equal runs give equal
 * files. */
enum { SAVED_IF_OTHER = 2 };

enum setting_type { SETTING_INT, SETTING_U64, SETTING_DOUBLE, SETTING_TEXT, SETTING_SWITCH };

/* One row of the table. */
struct setting {
    const char *name;    /* without the two dashes; a switch also has "no-NAME" */
    enum setting_type type;
    size_t offset, size; /* in struct run_config; size in bytes for texts */
    int saved;           /* 1: defines the run: stands in the recipe, must not change on --resume;
                          * SAVED_IF_OTHER: the same, but left out while it has its default */
    const char *what;    /* of a text: "DATA", "DIR", "FILE"; NULL: any other */
    const char *help;    /* one line; words in back quotes are the values that there are */
};

const struct setting *config_settings(size_t *count);

struct config {
    struct run_config value;
    enum origin origin[128]; /* by row of the table */
    struct digest files; /* of the data; stands in config.json beside the settings */
    char init_sum[ST_SUM]; /* of the weights that training starts from; "" without; stands in the
                            * recipe as init, in whose place a path would say nothing */
    char reasons[600]; /* what follows from images and batch, and why; "" when nothing does */
};

/* Defaults: cifar-demo's values without the preset's name. */
void config_default(struct config *config);

/* Sets one setting from text, unless its origin is stronger already. */
int config_set(struct config *config, const char *name, const char *text, enum origin origin);

/* Applies a preset ("cifar-demo", "moco-v1", "moco-v2", "instdisc-cifar") with origin
 * FROM_PRESET. */
int config_preset(struct config *config, const char *name);

/* Reads a JSON object of settings (config.json of another run will do) with origin FROM_FILE. */
int config_read(struct config *config, const char *path);

/* The text of such a file; the caller frees it. */
int config_file_text(char **out, const char *path);

/* The same from JSON text; `path` names it in sentences. */
int config_read_text(struct config *config, const char *text, const char *path);

/* Writes every resolved setting, its origin, version, CPU and kernels; temporary, flush, rename. */
int config_write(const struct config *config, const char *path, const char *simd_name);

/* Checks ranges and combinations: one sentence that says which and why. `count`: images. */
int config_check(const struct config *config, size_t count);

/* The same without the size of the batch and the branches: enough to make views. */
int config_check_views(const struct config *config);

/* The parts as the stages want them. mean and std have been filled in. */
int config_policy(struct policy *out, const struct run_config *config, int channels);
int config_net(struct net_config *out, const struct run_config *config, int channels);
int config_schedule(struct schedule *out, const struct run_config *config);
int config_optimiser(struct optimiser *out, const struct run_config *config);
void config_loader(struct loader_config *out, const struct run_config *config);
/* Whether the method reads labels in training. */
int config_reads_labels(const struct run_config *config);
/* images, classes: of the training data. */
void config_method(struct method_config *out, const struct run_config *config, size_t images,
                   size_t classes);

/* The setting of that name, or NULL. */
const struct setting *config_setting(const char *name);

/* JSON object of all saved settings in the table's order, without machine, path or time: what two
 * runs must have in common to be the same run. The caller frees it; NULL without memory. */
char *config_recipe(const struct config *config);

/* Value of a row as text. */
void config_text(char *out, size_t size, const struct config *config, const struct setting *row);
/* The value is that of config_default(). */
int config_is_usual(const struct config *config, const struct setting *row);
const char *origin_name(enum origin origin); /* "default", "data", "weights", "preset", ... */

#endif
