/* test_run.c: safetensors and settings.
 *
 * A file of ours comes back as it was written, and is refused after any one flipped bit, at any
 * shorter length, and with every kind of wrong header. Settings: who beats whom, strict numbers,
 * the way through config.json and back, the presets against the published table, and what follows
 * from the number of images and the batch. */
#include "engine/run/config.h"
#include "engine/run/safetensors.h"
#include "engine/run/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "tests/check.h"

static char folder[64];
static char path[128];

static void in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
}

static void put(const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    if (!file)
        return;
    CHECK(fwrite(bytes, 1, size, file) == size);
    fclose(file);
}

static size_t get(unsigned char *bytes, size_t room)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    size_t size = file ? fread(bytes, 1, room, file) : 0;
    if (file)
        fclose(file);
    return size;
}

/* Opens `path`; 1 when it was refused with a sentence that names the file. */
static int refused(void)
{
    struct st_file *file = NULL;
    int rc = safetensors_open(&file, path);
    safetensors_close(&file);
    return rc == MOCO_EFORMAT && strstr(error_text(), path);
}

/* ---- safetensors ---- */

static const float floats[6] = { 1.5f, -2, 3, 0, 1e-30f, 7 };
static const int64_t number = -5;
static const float odd[3] = { 1, 2, 3 };

static void write_sample(void)
{
    const struct st_tensor tensors[] = {
        { "a.weight", ST_F32, 2, { 2, 3 }, floats },
        { "odd \"name\"", ST_F32, 1, { 3 }, odd },
        { "count", ST_I64, 0, { 0 }, &number },
        { "empty", ST_F32, 2, { 0, 4 }, NULL },
    };
    const struct st_meta meta[] = { { "format", "pt" }, { "recipe", "{\"lr\":0.06}" } };
    in_folder("sample.safetensors");
    CHECK_MSG(safetensors_write(path, tensors, 4, meta, 2) == MOCO_OK, "%s", error_text());
}

static void test_round_trip(void)
{
    struct st_file *file = NULL;
    write_sample();
    CHECK_MSG(safetensors_open(&file, path) == MOCO_OK, "%s", error_text());
    if (!file)
        return;
    const struct st_tensor *a = safetensors_find(file, "a.weight");
    const struct st_tensor *count = safetensors_find(file, "count");
    CHECK(safetensors_count(file) == 4);
    CHECK(a && a->type == ST_F32 && a->rank == 2 && a->shape[0] == 2 && a->shape[1] == 3);
    CHECK(a && !memcmp(a->data, floats, sizeof floats) && (size_t)a->data % 8 == 0);
    CHECK(count && count->rank == 0 && !memcmp(count->data, &number, sizeof number));
    CHECK(safetensors_find(file, "odd \"name\"") == safetensors_at(file, 1));
    CHECK(!safetensors_find(file, "b") && !safetensors_meta(file, "b"));
    CHECK(!strcmp(safetensors_meta(file, "recipe"), "{\"lr\":0.06}"));
    safetensors_close(&file);
    safetensors_close(&file);
}

static void test_damage(void)
{
    unsigned char bytes[4096];
    write_sample();
    size_t size = get(bytes, sizeof bytes);
    in_folder("damaged.safetensors");
    for (size_t i = 0; i < size; i++)
        for (int bit = 0; bit < 9; bit++) {
            unsigned char mask = bit < 8 ? (unsigned char)(1 << bit) : 0xff;
            bytes[i] ^= mask;
            put(bytes, size);
            CHECK_MSG(refused(), "byte %zu ^ %d: accepted", i, mask);
            bytes[i] ^= mask;
        }
    for (size_t length = 0; length < size; length++) {
        put(bytes, length);
        CHECK_MSG(refused(), "%zu of %zu bytes: accepted", length, size);
    }
    put(bytes, size + 1);
    CHECK(refused());
}

