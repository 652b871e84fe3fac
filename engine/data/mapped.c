/* mapped.c: see mapped.h. */
#include "engine/data/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"

int mapped_open(struct mapped *out, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC), err = MOCO_OK;

    *out = (struct mapped){ 0 };
    if (fd < 0)
        return error_set(MOCO_EIO, "opening %s: %s", path, strerror(errno));
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        err = error_set(MOCO_EIO, "%s is not a regular file", path);
    else if (st.st_size == 0)
        err = error_set(MOCO_EFORMAT, "%s is empty", path);
    if (!err) {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            err = error_set(MOCO_EIO, "mapping %s: %s", path, strerror(errno));
        else
            *out = (struct mapped){ data, (size_t)st.st_size };
    }
    close(fd);
    return err;
}

void mapped_close(struct mapped *mapped)
{
    if (mapped->data)
        munmap((void *)(size_t)mapped->data, mapped->size);
    *mapped = (struct mapped){ 0 };
}
