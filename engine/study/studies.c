/* studies.c: the table of studies.
 *
 * Sources: momentum and mechanisms are a table and figure 3 of He et al. 2019 in small, sharing
 * asks what their section 3.1 leaves open (one encoder, partly shared encoders), sampling and
 * proximal are Wu et al. 2018, sections 3.2 and 3.3. A row's settings beat flags, so that it is
 * what its name says; everything else comes from the base. */
#include "engine/study/study.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"

#define BASE "width=16 batch-size=128 moco-k=1024 lr=0.06 epochs=20"
#define BANK "method=memory-bank "
#define RUNNING BANK "nce=on nce-z=running "
#define HELD BANK "nce=on nce-z=first "

static const struct study_row mechanisms[] = {
    { "moco-k256", "MoCo", "queue 256", "method=moco moco-k=256" },
    { "moco-k1024", "MoCo", "queue 1024", "method=moco moco-k=1024" },
    { "moco-k4096", "MoCo", "queue 4096", "method=moco moco-k=4096" },
    { "bank-m256", "memory bank", "256 drawn", BANK "sampled=on negatives=256" },
    { "bank-m1024", "memory bank", "1024 drawn", BANK "sampled=on negatives=1024" },
    { "bank-m4096", "memory bank", "4096 drawn", BANK "sampled=on negatives=4096" },
    { "end-to-end-b64", "end-to-end", "batch 64", "method=end-to-end batch-size=64" },
    { "end-to-end-b128", "end-to-end", "batch 128", "method=end-to-end batch-size=128" },
    { "end-to-end-b256", "end-to-end", "batch 256", "method=end-to-end batch-size=256" },
    { "end-to-end-b512", "end-to-end", "batch 512", "method=end-to-end batch-size=512" },
    { "moco-v3", "others", "MoCo v3", "method=moco-v3 moco-mlp-dim=512 moco-m-cos=on" },
    { "margin", "others", "margin", "method=margin normalise=on" },
    { "parametric", "others", "parametric", "method=parametric" },
};

static const struct study_row momentum[] = {
    { "m-0", "", "m = 0", "moco-m=0" },
    { "m-0.9", "", "m = 0.9", "moco-m=0.9" },
    { "m-0.99", "", "m = 0.99", "moco-m=0.99" },
    { "m-0.999", "", "m = 0.999", "moco-m=0.999" },
    { "m-0.9999", "", "m = 0.9999", "moco-m=0.9999" },
};

#define COPY "key-encoder=momentum moco-m="
#define PART "moco-m=0.99 key-encoder=partial:"
#define SHARING(suffix, group, shuffle)                                                            \
    { "shared" suffix, group, "shared", "key-encoder=shared " shuffle },                           \
        { "m-0" suffix, group, "m = 0", COPY "0 " shuffle },                                       \
        { "m-0.9" suffix, group, "m = 0.9", COPY "0.9 " shuffle },                                 \
        { "m-0.99" suffix, group, "m = 0.99", COPY "0.99 " shuffle },                              \
        { "m-0.999" suffix, group, "m = 0.999", COPY "0.999 " shuffle },                           \
        { "conv1" suffix, group, "to conv1", PART "conv1 " shuffle },                              \
        { "layer1" suffix, group, "to layer1", PART "layer1 " shuffle },                           \
        { "layer2" suffix, group, "to layer2", PART "layer2 " shuffle },                           \
        { "layer3" suffix, group, "to layer3", PART "layer3 " shuffle },                           \
        { "layer4" suffix, group, "to layer4", PART "layer4 " shuffle }

static const struct study_row sharing[] = {
    SHARING("", "ShuffleBN", "shuffle-bn=on"),
    SHARING("-plain", "no ShuffleBN", "shuffle-bn=off"),
};

static const struct study_row queue[] = {
    { "k-256", "plain", "K = 256", "moco-k=256 mask=off fill-first=off" },
    { "k-1024", "plain", "K = 1024", "moco-k=1024 mask=off fill-first=off" },
    { "k-4096", "plain", "K = 4096", "moco-k=4096 mask=off fill-first=off" },
    { "k-16384", "plain", "K = 16384", "moco-k=16384 mask=off fill-first=off" },
    { "k-256-mask", "mask", "K = 256", "moco-k=256 mask=on fill-first=off" },
    { "k-1024-mask", "mask", "K = 1024", "moco-k=1024 mask=on fill-first=off" },
    { "k-4096-mask", "mask", "K = 4096", "moco-k=4096 mask=on fill-first=off" },
    { "k-16384-mask", "mask", "K = 16384", "moco-k=16384 mask=on fill-first=off" },
    { "k-256-fill", "filled first", "K = 256", "moco-k=256 mask=off fill-first=on" },
    { "k-1024-fill", "filled first", "K = 1024", "moco-k=1024 mask=off fill-first=on" },
    { "k-4096-fill", "filled first", "K = 4096", "moco-k=4096 mask=off fill-first=on" },
    { "k-16384-fill", "filled first", "K = 16384", "moco-k=16384 mask=off fill-first=on" },
};

static const struct study_row temperature[] = {
    { "t-0.02", "", "T = 0.02", "moco-t=0.02" }, { "t-0.05", "", "T = 0.05", "moco-t=0.05" },
    { "t-0.07", "", "T = 0.07", "moco-t=0.07" }, { "t-0.1", "", "T = 0.1", "moco-t=0.1" },
    { "t-0.2", "", "T = 0.2", "moco-t=0.2" },    { "t-0.5", "", "T = 0.5", "moco-t=0.5" },
};