/* A foreign file of this header and `data` bytes of data. */
static void put_foreign(const char *header, size_t data)
{
    unsigned char bytes[1024] = { 0 };
    bytes[0] = (unsigned char)strlen(header);
    bytes[1] = (unsigned char)(strlen(header) >> 8);
    memcpy(bytes + 8, header, strlen(header));
    in_folder("foreign.safetensors");
    put(bytes, 8 + strlen(header) + data);
}

#define T(name, dtype, shape, offsets) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_headers(void)
{
    static const struct {
        const char *header;
        size_t data;
        const char *word; /* of the sentence */
    } bad[] = {
        { "[]", 0, "JSON" },
        { "{", 0, "JSON" },
        { "{} x", 0, "JSON" },
        { "{" T("a", "F33", "[1]", "[0,4]") "}", 4, "F33" },
        { "{" T("a", "F32", "[2]", "[0,4]") "}", 4, "shape" },
        { "{" T("a", "F32", "[-1]", "[0,4]") "}", 4, "size" },
        { "{" T("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "size" },
        { "{" T("a", "F32", "[1,1,1,1,1]", "[0,4]") "}", 4, "dimensions" },
        { "{" T("a", "F32", "[1]", "[4,0]") "}", 4, "lies" },
        { "{" T("a", "F32", "[1]", "[0,4]") "}", 3, "lies" },
        { "{" T("a", "F32", "[1]", "[0,4]") "}", 5, "end at" },
        { "{" T("a", "F32", "[1]", "[0]") "}", 4, "data_offsets" },
        { "{" T("a", "F32", "[1]", "[4,8]") "}", 8, "gap" },
        { "{" T("a", "F32", "[1]", "[0,4]") "," T("b", "U8", "[4]", "[2,6]") "}", 6, "overlap" },
        { "{" T("a", "U8", "[1]", "[0,1]") "," T("a", "U8", "[1]", "[1,2]") "}", 2, "twice" },
        { "{\"a\":3}", 0, "dtype" },
        { "{\"__metadata__\":{\"a\":1}}", 0, "metadata" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_foreign(bad[i].header, bad[i].data);
        CHECK_MSG(refused(), "%s", bad[i].header);
        CHECK_MSG(strstr(error_text(), bad[i].word), "%s: %s", bad[i].header, error_text());
    }
    put_foreign("{" T("b", "U8", "[2]", "[4,6]") "," T("a", "F32", "[1]", "[0,4]") "}  ", 6);
    CHECK_MSG(!refused(), "%s", error_text());
    in_folder("none");
    CHECK(!refused() && strstr(error_text(), path));
}

/* ---- settings ---- */

static int sets(struct config *config, const char *name, const char *text, enum origin origin)
{
    return config_set(config, name, text, origin) == MOCO_OK;
}

static void test_precedence(void)
{
    struct config c;
    config_default(&c);
    CHECK(c.value.lr == 0.06 && c.origin[0] == FROM_DEFAULT);
    CHECK(sets(&c, "moco-k", "1024", FROM_DATA) && c.value.queue == 1024);
    CHECK(sets(&c, "lr", "0.5", FROM_FLAG));
    CHECK(sets(&c, "lr", "0.4", FROM_FILE) && c.value.lr == 0.5);
    CHECK(sets(&c, "epochs", "7", FROM_FILE));
    CHECK(config_preset(&c, "moco-v1") == MOCO_OK);
    CHECK(c.value.lr == 0.5 && c.value.epochs == 7 && c.value.queue == 65536);
    CHECK(sets(&c, "moco-k", "512", FROM_DATA) && c.value.queue == 65536);
    CHECK(!strcmp(origin_name(FROM_FLAG), "flag"));
}

static void test_pulling(void)
{
    struct config c;
    config_default(&c);
    CHECK(sets(&c, "schedule", "120,160", FROM_FLAG) && !c.value.cosine);
    CHECK(config_preset(&c, "cifar-demo") == MOCO_OK);
    CHECK(!c.value.cosine && !strcmp(c.value.schedule, "120,160"));
    config_default(&c);
    CHECK(sets(&c, "cos", "1", FROM_FLAG) && config_preset(&c, "moco-v1") == MOCO_OK);
    CHECK(c.value.cosine && !c.value.schedule[0]);
    config_default(&c);
    CHECK(sets(&c, "bn-splits", "1", FROM_FLAG) && !c.value.shuffle_bn);
    CHECK(config_check(&c, 50000) == MOCO_OK);
    CHECK(sets(&c, "shuffle-bn", "1", FROM_FLAG));
    CHECK(config_check(&c, 50000) == MOCO_EARG && strstr(error_text(), "one group"));
}

static void test_strict(void)
{
    static const char *const bad[][2] = {
        { "epochs", "3x" },   { "epochs", "" },     { "epochs", "99999999999" }, { "lr", "abc" },
        { "lr", "0.1.2" },    { "lr", "nan" },      { "lr", "1e999" },           { "seed", "-1" },
        { "seed", "1e3" },    { "mlp", "maybe" },   { "stem", "0123456789abcdef" },
    };
    struct config c;
    config_default(&c);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_MSG(!sets(&c, bad[i][0], bad[i][1], FROM_FLAG), "%s %s", bad[i][0], bad[i][1]);
        CHECK(strstr(error_text(), bad[i][0]));
    }
    CHECK(!sets(&c, "moco_t", "1", FROM_FLAG) && strstr(error_text(), "nearest is moco-t"));
    CHECK(!sets(&c, "bach-size", "1", FROM_FLAG) && strstr(error_text(), "batch-size"));
    CHECK(sets(&c, "seed", "18446744073709551615", FROM_FLAG) && c.value.seed == UINT64_MAX);
}

static void test_check(void)
{
    static const struct {
        const char *name, *text, *word;
    } bad[] = {
        { "batch-size", "500", "multiple" },  { "batch-size", "8192", "4096" },
        { "batch-size", "65536", "50000" },   { "arch", "resnet19", "resnet19" },
        { "arch", "resnet", "resnet" },       { "stem", "wide", "stem" },
        { "method", "magic", "magic" },       { "key-encoder", "other", "other" },
        { "moco-m", "1.5", "moco-m" },        { "moco-t", "0", "moco-t" },
        { "moco-t", "-1", "above" },          { "schedule", "120,,160", "schedule" },
        { "schedule", "160,120", "ascend" },  { "mean", "0.1,x", "mean" },
        { "std", "0.1,0", "std" },            { "crop-min", "2", "crop-min" },
        { "blur-min", "3", "blur-min" },      { "hue", "0.6", "hue" },
        { "epochs", "0", "epochs" },          { "conv", "mkl", "conv" },
        { "accumulate", "0", "accumulate" },  { "accumulate", "3", "accumulate 3" },
        { "accumulate", "128", "bn-splits" },
        { "key-encoder", "same", "same" },    { "feature", "tail", "feature" },
        { "flip-vertical", "2", "flip-v" },   { "rotate", "181", "rotate" },
        { "rotate-fill", "edge", "reflect" }, { "solarize", "-1", "solarize" },
        { "noise", "-0.1", "noise" },         { "poisson", "-1", "poisson" },
        { "channel-drop", "1.1", "drop" },    { "knn-t", "1e-300", "knn-t" },
    };
    struct config c;
    config_default(&c);
    CHECK_MSG(config_check(&c, 50000) == MOCO_OK, "%s", error_text());
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        config_default(&c);
        CHECK(sets(&c, bad[i].name, bad[i].text, FROM_FLAG));
        CHECK_MSG(config_check(&c, 50000) != MOCO_OK, "%s %s", bad[i].name, bad[i].text);
        CHECK_MSG(strstr(error_text(), bad[i].word), "%s: %s", bad[i].word, error_text());
    }
}

static void test_file(void)
{
    struct config a, b;
    config_default(&a);
    CHECK(config_preset(&a, "moco-v1") == MOCO_OK);
    CHECK(sets(&a, "lr", "0.1234567890123", FROM_FLAG));
    CHECK(sets(&a, "seed", "18446744073709551615", FROM_FLAG));
    CHECK(sets(&a, "out", "run \"1\"", FROM_FLAG) && sets(&a, "mask", "1", FROM_FLAG));
    in_folder("config.json");
    CHECK_MSG(config_write(&a, path, "ref") == MOCO_OK, "%s", error_text());
    config_default(&b);
    CHECK_MSG(config_read(&b, path) == MOCO_OK, "%s", error_text());
    CHECK(!memcmp(&a.value.width, &b.value.width, sizeof a.value.width));
    size_t count;
    const struct setting *rows = config_settings(&count);
    for (size_t i = 0; i < count; i++) {
        char x[4200], y[4200];
        config_text(x, sizeof x, &a, &rows[i]);
        config_text(y, sizeof y, &b, &rows[i]);
        CHECK_MSG(!strcmp(x, y), "%s: %s, read back %s", rows[i].name, x, y);
    }
    char *p = config_recipe(&a), *q = config_recipe(&b);
    CHECK(p && q && !strcmp(p, q) && strstr(p, "\"moco-k\":65536") && !strstr(p, "\"out\""));
    CHECK(p && strstr(p, "\"lr\":0.1234567890123,") && !strstr(p, "threads"));
    CHECK(p && !strstr(p, "accumulate")); /* nor in the files of older versions */
    CHECK(p && !strstr(p, "rotate") && !strstr(p, "antialias") && !strstr(p, "solarize"));
    free(p);
    free(q);
    CHECK(sets(&a, "accumulate", "2", FROM_FLAG) && sets(&a, "antialias", "0", FROM_FLAG));
    p = config_recipe(&a);
    CHECK(p && strstr(p, "\"accumulate\":2") && strstr(p, "\"antialias\":false"));
    free(p);
    put("{\"lr\": \"x\"}", 11);
    CHECK(config_read(&b, path) != MOCO_OK && strstr(error_text(), path));
    put("{\"lr\": 1", 8);
    CHECK(config_read(&b, path) == MOCO_EFORMAT);
    put("{\"lrr\": 1}", 10);
    CHECK(config_read(&b, path) == MOCO_EARG && strstr(error_text(), "is lr"));
    put("{\"seed\": 12345678901234567}", 27); /* a double would make ...568 of it */
    CHECK(config_read(&b, path) == MOCO_EFORMAT && strstr(error_text(), "seed"));
    put("{\"epochs\": 5, \"mlp\": true}", 26);
    config_default(&b);
    CHECK(config_read(&b, path) == MOCO_OK && b.value.epochs == 5 && b.value.mlp);
}

/* ---- presets ---- */

static void compare(const struct config *c, const char *const (*table)[2])
{
    size_t count;
    const struct setting *rows = config_settings(&count);
    for (; (*table)[0]; table++) {
        char text[4200] = "?";
        for (size_t i = 0; i < count; i++)
            if (!strcmp(rows[i].name, (*table)[0]))
                config_text(text, sizeof text, c, &rows[i]);
        CHECK_MSG(!strcmp(text, (*table)[1]), "%s %s: %s is %s", c->value.preset, (*table)[1],
                  (*table)[0], text);
    }
}

static void test_presets(void)
{
    static const char *const demo[][2] = {
        { "arch", "resnet18" }, { "stem", "cifar" }, { "moco-dim", "128" }, { "mlp", "off" },
        { "moco-k", "4096" }, { "moco-m", "0.99" }, { "moco-t", "0.1" }, { "batch-size", "512" },
        { "lr", "0.06" }, { "momentum", "0.9" }, { "wd", "0.0005" }, { "cos", "on" },
        { "epochs", "200" }, { "bn-splits", "8" }, { "side", "32" }, { "crop-min", "0.08" },
        { "crop-max", "1" }, { "jitter", "0.8" }, { "brightness", "0.4" }, { "contrast", "0.4" },
        { "saturation", "0.4" }, { "hue", "0.1" }, { "grey", "0.2" }, { "blur", "0" },
        { "flip", "0.5" }, { "mean", "0.4914,0.4822,0.4465" },
        { "std", "0.2023,0.1994,0.2010" }, { NULL, NULL } };
    static const char *const v1[][2] = {
        { "arch", "resnet50" }, { "side", "224" }, { "stem", "imagenet" }, { "moco-dim", "128" },
        { "mlp", "off" }, { "moco-k", "65536" }, { "moco-m", "0.999" }, { "bn-splits", "8" },
        { "moco-t", "0.07" }, { "batch-size", "256" }, { "lr", "0.03" }, { "cos", "off" },
        { "schedule", "120,160" }, { "epochs", "200" }, { "wd", "0.0001" }, { "crop-min", "0.2" },
        { "jitter", "1" }, { "hue", "0.4" }, { "grey", "0.2" }, { "blur", "0" },
        { NULL, NULL } };
    static const char *const v2[][2] = {
        { "arch", "resnet50" }, { "mlp", "on" }, { "moco-t", "0.2" }, { "cos", "on" },
        { "schedule", "" }, { "jitter", "0.8" }, { "hue", "0.1" }, { "grey", "0.2" },
        { "blur", "0.5" }, { "blur-min", "0.1" }, { "blur-max", "2" }, { "crop-min", "0.2" },
        { NULL, NULL } };
    static const struct {
        const char *name;
        const char *const (*table)[2];
        int first;
    } all[] = { { "cifar-demo", demo, 1 }, { "moco-v1", v1, 0 }, { "moco-v2", v2, 0 } };
    struct config c;
    struct schedule schedule;
    for (int i = 0; i < 3; i++) {
        config_default(&c);
        CHECK(config_preset(&c, all[i].name) == MOCO_OK);
        compare(&c, all[i].table);
        CHECK_MSG(config_check(&c, 100000) == MOCO_OK, "%s", error_text());
        CHECK(config_schedule(&schedule, &c.value) == MOCO_OK && schedule.first == all[i].first);
        CHECK(schedule.milestone_count == (i == 1 ? 2 : 0));
    }
    CHECK(config_preset(&c, "moco-v9") == MOCO_EARG && strstr(error_text(), "moco-v2"));
}

static void test_parts(void)
{
    struct config c;
    struct policy policy;
    struct net_config net;
    config_default(&c);
    CHECK(config_preset(&c, "cifar-demo") == MOCO_OK);
    CHECK(config_policy(&policy, &c.value, 3) == MOCO_OK && policy.std[2] == 0.2010f);
    CHECK(config_policy(&policy, &c.value, 1) == MOCO_EARG && strstr(error_text(), "3 values"));
    CHECK(sets(&c, "mean", "0.5", FROM_FLAG) && sets(&c, "std", "0.25", FROM_FLAG));
    CHECK(config_policy(&policy, &c.value, 5) == MOCO_OK && policy.mean[4] == 0.5f);
    CHECK(!policy.aliased && !policy.rotate_reflect && !policy.quarter_turns);
    CHECK(sets(&c, "antialias", "off", FROM_FLAG) && sets(&c, "rotate", "15", FROM_FLAG));
    CHECK(sets(&c, "rotate-fill", "reflect", FROM_FLAG) && sets(&c, "poisson", "9", FROM_FLAG));
    CHECK(config_policy(&policy, &c.value, 5) == MOCO_OK && policy.aliased == 1);
    CHECK(policy.rotate == 15.0f && policy.rotate_reflect == 1 && policy.poisson == 9.0f);
    CHECK(config_net(&net, &c.value, 3) == MOCO_OK && net.conv == CONV_AUTO && net.batch == 512);
}

/* ---- what follows from the number of images and the batch ---- */

/* Defaults, then `flags` (name, text, ..., NULL), on that many small images. */
static void resolve(struct config *c, int images, const char *const *flags)
{
    char spec[64];
    struct source *source;
    config_default(c);
    for (; flags && *flags; flags += 2)
        CHECK(!strcmp(flags[0], "preset") ? config_preset(c, flags[1]) == MOCO_OK
                                          : sets(c, flags[0], flags[1], FROM_FLAG));
    snprintf(spec, sizeof spec, "synthetic:n=%d,classes=2,side=8,seed=1", images);
    CHECK_MSG(source_open(&source, spec) == MOCO_OK, "%s", error_text());
    CHECK_MSG(train_resolve(c, source, NULL) == MOCO_OK, "%d images: %s", images, error_text());
    source_close(&source);
}

static void test_sizes(void)
{
    struct config c;
    const struct run_config *v = &c.value;
    const char *reasons = c.reasons;
    resolve(&c, 50000, NULL);
    CHECK(v->batch == 512 && v->queue == 4096 && v->bn_splits == 8 && v->shuffle_bn);
    CHECK(v->lr == 0.06 && v->m == 0.99 && !reasons[0]);
    resolve(&c, 1215, NULL);
    CHECK(v->batch == 64 && v->queue == 512 && v->bn_splits == 1 && !v->shuffle_bn && v->m == 0.99);
    CHECK(v->lr == 0.06);
    CHECK_MSG(strstr(reasons, "batch-size 64 (18 steps") &&
              strstr(reasons, "moco-k 512 (at most half"), "%s", reasons);
    resolve(&c, 20, NULL);
    CHECK(v->batch == 16 && v->queue == 16 && v->bn_splits == 1 && !v->shuffle_bn);
    resolve(&c, 200000, NULL);
    CHECK(v->batch == 512 && v->queue == 65536 && v->m == 0.999 && strstr(reasons, "moco-m 0.999"));
}

static void test_sizes_given(void)
{
    static const char *const batch[] = { "batch-size", "128", NULL };
    static const char *const parts[] = { "batch-size", "128", "accumulate", "4", NULL };
    static const char *const both[] = { "symmetric", "on", NULL };
    static const char *const all[] = { "batch-size", "16", "moco-k", "4096", "lr", "0.5",
                                       "bn-splits", "8", NULL };
    static const char *const demo[] = { "preset", "cifar-demo", NULL };
    struct config c;
    const struct run_config *v = &c.value;
    const char *reasons = c.reasons;
    resolve(&c, 1215, batch);
    CHECK(v->batch == 128 && v->bn_splits == 2 && v->shuffle_bn);
    CHECK(v->lr == 0.06 && v->queue == 512);
    CHECK(!strstr(reasons, "batch-size 128 ("));
    resolve(&c, 1215, parts);
    CHECK(v->bn_splits == 1 && !v->shuffle_bn);
    resolve(&c, 40, both);
    CHECK(v->batch == 32 && v->queue == 64);
    resolve(&c, 5000, all);
    CHECK(v->batch == 16 && v->queue == 4096 && v->lr == 0.5 && v->bn_splits == 8 && !reasons[0]);
    resolve(&c, 5000, demo);
    CHECK(v->batch == 512 && v->queue == 4096 && v->lr == 0.06 && v->bn_splits == 8 && !reasons[0]);
}

/* The rate follows optimiser and batch, with the reason; a flag's and a preset's stay. */
static void test_rate(void)
{
    static const struct {
        const char *flags[7];
        double lr;
        const char *reason;
    } cases[] = {
        { { "batch-size", "512" }, 0.06, NULL },
        { { "batch-size", "64" }, 0.06, "lr 0.06 (0.03 for a batch of 256, that of 512" },
        { { "batch-size", "1024" }, 0.12, "lr 0.12 (0.03 for a batch of 256)" },
        { { "batch-size", "512", "optimizer", "adamw" }, 3e-4, "lr 0.0003 (1.5e-4 for a batch" },
        { { "batch-size", "64", "optimizer", "lars" }, 0.075, "lr 0.075 (0.3 for a batch" },
        { { "batch-size", "64", "lr", "0.4" }, 0.4, NULL },
        { { "optimizer", "adamw", "lr", "0.06" }, 0.06, NULL },
        { { "preset", "instdisc-cifar", "batch-size", "64" }, 0.03, NULL },
    };
    struct config c;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        resolve(&c, 5000, cases[i].flags);
        CHECK_MSG(fabs(c.value.lr - cases[i].lr) < 1e-12, "case %zu: lr %g", i, c.value.lr);
        CHECK_MSG(cases[i].reason ? strstr(c.reasons, cases[i].reason) != NULL
                                  : !strstr(c.reasons, "lr "), "case %zu: %s", i, c.reasons);
    }
}

