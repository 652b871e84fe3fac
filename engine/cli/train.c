/* train.c: moco train: settings from flags, signals, progress. */
#include "engine/cli/cli.h"
#include "engine/cli/help/help.h"
#include "engine/cli/show.h"

#include <string.h>

#include "engine/base/error.h"

static int unknown_flag(const char *flag)
{
    size_t count;
    int no = !strncmp(flag, "--no-", 5), dashes = no ? 5 : 2;
    const char *likest = NULL;
    char meant[80];
    const struct setting *rows = config_settings(&count);
    for (size_t i = 0; i < count && !strncmp(flag, "--", 2); i++)
        if (!no || rows[i].type == SETTING_SWITCH)
            cli_likest(&likest, flag + dashes, rows[i].name);
    snprintf(meant, sizeof meant, "%.*s%s", dashes, flag, likest ? likest : "");
    return cli_unknown("option", flag, likest ? meant : NULL);
}

/* One flag at argv[*i]; steps over its value. */
static int take_flag(struct config *config, int argc, char **argv, int *i)
{
    const char *flag = argv[*i], *name = flag + 2, *value;
    const struct setting *row = strncmp(flag, "--", 2) ? NULL : config_setting(name);
    if (row && row->type == SETTING_SWITCH) {
        value = "1";
    } else if (row) {
        if (++*i == argc)
            return cli_usage("%s needs a value", flag);
        value = argv[*i];
    } else {
        row = strncmp(flag, "--no-", 5) ? NULL : config_setting(flag + 5);
        if (!row || row->type != SETTING_SWITCH)
            return unknown_flag(flag);
        name = flag + 5;
        value = "0";
    }
    if (config_set(config, name, value, FROM_FLAG))
        return cli_usage("%s", error_text());
    return 0;
}

static int read_flags(struct config *config, int argc, char **argv)
{
    int data = 0;
    for (int i = 0; i < argc; i++) {
        int rc = 0;
        if (argv[i][0] == '-') {
            rc = take_flag(config, argc, argv, &i);
        } else if (data++) {
            rc = cli_usage("'%s' is one argument too many: the data are %s", argv[i],
                           config->value.data);
        } else if (strlen(argv[i]) >= sizeof config->value.data) {
            rc = cli_usage("DATA of %zu bytes is too long, %zu at most are taken: %.80s...",
                           strlen(argv[i]), sizeof config->value.data - 1, argv[i]);
        } else {
            snprintf(config->value.data, sizeof config->value.data, "%s", argv[i]);
        }
        if (rc)
            return rc;
    }
    return 0;
}

int cli_settings(struct config *config, struct moco_simd *simd, const char *command, int argc,
                 char **argv)
{
    config_default(config);
    enum listing listing = help_asked(argc, argv);
    if (listing) {
        help_settings(command, config, listing);
        return EXIT_LISTED;
    }
    int rc = read_flags(config, argc, argv);
    if (rc)
        return rc;
    if (config->value.config[0] && config_read(config, config->value.config))
        return cli_failed();
    if (config->value.preset[0] && config_preset(config, config->value.preset))
        return cli_usage("%s", error_text());
    if (!config->value.data[0])
        return cli_usage("moco %s needs DATA", command);
    return cli_machine(simd, config->value.threads, config->value.simd) ? cli_failed() : 0;
}

int command_train(int argc, char **argv)
{
    struct moco_simd simd;
    struct config config;
    int rc = cli_settings(&config, &simd, "train", argc, argv);
    if (rc)
        return rc;
    if (!config.value.out[0])
        return cli_usage("moco train needs --out RUN");
    return show_train(&config, &simd, 1);
}
