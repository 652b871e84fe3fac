/* foreign.h: encoders in files of others: behind which prefix and under which names their tensors
 * stand.
 *
 * In: the names in a safetensors file. Out: what each tensor of our networks is called there. A
 * file may hold several encoders (query and key, student and teacher); one is taken, by a table of
 * words, and the others are told. Strides can not be seen in weights: all are taken for
 * torchvision's. */
#ifndef MOCO_ENGINE_RUN_SAVED_FOREIGN_H
#define MOCO_ENGINE_RUN_SAVED_FOREIGN_H

#include <stddef.h>

#include "engine/run/saved/safetensors.h"

enum { FOREIGN_NAME = 320, FOREIGN_PREFIX = 200, FOREIGN_MAX = 32 };

enum naming {
    NAMED_TORCHVISION,  /* conv1.weight, layer1.0.conv1.weight: timm, official MoCo, solo-learn */
    NAMED_BY_NUMBER,    /* 0.weight, 4.0.conv1.weight: children of an nn.Sequential (lightly) */
    NAMED_HUGGING_FACE, /* embedder.embedder.convolution.weight: transformers' ResNet */
};

struct foreign_encoder {
    char prefix[FOREIGN_PREFIX];
    enum naming naming;
    int layer1;   /* NAMED_BY_NUMBER: its number; layer2 to layer4 follow */
    int shortcut; /* a block's `downsample` is called `shortcut` */
};

struct foreign {
    struct foreign_encoder is;                   /* the one that is taken */
    struct foreign_encoder others[FOREIGN_MAX]; /* also there */
    int other_count;
};

/* MOCO_EFORMAT with what the file seems to hold where there is no encoder that moco knows. */
int foreign_find(struct foreign *out, const struct st_file *file);

/* The file's name for torchvision's `name`. */
void foreign_name(char out[FOREIGN_NAME], const struct foreign_encoder *encoder, const char *name);

const struct st_tensor *foreign_tensor(const struct st_file *file,
                                       const struct foreign_encoder *encoder, const char *name);

/* Whether the file's `name` lies where this encoder's stem and stages are. */
int foreign_is_backbone(const struct foreign_encoder *encoder, const char *name);

/* Whether it belongs to one of the encoders that were not taken. */
int foreign_is_other(const struct foreign *foreign, const char *name);

#endif