/* Notices of views: three channels that may be no colours, numbers that jitter cuts. */
static void count_notice(void *user, const char *sentence)
{
    int *seen = user;
    seen[0] += strstr(sentence, "taken for colours") != NULL;
    seen[1] += strstr(sentence, "100 % of the numbers of ") != NULL;
}

static float shown; /* every number of an image */

static int read_shown(const struct source *source, size_t index, struct image *out)
{
    (void)index;
    int rc = image_resize(out, source->channels, source->height, source->width);
    for (int i = 0; !rc && i < source->channels * source->height * source->width; i++)
        out->pixels[i] = shown;
    return rc;
}

/* Three channels of a detector look like colours to nobody but the defaults, and kelvin are no
 * brightness. */
static void test_measurements(void)
{
    static const struct {
        enum source_dtype dtype;
        const char *name, *text;
        float value;
        int colours, cut;
    } cases[] = {
        { DTYPE_U16, "flip", "0", 0.5f, 1, 0 },
        { DTYPE_U8, "flip", "0", 0.5f, 0, 0 },
        { DTYPE_F32, "jitter", "0", 280.0f, 1, 0 },
        { DTYPE_F32, "per-channel", "on", 1.0f, 0, 0 },
        { DTYPE_F32, "per-channel", "on", 280.0f, 0, 1 },
        { DTYPE_F32, "per-channel", "on", 1.02f, 0, 0 }, /* what resampling may leave */
        { DTYPE_I16, "flip", "0", -5.0f, 1, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct source source = { .count = 9, .channels = 3, .height = 16, .width = 16,
                                 .dtype = cases[i].dtype, .read = read_shown };
        struct config c;
        int seen[2] = { 0 };
        struct train_hooks hooks = { .user = seen, .notice = count_notice };
        shown = cases[i].value;
        config_default(&c);
        CHECK(sets(&c, "mean", "0.5", FROM_FLAG) && sets(&c, "std", "0.5", FROM_FLAG));
        CHECK(sets(&c, cases[i].name, cases[i].text, FROM_FLAG));
        CHECK_MSG(views_resolve(&c, &source, &hooks) == MOCO_OK, "%s", error_text());
        CHECK_MSG(seen[0] == cases[i].colours && seen[1] == cases[i].cut,
                  "case %zu: %d and %d notices", i, seen[0], seen[1]);
    }
}

int main(void)
{
    char *dir = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/moco-run-XXXXXX", dir ? dir : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    test_round_trip();
    test_damage();
    test_headers();
    test_precedence();
    test_pulling();
    test_strict();
    test_check();
    test_file();
    test_presets();
    test_parts();
    test_sizes();
    test_sizes_given();
    test_rate();
    test_measurements();
    static const char *const names[] = { "sample.safetensors", "damaged.safetensors",
                                         "foreign.safetensors", "config.json" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        in_folder(names[i]);
        unlink(path);
    }
    CHECK(rmdir(folder) == 0); /* no temporary file is left */
    return check_summary("run");
}
