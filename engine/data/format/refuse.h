/* refuse.h: files and folders that hold images in a form that is not read here: what they are, and
 * what to do about it. */
#ifndef MOCO_ENGINE_DATA_FORMAT_REFUSE_H
#define MOCO_ENGINE_DATA_FORMAT_REFUSE_H

/* path: a file or folder. Sets the sentence and returns MOCO_EUNSUPPORTED where it is of such a
 * kind; MOCO_OK, and no sentence, where it is not. */
int refuse_known(const char *path);

/* ---- between the files of the refusals ---- */

/* archive.c: what a zip or tar archive has in it, as far as that can be told without unpacking. */
struct archive {
    int readable;  /* its directory or headers, to the end */
    unsigned long files, images, tiffs;
    unsigned long arrays, tables; /* .npy; .cls, .json, .txt */
    int pytorch;
    char ending[8]; /* of the first image, ".png" */
    char top[128];  /* the folder that all images are in, "" for none */
};
void archive_look_zip(struct archive *out, const char *path);
void archive_look_tar(struct archive *out, const char *path); /* plain or behind gzip */

#endif
