/* test_unread.c: settings that a run does not read are told, once each, and no others: by method,
 * by what another setting is, by who gave them. */
#include <string.h>

#include "engine/base/error.h"
#include "engine/run/run.h"
#include "tests/check.h"

static char told[4000]; /* all notices, a line each */
static int count;

static void on_notice(void *user, const char *sentence)
{
    (void)user;
    snprintf(told + strlen(told), sizeof told - strlen(told), "%s\n", sentence);
    count++;
}

static const struct train_hooks hooks = { .notice = on_notice };

/* "name=value name=value", then the notices. */
static void ask(struct config *config, const char *settings, enum origin origin)
{
    char name[64], value[64];
    int used;
    for (const char *at = settings; *at; at += used) {
        used = 0;
        CHECK_MSG(sscanf(at, " %63[^= ]=%63[^ ]%n", name, value, &used) == 2, "%s", at);
        if (!used)
            return;
        CHECK_MSG(config_set(config, name, value, origin) == MOCO_OK, "%s", error_text());
    }
    told[0] = '\0';
    count = 0;
    notice_unread(config, &hooks);
}

static const struct {
    const char *settings;
    const char *words; /* of the one notice; NULL: there is none */
} cases[] = {
    { "method=moco mask=on moco-k=64 moco-m=0.9 moco-m-cos=on moco-t=0.2 mlp=on", NULL },
    { "method=moco negatives=5", "--negatives has no effect: method moco does not read it" },
    { "method=moco pairs-by-label=on", "--pairs-by-label" },
    { "method=moco labels-fraction=0.1", "--labels-fraction" },
    { "method=moco nce=on", "--nce has" },
    { "method=moco moco-mlp-dim=64", "--moco-mlp-dim" },
    { "method=moco key-encoder=shared moco-m=0.9",
      "--moco-m has no effect: it counts with key-encoder momentum or partial, and that is "
      "shared" },
    { "method=moco key-encoder=partial:layer2 moco-m=0.9", NULL },
    { "method=moco-v3 moco-mlp-dim=64 moco-m=0.9 moco-t=0.2", NULL },
    { "method=moco-v3 mlp=on", "--mlp has no effect: method moco-v3" },
    { "method=moco-v3 moco-k=64", "--moco-k" },
    { "method=memory-bank negatives=5 nce-z=running bank-momentum=0.4 proximal=1 moco-t=0.2",
      NULL },
    { "method=memory-bank mask=on", "--mask has no effect: method memory-bank" },
    { "method=memory-bank moco-m=0.9", "--moco-m" },
    { "method=memory-bank sampled=on nce-z=running",
      "--nce-z has no effect: it counts with nce on, and that is off" },
    { "method=memory-bank full-softmax=on negatives=5", "--negatives" },
    { "method=memory-bank labels-per-batch=5", "--labels-per-batch" },
    { "method=end-to-end moco-t=0.2", NULL },
    { "method=end-to-end margin=2", "--margin has no effect: method end-to-end" },
    { "method=parametric mlp=on consistency=1", NULL },
    { "method=parametric moco-t=0.2", "--moco-t" },
    { "method=margin margin=2 normalise=on pairs-by-label=on labels-per-batch=4", NULL },
    { "method=margin labels-fraction=0.5",
      "--labels-fraction has no effect: it counts with pairs-by-label on" },
    { "method=semi-supervised labels-fraction=0.5 labels-per-batch=4", NULL },
    { "method=semi-supervised normalise=on", "--normalise" },
    { "mask=off", NULL }, /* a switch that is off asks for nothing */
    { "method=memory-bank mask=off", NULL },
    { "optimizer=adamw beta1=0.8 beta2=0.99 eps=1e-7", NULL },
    { "optimizer=adamw momentum=0.8", "--momentum has no effect: it counts with optimizer sgd or "
                                      "lars, and that is adamw" },
    { "beta1=0.8", "--beta1" },
    { "optimizer=lars trust=0.01 momentum=0.8", NULL },
    { "blur-min=0.5", "--blur-min has no effect: it counts where blur is above 0, and that is 0" },
    { "blur=0.5 blur-min=0.5 rotate=10 rotate-fill=reflect", NULL },
    { "jitter=0 hue=0.05", "--hue" },
    { "epochs=2", NULL },
    { "epochs=1", "the only epoch has learning rate 0" },
    { "epochs=1 cos=off", NULL },
    { "epochs=1 schedule=1", NULL },
};

static void test_cases(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config config;
        config_default(&config);
        ask(&config, cases[i].settings, FROM_FLAG);
        CHECK_MSG(count == (cases[i].words != NULL), "%s: %d notices: %s", cases[i].settings, count,
                  told);
        CHECK_MSG(!cases[i].words || strstr(told, cases[i].words), "%s: %s", cases[i].settings,
                  told);
    }
}

/* A file that lists every setting with its default asks for nothing, another value does; what a
 * preset or the data give never counts. */
static void test_origins(void)
{
    static const char *const presets[] = { "cifar-demo", "moco-v1", "moco-v2", "instdisc-cifar" };
    struct config config;
    char text[4100], settings[4200];
    size_t rows, methods;
    const struct setting *row = config_settings(&rows);
    const struct method *const *method = method_list(&methods);
    config_default(&config);
    for (size_t i = 0; i < rows; i++) {
        config_text(text, sizeof text, &config, &row[i]);
        if (text[0])
            CHECK(config_set(&config, row[i].name, text, FROM_FILE) == MOCO_OK);
    }
    ask(&config, "method=parametric", FROM_FLAG);
    CHECK_MSG(count == 0, "%s", told);
    ask(&config, "moco-k=64", FROM_FILE);
    CHECK_MSG(count == 1 && strstr(told, "--moco-k"), "%s", told);
    for (size_t i = 0; i < methods; i++)
        for (int p = 0; p < 4; p++) {
            config_default(&config);
            CHECK(config_preset(&config, presets[p]) == MOCO_OK);
            ask(&config, "negatives=5 moco-mlp-dim=5", FROM_DATA);
            snprintf(settings, sizeof settings, "method=%s", method[i]->name);
            ask(&config, settings, FROM_FLAG);
            CHECK_MSG(count == 0, "%s with %s: %s", presets[p], settings, told);
        }
}

/* What methods say they read are settings, and what they read is told to no user of theirs. */
static void test_names(void)
{
    size_t methods;
    const struct method *const *method = method_list(&methods);
    for (size_t i = 0; i < methods; i++) {
        char reads[400], *at;
        CHECK(method[i]->reads && strlen(method[i]->reads) < sizeof reads);
        snprintf(reads, sizeof reads, "%s", method[i]->reads);
        for (at = strtok(reads, " "); at; at = strtok(NULL, " "))
            CHECK_MSG(config_setting(at) != NULL, "%s reads %s", method[i]->name, at);
    }
}

int main(void)
{
    test_cases();
    test_origins();
    test_names();
    return check_summary("unread");
}
