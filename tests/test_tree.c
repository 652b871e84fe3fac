/* test_tree: which files of a folder are taken, and the account of all others: links of every sort,
 * names that say nothing or something wrong, what may not be opened, classes of which nothing is
 * left. */
#include "tests/files.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/data/decode/decode.h"
#include "engine/data/format/tree.h"

static const char image[] = "P6\n2 1\n255\n\1\2\3\4\5\6";

static void put_image(const char *name)
{
    put(name, image, sizeof image - 1);
}

static void folder(const char *name)
{
    CHECK_MSG(mkdir(at(name), 0777) == 0, "%s", name);
}

static void link_to(const char *target, const char *name)
{
    CHECK_MSG(symlink(target, at(name)) == 0, "%s", name);
}

static size_t left(const struct source *source, const char *what)
{
    for (size_t i = 0; source && i < source->account.n; i++)
        if (!strcmp(source->account.rows[i].what, what))
            return source->account.rows[i].count;
    return 0;
}

/* All that was left out, as text, and the names of what was taken. */
static void holds(const char *dir, const char *names, const char *account)
{
    char got[1000] = "", text[1000];
    struct source *source = must_open(spec_of("folder", dir, ""));
    for (size_t i = 0; source && i < source->count; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? " " : "",
                 source->name(source, i));
    CHECK_MSG(!strcmp(got, names), "%s: %s, not %s", dir, got, names);
    if (source)
        account_text(text, sizeof text, &source->account);
    CHECK_MSG(source && !strcmp(text, account), "%s: left out: %s, not %s", dir, text, account);
    source_close(&source);
}

static void test_links(void)
{
    folder("store");
    folder("store/a");
    folder("store/b");
    put_image("store/a/1.ppm");
    put_image("store/a/2.ppm");
    put_image("store/b/3.ppm");
    folder("far");
    folder("far/deep");
    put_image("far/deep/4.ppm");
    put("far/blob", image, sizeof image - 1); /* as caches keep them */

    folder("links");
    link_to("../store/a", "links/a");
    link_to("../store/a", "links/again"); /* two links to one folder are two classes */
    link_to(at("far"), "links/z");
    link_to("../store/b/3.ppm", "links/single.ppm");
    holds("links", "a/1.ppm a/2.ppm again/1.ppm again/2.ppm single.ppm z/blob z/deep/4.ppm", "");

    folder("odd");
    folder("odd/a");
    folder("odd/b");
    put_image("odd/a/1.ppm");
    link_to("..", "odd/a/up");       /* to a folder above */
    link_to("../../odd", "odd/b/up"); /* the same by another way */
    link_to("nowhere", "odd/a/gone.ppm");
    link_to("circle", "odd/a/circle");
    holds("odd", "a/1.ppm", "2 links to a folder above, 1 link to nothing, 1 link in a circle; "
                            "no image is left of class b");
    link_to("store", "root"); /* the root itself */
    holds("root", "a/1.ppm a/2.ppm b/3.ppm", "");
}

