/* cli.h: the command line. Its files are the only ones that print or exit.
 *
 * A command gets the arguments behind its name and returns the exit status: 0 done, 1 failed (one
 * sentence on standard error), 2 wrong usage, 130/143 interrupted after saving (129 by SIGHUP, 141
 * by a closed pipe). */
#ifndef MOCO_ENGINE_CLI_CLI_H
#define MOCO_ENGINE_CLI_CLI_H

#include <stdint.h>

#include "engine/cli/terminal.h"
#include "engine/eval/score.h"
#include "engine/run/config/config.h"
#include "engine/run/saved/weights.h"

/* EXIT_LISTED stays inside: options were listed, nothing was done. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LISTED = 100 };

int command_train(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_compare(int argc, char **argv);
int command_demo(int argc, char **argv);
int command_knn(int argc, char **argv);
int command_linear(int argc, char **argv);
int command_metrics(int argc, char **argv);
int command_finetune(int argc, char **argv);
int command_embed(int argc, char **argv);
int command_info(int argc, char **argv);
int command_data(int argc, char **argv);
int command_views(int argc, char **argv);
int command_export(int argc, char **argv);
int command_report(int argc, char **argv);

/* "moco: SENTENCE" with the newest error; EXIT_FAILED. */
int cli_failed(void);
/* The same for wrong usage, with a sentence of its own and where to read more; EXIT_USAGE. */
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The command that runs, whose help those sentences then point to; NULL before there is one. */
void cli_running(const char *command);
/* `word` is no `kind` ("option", "command"); the likest of the others is named when it is near:
 * cli_likest() for one after the other, then cli_unknown(). */
void cli_likest(const char **likest, const char *word, const char *other);
int cli_unknown(const char *kind, const char *word, const char *likest);

/* "moco: 12,480 images, ..." of a set that was opened, with its name where there are several; then
 * "moco: SENTENCE" where opening it had something to say. */
struct source;
void cli_note(const struct source *source, int named);

/* ,"not_taken":{".gif":212},"classes_gone":["b"] ; prefix: in front of both keys, "test_". */
void cli_json_account(const struct account *account, const char *prefix);

/* missing.c: the option, its range (0 or EXIT_USAGE), and a notice of what is missing in the images
 * read so far. */
#define CLI_MISSING(share) \
    {"--max-missing", OPTION_DOUBLE, &(share), NULL, \
     "share of an image that may be NaN or infinite and counts as the mean; more make it " \
     "unreadable"}
int cli_check_missing(double share);
void cli_missing(const struct source *source);

enum option_type { OPTION_TEXT, OPTION_INT, OPTION_DOUBLE, OPTION_SWITCH };

struct option {
    const char *name; /* with its dashes */
    enum option_type type;
    void *value;      /* const char **, int * or double * */
    const char *what; /* of a text: "DATA", "DIR", "FILE"; NULL: any other */
    const char *help; /* one line; words in back quotes are the values that there are */
};

/* Options of every command that takes no settings of a run. */
#define CLI_COMMON(threads, cap, json) \
    {"--threads", OPTION_INT, &(threads), NULL, \
     "computing threads; 0: all that the process may use"}, \
    {"--simd", OPTION_TEXT, &(cap), NULL, \
     "kernels: `ref`, `avx2`, `avx512` or `neon`; the best when not given"}, \
    {"--json", OPTION_SWITCH, &(json), NULL, "the result as JSON on standard output"}

/* Reads options; what is no option goes to words (exactly `count`). 0 or EXIT_USAGE; with --help
 * it lists the options instead, which is EXIT_LISTED. */
int cli_parse(int argc, char **argv, const struct option *options, size_t n, const char **words,
              int count);
/* The same where one word may be missing; then *word stays as it is. */
int cli_parse_may(int argc, char **argv, const struct option *options, size_t n,
                  const char **word);

/* Takes options with their values out of argv and leaves the rest in its order. 0 or EXIT_USAGE;
 * with --help it lists them and leaves that too. */
int cli_take(int *argc, char **argv, const struct option *options, size_t n);

/* train.c: DATA and the settings of a run from flags, file and preset, and the machine that they
 * ask for. 0 or an exit status, with its sentence. */
