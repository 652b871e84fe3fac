/* test_replace.c: files that appear whole or not at all: writers of one path at once, writers that
 * are killed or interrupted, system calls that fail (this program stands before the C library's
 * write, fsync, close and rename), pairs of files, links, folders; and cells of tables. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engine/base/csv.h"
#include "engine/base/replace.h"
#include "engine/base/temporary.h"
#include "tests/files.h"

/* ---- faults ---- */

enum call { WRITE, FSYNC, CLOSE, RENAME, CALLS };

static struct {
    int armed;      /* which call fails, counted from 1 on; 0: none */
    int number;     /* its errno */
    int writes_odd; /* every other write is interrupted, the others are short */
} faults[CALLS];

static int fails(enum call call)
{
    if (!faults[call].armed || --faults[call].armed)
        return 0;
    errno = faults[call].number;
    return 1;
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    static int turn;
    if (fails(WRITE))
        return -1;
    if (faults[WRITE].writes_odd && turn++ % 2) {
        errno = EINTR;
        return -1;
    }
    if (faults[WRITE].writes_odd && bytes > 1000)
        bytes = 1000;
    return syscall(SYS_write, fd, data, bytes);
}

int fsync(int fd)
{
    return fails(FSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int close(int fd)
{
    int failed = fails(CLOSE), number = errno, rc = (int)syscall(SYS_close, fd);
    if (failed)
        errno = number;
    return failed ? -1 : rc;
}

int rename(const char *from, const char *to)
{
    return fails(RENAME) ? -1 : renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static void arm(enum call call, int which, int number)
{
    faults[call].armed = which;
    faults[call].number = number;
}

/* ---- helpers ---- */

enum { SIZE = 300000 };

static size_t files_in(const char *folder)
{
    size_t count = 0;
    DIR *dir = opendir(at(folder));
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        count += entry->d_name[0] != '.' || !entry->d_name[1];
    if (dir)
        closedir(dir);
    return count - 1; /* "." */
}

/* SIZE bytes of one letter. */
static int write_letter(const char *path, char letter)
{
    struct replace file;
    char block[1000];
    memset(block, letter, sizeof block);
    int rc = replace_open(&file, path);
    if (rc)
        return rc;
    for (int i = 0; i < SIZE / 1000 && !rc; i++)
        rc = replace_write(&file, block, sizeof block);
    if (!rc)
        return replace_commit(&file);
    replace_abort(&file);
    return rc;
}

/* The letter of a whole file, 0 of any other. */
static char letter_of(const char *name)
{
    unsigned char *bytes;
    size_t size = get(&bytes, name), same = 0;
    for (size_t i = 0; i < size; i++)
        same += bytes[i] == bytes[0];
    char letter = size == SIZE && same == SIZE ? (char)bytes[0] : 0;
    free(bytes);
    return letter;
}

static void folder(const char *name)
{
    CHECK(mkdir(at(name), 0777) == 0);
}

/* ---- writers ---- */

static void writers_at_once(void)
{
    enum { WRITERS = 8, ROUNDS = 5 };
    folder("many");
    for (int w = 0; w < WRITERS; w++) {
        pid_t child = fork();
        if (child == 0) {
            int rc = 0;
            for (int i = 0; i < ROUNDS && !rc; i++)
                rc = write_letter(at("many/set"), (char)('a' + w));
            _exit(rc != 0);
        }
    }
    for (int w = 0, status; w < WRITERS; w++)
        CHECK(wait(&status) > 0 && status == 0);
    CHECK(letter_of("many/set") >= 'a');
    CHECK_MSG(files_in("many") == 1, "%zu files", files_in("many"));
}

/* A child that has begun to write a file and then sits there, or ends by `number`. */
static pid_t begin(const char *path, int number)
{
    int ready[2];
    char byte = 0;
    CHECK(pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct replace file;
        int bad = replace_open(&file, path) || replace_write(&file, "half", 4);
        bad |= syscall(SYS_write, ready[1], &byte, 1) != 1;
        if (number)
            raise(number);
        pause();
        _exit(bad);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void killed_writers(void)
{
    folder("left");
    pid_t living = begin(at("left/set"), 0);
    waitpid(begin(at("left/set"), SIGKILL), NULL, 0);
    waitpid(begin(at("left/other"), SIGKILL), NULL, 0);
    put("left/set.abc123.part.txt", "mine", 4);
    CHECK(files_in("left") == 4);
    CHECK(write_letter(at("left/set"), 'x') == MOCO_OK && letter_of("left/set") == 'x');
    CHECK_MSG(files_in("left") == 4, "%zu files: the set, what lives, what others left",
              files_in("left"));
    kill(living, SIGKILL);
    waitpid(living, NULL, 0);
    CHECK(write_letter(at("left/set"), 'y') == MOCO_OK && letter_of("left/set") == 'y');
    CHECK_MSG(files_in("left") == 3, "%zu files", files_in("left"));
}

static void on_signal(int number)
{
    temporary_remove_all();
    signal(number, SIG_DFL);
    raise(number);
}

static void signals(void)
{
    int status;
    folder("signal");
    put("signal/set", "old", 3);
    signal(SIGTERM, on_signal);
    pid_t child = begin(at("signal/set"), SIGTERM);
    signal(SIGTERM, SIG_DFL);
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK(files_in("signal") == 1);
    struct replace file;
    CHECK(replace_open(&file, at("signal/set")) == MOCO_OK);
    child = fork();
    if (child == 0) { /* knows the paths of its parent, but they are not its own */
        temporary_remove_all();
        _exit(0);
    }
    waitpid(child, NULL, 0);
    CHECK(files_in("signal") == 2);
    replace_abort(&file);
    CHECK(files_in("signal") == 1);
}

/* ---- calls that fail ---- */

static void failing(enum call call, int which, int number, const char *name)
{
    put("fault/set", "old", 3);
    arm(call, which, number);
    int rc = write_letter(at("fault/set"), 'z');
    faults[call].armed = 0;
    unsigned char *bytes;
    size_t size = get(&bytes, "fault/set");
    CHECK_MSG(rc != MOCO_OK && strstr(error_text(), strerror(number)) &&
              strstr(error_text(), "the old file is kept"), "%s: %d, %s", name, rc, error_text());
    CHECK_MSG(size == 3 && !memcmp(bytes, "old", 3), "%s: the old file is gone", name);
    CHECK_MSG(files_in("fault") == 1, "%s: %zu files", name, files_in("fault"));
    free(bytes);
}

static void faults_are_told(void)
{
    folder("fault");
    failing(WRITE, 1, ENOSPC, "write");
    failing(WRITE, 20, EDQUOT, "a later write");
    failing(FSYNC, 1, EIO, "fsync");
    failing(RENAME, 1, EXDEV, "rename");
    int closed = 0; /* the folder that is looked through is closed inside the C library */
    for (int which = 1; which <= 3 && !closed; which++) {
        put("fault/set", "old", 3);
        arm(CLOSE, which, EDQUOT);
        closed = write_letter(at("fault/set"), 'z') != MOCO_OK;
        faults[CLOSE].armed = 0;
    }
    CHECK_MSG(closed && strstr(error_text(), strerror(EDQUOT)), "close: %s", error_text());
    arm(FSYNC, 2, EIO); /* of the folder */
    CHECK(write_letter(at("fault/set"), 'f') == MOCO_EIO && strstr(error_text(), "its folder"));
    CHECK(letter_of("fault/set") == 'f');
    arm(FSYNC, 2, EINVAL);
    CHECK(write_letter(at("fault/set"), 'g') == MOCO_OK && letter_of("fault/set") == 'g');
}

static void interruptions(void)
{
    folder("odd");
    faults[WRITE].writes_odd = 1;
    arm(FSYNC, 1, EINTR);
    int rc = write_letter(at("odd/set"), 'i');
    arm(RENAME, 1, EINTR);
    int again = write_letter(at("odd/other"), 'j');
    faults[WRITE].writes_odd = 0;
    CHECK_MSG(rc == MOCO_OK && again == MOCO_OK, "%s", error_text());
    CHECK(letter_of("odd/set") == 'i' && letter_of("odd/other") == 'j');
}

/* ---- two files ---- */

static int write_pair(char letter)
{
    struct replace file, guide;
    CHECK(replace_open(&file, at("pair/x")) == MOCO_OK);
    CHECK(replace_open(&guide, at("pair/y")) == MOCO_OK);
    CHECK(replace_write(&file, "?", 1) == MOCO_OK && replace_rewind(&file) == MOCO_OK);
    CHECK(replace_write(&file, &letter, 1) == MOCO_OK && replace_write(&guide, &letter, 1) == 0);
    return replace_commit_both(&file, &guide);
}

/* Both files are of the letter, or with '-' both are missing; and there is nothing else. */
static void pair_is(char letter, const char *when)
{
    unsigned char *x, *y;
    size_t sizes = get(&x, "pair/x") + get(&y, "pair/y"), count = files_in("pair");
    if (letter == '-')
        CHECK_MSG(count == 0, "%s: %zu files", when, count);
    else
        CHECK_MSG(sizes == 2 && x[0] == letter && y[0] == letter && count == 2,
                  "%s: %zu files, %c %c", when, count, x[0], y[0]);
    free(x);
    free(y);
}

static void pairs(void)
{
    folder("pair");
    for (int which = 1; which <= 4; which++) {
        arm(RENAME, which, EIO);
        CHECK(write_pair('a') == MOCO_EIO);
        faults[RENAME].armed = 0;
        pair_is('-', "no pair before");
    }
    CHECK(write_pair('a') == MOCO_OK);
    pair_is('a', "first pair");
    for (int which = 1; which <= 3; which++) {
        arm(RENAME, which, EIO);
        CHECK(write_pair('b') == MOCO_EIO && strstr(error_text(), strerror(EIO)));
        faults[RENAME].armed = 0;
        pair_is('a', "a failed pair");
    }
    CHECK(write_pair('b') == MOCO_OK);
    pair_is('b', "second pair");
}

/* ---- paths ---- */

static void paths(void)
{
    struct stat st;
    struct replace file;
    char name[300] = "paths/";
    folder("paths");
    CHECK(replace_open(&file, at("paths")) == MOCO_EIO && strstr(error_text(), "a folder"));
    CHECK(replace_open(&file, "/dev/null") == MOCO_EIO && strstr(error_text(), "no ordinary"));
    CHECK(replace_open(&file, at("nowhere/set")) == MOCO_EIO);
    mode_t before = umask(027);
    CHECK(write_letter(at("paths/set"), 'm') == MOCO_OK);
    umask(before);
    CHECK(stat(at("paths/set"), &st) == 0 && (st.st_mode & 0777) == 0640);
    CHECK(symlink("set", at("paths/link")) == 0 && symlink("gone", at("paths/dangling")) == 0);
    CHECK(write_letter(at("paths/link"), 'l') == MOCO_OK && letter_of("paths/set") == 'l');
    CHECK(lstat(at("paths/link"), &st) == 0 && S_ISLNK(st.st_mode));
    CHECK(write_letter(at("paths/dangling"), 'd') == MOCO_OK && letter_of("paths/dangling") == 'd');
    memset(name + 6, 'n', 255);
    name[6 + 255] = '\0';
    CHECK_MSG(write_letter(at(name), 'n') == MOCO_OK, "%s", error_text());
    CHECK(letter_of(name) == 'n');
}

static void cells(void)
{
    static const char *const texts[][2] = {
        { "a.png", "a.png" },     { "a,b", "\"a,b\"" },           { "a\"b", "\"a\"\"b\"" },
        { "=1+2", "'=1+2" },      { "+1", "'+1" },                { "-1", "'-1" },
        { "@x", "'@x" },          { "\tx", "'\tx" },              { "\rx", "\"'\rx\"" },
        { "'x", "''x" },          { "x=1", "x=1" },               { "", "" },
        { "=a,b", "\"'=a,b\"" },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[64] = "";
        FILE *file = fmemopen(text, sizeof text, "w");
        csv_cell(file, texts[i][0]);
        fclose(file);
        CHECK_MSG(!strcmp(text, texts[i][1]), "%s became %s", texts[i][0], text);
    }
}

int main(void)
{
    files_begin();
    writers_at_once();
    killed_writers();
    signals();
    faults_are_told();
    interruptions();
    pairs();
    paths();
    cells();
    files_end();
    return check_summary("replace");
}