static void test_content(void)
{
    static const unsigned char jpeg[] = { 0xff, 0xd8, 0xff, 0xe0, 0, 16 };
    folder("content");
    folder("content/a");
    folder("content/b");
    put_image("content/a/0.ppm");
    put_image("content/a/1");        /* no ending */
    put_image("content/a/2.dat");    /* another one */
    put_image("content/a/3.tif");    /* a wrong one */
    put_image("content/a/4.png");
    put("content/a/5.txt", "P1 is what we call it", 21);
    put("content/a/6.csv", "name,label\n", 11);
    put("content/a/7.csv", "name,label\n", 11);
    put("content/a/note", "read me", 7);
    put("content/a/paper", "%PDF-1.4 ......", 15);
    put("content/a/none.dat", "", 0);
    put("content/a/Thumbs.db", "thumbs", 6);
    put("content/a/.hidden.ppm", image, sizeof image - 1);
    put("content/b/x.avif", "\0\0\0\x1c" "ftypavif", 12);
    put("content/b/y.TIFF", "II*\0\0\0\0\0", 8);
    struct source *source = must_open(spec_of("folder", "content", ""));
    CHECK(source && source->count == 5 && source->classes == 1);
    CHECK(left(source, ".csv") == 2 && left(source, ".txt") == 1 && left(source, ".avif") == 1);
    CHECK(left(source, "empty files") == 1 && left(source, "TIFF") == 1);
    CHECK(left(source, "files without ending or known content") == 1);
    CHECK(left(source, "files without ending (a PDF)") == 1);
    CHECK(left(source, "hidden or of the system") == 2);
    CHECK(source && source->account.gone_count == 1 && !strcmp(source->account.gone[0], "b"));
    CHECK(source && account_total(&source->account) == 10);
    source_close(&source);

    folder("names");
    put("names/a.jfif", jpeg, sizeof jpeg); /* JPEGs, though these are cut off */
    put("names/b.JPE", jpeg, sizeof jpeg);
    put("names/c", jpeg, sizeof jpeg);
    CHECK(!source_open_lenient(&source, spec_of("folder", "names", "")) && source->count == 3);
    source_close(&source);
    CHECK(!strcmp(source_kind_of(at("names")), "folder"));
    remove(at("names/a.jfif"));
    remove(at("names/b.JPE"));
    CHECK(!strcmp(source_kind_of(at("names")), "folder")); /* by content alone */

    folder("others");
    put("others/a.gz", "\x1f\x8b\x8", 3);
    put("others/b.json", "{}", 2);
    must_refuse(spec_of("folder", "others", ""), "1 .gz");
    must_refuse(spec_of("folder", "others", ""), "1 .json");
}

/* A TIFF among images, called an image, is told for what it is. */
static void test_wrong_name(void)
{
    struct source *source = NULL;
    folder("wrong");
    put_image("wrong/a.ppm");
    put("wrong/b.png", "II*\0\10\0\0\0\0\0", 10);
    CHECK(!source_open_lenient(&source, spec_of("folder", "wrong", "")));
    must_not_read(source, 1, "a TIFF, which tiff:DIR reads");
    source_close(&source);
}

static void test_special(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    folder("special");
    put_image("special/a.ppm");
    CHECK(mkfifo(at("special/pipe.ppm"), 0666) == 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", at("special/s"));
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    holds("special", "a.ppm", "2 special files (sockets, pipes, devices)");
    close(fd);
}

/* As an ordinary user; root may open everything. */
static void test_forbidden(void)
{
    int root = geteuid() == 0;
    folder("closed");
    folder("closed/a");
    folder("closed/b");
    folder("closed/c");
    put_image("closed/a/1.ppm");
    put_image("closed/b/2.ppm");
    put_image("closed/c/3.ppm");
    put_image("closed/c/4.ppm");
    put("closed/a/5.bin", image, sizeof image - 1);
    CHECK(!chmod(files_dir, 0755) && !chmod(at("closed/b"), 0) && !chmod(at("closed/c"), 0744) &&
          !chmod(at("closed/a/5.bin"), 0));
    if (root && seteuid(65534)) {
        printf("left out: folders that may not be entered (no other user)\n");
        return;
    }
    struct source *source = must_open(spec_of("folder", "closed", ""));
    CHECK(source && source->count == 1 && source->classes == 1);
    CHECK(left(source, "folders that may not be opened") == (root || geteuid() ? 1 : 0));
    CHECK(left(source, "files that may not be opened") == 1);
    CHECK(source && source->account.gone_count == 2);
    if (root) { /* the owner's own bits would let him in */
        CHECK(left(source, "files where a folder may not be entered") == 2);
        CHECK(source && !strcmp(source->account.gone[0], "b"));
    }
    source_close(&source);
    must_refuse(spec_of("folder", "closed/b", ""), "opening the folder");
    if (root)
        CHECK(seteuid(0) == 0);
    chmod(at("closed/b"), 0755);
    chmod(at("closed/c"), 0755);
}

int main(void)
{
    if (files_begin())
        return 1;
    test_links();
    test_content();
    test_wrong_name();
    test_special();
    test_forbidden();
    files_end();
    return check_summary("tree");
}
