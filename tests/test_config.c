/* test_config.c: who beats whom, strict numbers, the way through config.json and back, the presets
 * against the published table, and the parts that settings describe. */
#define _GNU_SOURCE /* files.h */
#include "engine/run/config/config.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "tests/check.h"
#include "tests/files.h"

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
    CHECK(sets(&a, "knn-test", "/run \"1\"", FROM_FLAG) && sets(&a, "mask", "1", FROM_FLAG));
    CHECK(sets(&a, "out", files_dir, FROM_FLAG)); /* which the file does not say */
    CHECK_MSG(config_write(&a, at("config.json"), "ref") == MOCO_OK, "%s", error_text());
    config_default(&b);
    CHECK_MSG(config_read(&b, at("config.json")) == MOCO_OK, "%s", error_text());
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
    put("config.json", "{\"lr\": \"x\"}", 11);
    CHECK(config_read(&b, at("config.json")) != MOCO_OK && strstr(error_text(), at("config.json")));
    put("config.json", "{\"lr\": 1", 8);
    CHECK(config_read(&b, at("config.json")) == MOCO_EFORMAT);
    put("config.json", "{\"lrr\": 1}", 10);
    CHECK(config_read(&b, at("config.json")) == MOCO_EARG && strstr(error_text(), "is lr"));
    put("config.json", "{\"seed\": 12345678901234567}", 27); /* a double would make ...568 of it */
    CHECK(config_read(&b, at("config.json")) == MOCO_OK && b.value.seed == 12345678901234567u);
    put("config.json", "{\"seed\": 9007199254740993.0}", 28);
    CHECK(config_read(&b, at("config.json")) == MOCO_EFORMAT && strstr(error_text(), "seed"));
    put("config.json", "{\"seed\": 99999999999999999999}", 30);
    CHECK(config_read(&b, at("config.json")) == MOCO_EARG && strstr(error_text(), "seed"));
    put("config.json", "{\"epochs\": 5, \"mlp\": true}", 26);
    config_default(&b);
    CHECK(config_read(&b, at("config.json")) == MOCO_OK && b.value.epochs == 5 && b.value.mlp);
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

int main(void)
{
    if (files_begin())
        return 1;
    test_precedence();
    test_pulling();
    test_strict();
    test_check();
    test_file();
    test_presets();
    test_parts();
    files_end();
    return check_summary("config");
}
