/* temporary.h: a file under a name of its own, beside the path that it is to become.
 *
 * PATH.XXXXXX.part is made exclusively, so two writers never share one, and stays locked (flock) as
 * long as its writer lives. What a killed writer left unlocked is removed by the next one of the
 * same path; where a file system knows no such locks, it stays. Those of this process that are open
 * can be removed from a signal handler. */
#ifndef MOCO_ENGINE_BASE_TEMPORARY_H
#define MOCO_ENGINE_BASE_TEMPORARY_H

struct temporary {
    char *path;   /* owned; NULL: there is none */
    int fd;       /* for the writer, who closes it and sets it to -1 */
    int lock;     /* another descriptor of the same file, open until the file is in its place */
    int slot;     /* among those that temporary_remove_all() knows; -1: none */
};

/* A new empty file beside `path`, of the mode that the umask leaves. */
int temporary_open(struct temporary *t, const char *path);

/* The file has got another name by rename(): forgets it. */
void temporary_placed(struct temporary *t);

/* Removes it; does nothing to one that is in its place. */
void temporary_remove(struct temporary *t);

/* Removes all of this process, for a handler of signals that end it: async-signal-safe. */
void temporary_remove_all(void);

#endif