static const struct study_row sampling[] = {
    { "nce-1", "NCE", "m = 1", RUNNING "negatives=1" },
    { "nce-10", "NCE", "m = 10", RUNNING "negatives=10" },
    { "nce-64", "NCE", "m = 64", RUNNING "negatives=64" },
    { "nce-512", "NCE", "m = 512", RUNNING "negatives=512" },
    { "nce-4096", "NCE", "m = 4096", RUNNING "negatives=4096" },
    { "held-1", "NCE, Z held", "m = 1", HELD "negatives=1" },
    { "held-64", "NCE, Z held", "m = 64", HELD "negatives=64" },
    { "held-4096", "NCE, Z held", "m = 4096", HELD "negatives=4096" },
    { "sampled-1", "sampled softmax", "m = 1", BANK "sampled=on negatives=1" },
    { "sampled-10", "sampled softmax", "m = 10", BANK "sampled=on negatives=10" },
    { "sampled-64", "sampled softmax", "m = 64", BANK "sampled=on negatives=64" },
    { "sampled-512", "sampled softmax", "m = 512", BANK "sampled=on negatives=512" },
    { "sampled-4096", "sampled softmax", "m = 4096", BANK "sampled=on negatives=4096" },
    { "full", "full softmax", "all rows", BANK "full-softmax=on" },
    { "parametric", "one weight vector an image", "all", "method=parametric" },
};

/* λ of the proximal term under one estimate of Z. */
#define PROXIMAL(group, prefix, z)                                                                 \
    { prefix "0", group, "λ = 0", z "negatives=4096 proximal=0" },                                \
        { prefix "0.1", group, "λ = 0.1", z "negatives=4096 proximal=0.1" },                      \
        { prefix "1", group, "λ = 1", z "negatives=4096 proximal=1" },                            \
        { prefix "10", group, "λ = 10", z "negatives=4096 proximal=10" }

static const struct study_row proximal[] = {
    PROXIMAL("running Z", "running-", RUNNING), PROXIMAL("Z held", "held-", HELD)
};

#define FEW "method=semi-supervised labels-per-batch=32 labels-fraction="

static const struct study_row labels[] = {
    { "ce-10", "10 % of the labels", "cross-entropy alone", FEW "0.1 consistency=0" },
    { "weak-10", "10 % of the labels", "and consistency 0.1", FEW "0.1 consistency=0.1" },
    { "strong-10", "10 % of the labels", "and consistency 1", FEW "0.1 consistency=1" },
    { "ce-1", "1 % of the labels", "cross-entropy alone", FEW "0.01 consistency=0" },
    { "weak-1", "1 % of the labels", "and consistency 0.1", FEW "0.01 consistency=0.1" },
    { "strong-1", "1 % of the labels", "and consistency 1", FEW "0.01 consistency=1" },
};

#define ROWS(list) .rows = list, .count = sizeof list / sizeof *list

static const struct study studies[] = {
    { "mechanisms", "Where the negatives come from", BASE,
      "Losses of different methods, and of different numbers of negatives, are no scale: compare "
      "kNN. The learning rate of a row with another batch is scaled with the batch.",
      ROWS(mechanisms), .losses_differ = 1 },
    { "momentum", "Momentum of the key encoder", BASE, "", ROWS(momentum) },
    { "sharing", "One encoder for queries and keys, or two", BASE,
      "\"shared\": keys come from the query encoder itself; \"to STAGE\": the key encoder shares "
      "all up to that stage and follows with m = 0.99 behind it; else it is a copy with momentum "
      "m.", ROWS(sharing) },
    { "queue", "Length of the queue", BASE,
      "The loss grows with ln K: compare it with the loss of a guess, or compare kNN.",
      ROWS(queue) },
    { "temperature", "Temperature of the softmax", BASE,
      "Losses at different temperatures are no scale: compare kNN.", ROWS(temperature) },
    { "sampling", "Rows drawn from the memory bank", BASE,
      "NCE, sampled and full softmax are three losses: compare kNN.", ROWS(sampling),
      .losses_differ = 1 },
    { "proximal", "Proximal term of the memory bank", BASE,
      "The loss includes the term. Oscillation: standard deviation of the differences between the "
      "losses of steps that follow each other, over the last quarter of the epochs.",
      ROWS(proximal), .oscillation = 1 },
    { "labels", "Few labels, with and without a consistency term",
      BASE " crop-min=0.5 jitter=0 grey=0",
      "The loss includes the term. Classifier: its accuracy on the test images; top-1 is that on "
      "labelled images of the training set. A quarter of each batch of 128 has labels.",
      ROWS(labels), .accuracy = 1 },
};

enum { STUDIES = sizeof studies / sizeof *studies };

const struct study *study_named(const char *name)
{
    char known[240] = "";
    size_t used = 0;
    for (int i = 0; i < STUDIES; i++)
        if (!strcmp(studies[i].name, name))
            return &studies[i];
    for (int i = 0; i < STUDIES; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 studies[i].name);
    error_set(MOCO_EARG, "study '%.64s' is not known: one of %s", name, known);
    return NULL;
}
