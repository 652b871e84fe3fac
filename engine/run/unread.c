/* unread.c: notices of settings that somebody gave and this run does not read.
 *
 * Two tables decide: what each method reads (method.h), and below what only counts where another
 * setting has certain values. What presets and data give may be meant for other runs, so only flags
 * and files are looked at; a file that repeats a default (config.json has every setting) and a
 * switch that is off ask for nothing. */
#include <stdlib.h>
#include <string.h>

#include "engine/run/run.h"

static const struct condition {
    const char *name, *needs;
    const char *values; /* of `needs`: words, before a colon; or ABOVE 0 */
    const char *method; /* whose condition it is; NULL: everybody's */
} conditions[] = {
#define ABOVE "+"
    { "moco-m", "key-encoder", "momentum partial", NULL },
    { "moco-m-cos", "key-encoder", "momentum partial", NULL },
    { "negatives", "full-softmax", "off", NULL },
    { "nce-z", "nce", "on", NULL },
    { "labels-fraction", "pairs-by-label", "on", "margin" },
    { "labels-per-batch", "pairs-by-label", "on", "margin" },
    { "momentum", "optimizer", "sgd lars", NULL },
    { "trust", "optimizer", "lars", NULL },
    { "beta1", "optimizer", "adamw", NULL },
    { "beta2", "optimizer", "adamw", NULL },
    { "eps", "optimizer", "adamw", NULL },
    { "brightness", "jitter", ABOVE, NULL },
    { "contrast", "jitter", ABOVE, NULL },
    { "saturation", "jitter", ABOVE, NULL },
    { "hue", "jitter", ABOVE, NULL },
    { "blur-min", "blur", ABOVE, NULL },
    { "blur-max", "blur", ABOVE, NULL },
    { "rotate-fill", "rotate", ABOVE, NULL },
    { "solarize-threshold", "solarize", ABOVE, NULL },
};

/* Whether `word`, up to a colon, is one of the words of `list`. */
static int has_word(const char *list, const char *word)
{
    size_t length = strcspn(word, ":");
    for (const char *at = list; at; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (!strncmp(at, word, length) && (at[length] == ' ' || !at[length]))
            return 1;
    }
    return 0;
}

/* Somebody wants this value. */
static int is_asked(const struct config *config, size_t i)
{
    char value[4100];
    size_t count;
    const struct setting *row = &config_settings(&count)[i];
    config_text(value, sizeof value, config, row);
    if (row->type == SETTING_SWITCH && !strcmp(value, "off"))
        return 0;
    return config->origin[i] == FROM_FLAG ||
           (config->origin[i] == FROM_FILE && !config_is_usual(config, row));
}

/* A setting of methods, but not of this one. */
static int is_foreign(const char *name, const struct method *kind)
{
    size_t count;
    const struct method *const *methods = method_list(&count);
    for (size_t i = 0; i < count; i++)
        if (has_word(methods[i]->reads, name))
            return !has_word(kind->reads, name);
    return 0;
}

static int is_met(const struct condition *c, const char *value)
{
    return strcmp(c->values, ABOVE) ? has_word(c->values, value) : strtod(value, NULL) > 0.0;
}

/* The condition of that setting that is not met; value: what it meets instead. */
static const struct condition *unmet(char *value, size_t size, const struct config *config,
                                     const char *name)
{
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        const struct condition *c = &conditions[i];
        if (strcmp(c->name, name) || (c->method && strcmp(c->method, config->value.method)))
            continue;
        config_text(value, size, config, config_setting(c->needs));
        if (!is_met(c, value))
            return c;
    }
    return NULL;
}

static void explain(const struct train_hooks *hooks, const struct condition *c, const char *value)
{
    const char *other = strchr(c->values, ' ');
    int first = other ? (int)(other - c->values) : (int)strlen(c->values);
    if (!strcmp(c->values, ABOVE))
        run_notice(hooks, "--%s has no effect: it counts where %s is above 0, and that is %s",
                   c->name, c->needs, value);
    else
        run_notice(hooks, "--%s has no effect: it counts with %s %.*s%s%s, and that is %s", c->name,
                   c->needs, first, c->values, other ? " or" : "", other ? other : "", value);
}

/* The cosine of the CIFAR recipe counts epochs from 1: the last one has rate 0. */
static void notice_rate(const struct config *config, const struct train_hooks *hooks)
{
    struct schedule schedule;
    if (config->value.epochs == 1 && config->value.lr > 0.0 &&
        !config_schedule(&schedule, &config->value) && schedule_lr(&schedule, 0, 0, 1) == 0.0)
        run_notice(hooks, "the only epoch has learning rate 0, for the cosine ends at it: nothing "
                          "is learnt; give --no-cos or more --epochs");
}

void notice_unread(const struct config *config, const struct train_hooks *hooks)
{
    char value[4100];
    size_t count;
    const struct setting *rows = config_settings(&count);
    const struct method *kind = method_named(config->value.method);
    for (size_t i = 0; i < count && kind; i++) {
        if (!is_asked(config, i))
            continue;
        const struct condition *c = unmet(value, sizeof value, config, rows[i].name);
        if (is_foreign(rows[i].name, kind))
            run_notice(hooks, "--%s has no effect: method %s does not read it", rows[i].name,
                       kind->name);
        else if (c)
            explain(hooks, c, value);
    }
    notice_rate(config, hooks);
}