int cli_settings(struct config *config, struct moco_simd *simd, const char *command, int argc,
                 char **argv);

/* The cap on the kernels and who set it: --simd where it has a value, else MOCO_SIMD; NULL, NULL
 * without either. */
struct cap {
    const char *level, *from;
};
struct cap cli_cap(const char *option);

/* Threads (0: as many as the process may use) and kernels (--simd's value or NULL) of the process,
 * oneDNN's included. Fewer threads than wanted are told. */
int cli_machine(struct moco_simd *simd, int threads, const char *option);

/* The threads that cli_machine() came to, and what decided on their number. */
int cli_threads(const char **from);

/* "1h05m", "4m07s" */
void cli_duration(char *out, size_t size, double seconds);

/* "12 of 60 images" on standard error while something takes long, where that is a terminal;
 * cli_bar_step() takes a struct bar. */
struct bar {
    int terminal;
    double shown; /* when; 0: not yet */
};
struct bar cli_bar(void);
void cli_bar_step(void *bar, size_t done, size_t count);
void cli_bar_end(const struct bar *bar);

/* "WHAT: epoch 3/20 loss 1.2345" on standard error: on a terminal one line that is rewritten,
 * elsewhere a line for every tenth epoch and the last. */
void cli_epoch(const char *what, int epoch, int epochs, double loss);

/* "text" as JSON on standard output. */
/* ,"KEY":17.5 or ,"KEY":null */
void cli_json_number(const char *key, const char *format, double value);
void cli_json_text(const char *text);

/* A trained encoder from weights.safetensors, a checkpoint, or a run folder. */
struct model {
    struct st_file *file;
    struct weights_info info;
    struct net *net;
    struct encoder encoder;
    struct policy policy; /* of evaluation views */
};
int model_open(struct model *model, const char *path, const struct moco_simd *simd);
void model_close(struct model *model);

/* A sentence where the features of a head are asked for and the file has none. */
int model_check_feature(const struct model *model, const char *feature);

/* What there is to say about a file that moco did not write: the prefix that was taken, and what
 * was not read. */
void cli_note_weights(const char *path, const struct weights_info *info);

/* Whether the images of a set fit the encoder, grey ones expanded and elongated ones seen as a
 * whole, both of which are told; policy is made so. */
int model_see(struct policy *policy, const struct source *source);

/* probe.c: labelled images and what turns them into features. WEIGHTS is a trained encoder, or the
 * word "pixels": the images themselves, as large and normalised as their training set says.
 * feature "pixels" with an encoder: as large and normalised as that encoder takes them. */
struct probe {
    struct model model;
    int has_model;
    struct score_sets sets;
    struct policy policy;
    struct embed embed;
    const struct embed *with; /* NULL: pixels */
    const char *feature;      /* "backbone", "head", "pixels" */
};

/* What is asked for. test NULL: there is one set, which kNN takes in fifths; with split every fifth
 * of its images becomes the test set. feature NULL: backbone, or pixels. side: of the views of
 * pixels, 0 for that of a run on these images. */
struct probe_job {
    const char *weights, *train, *test, *feature;
    int side, split;
    double max_missing;
};
#define CLI_FEATURE "what is compared: `backbone`, `head` or `pixels`; backbone when not given"
#define CLI_SIDE "of the views of pixels; that of a run on these images when not given"
int probe_open(struct probe *probe, const struct probe_job *job, const struct moco_simd *simd);
/* cli_missing() of what has been read. */
void probe_missing(const struct probe *probe);
/* ", 6 of them of classes that --train lacks" behind a number of test images, "" without any. */
enum { UNKNOWN_TEXT = 80 };
const char *probe_unknown(char out[UNKNOWN_TEXT], const struct score_sets *sets);
/* The accounts of both sets, as cli_json_account() prints them. */
void probe_json_accounts(const struct score_sets *sets);
/* A notice of the images that were left out. */
void probe_left(const struct probe *probe);
void probe_close(struct probe *probe);

/* profile.c: the time of each stage and layer of the steps so far, to standard error. */
struct step;
void profile_print(const struct step *step);

#endif
