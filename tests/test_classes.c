/* test_classes: labels of two sources in one numbering: by name, by numbers that are names, by
 * order where one side has words and the other numbers; and accuracy of sets that lack classes of
 * the other. A colour a class: an image is classified rightly where its label is right. */
#include "tests/files.h"

#include <math.h>

#include "engine/data/classes.h"
#include "engine/data/format/pack.h"
#include "engine/eval/finetune.h"
#include "engine/eval/linear.h"
#include "engine/net/encoder.h"

enum { SIZE = 8, EACH = 6 };

static struct moco_simd simd;

struct animal {
    const char *name;
    unsigned char colour[3];
};

static const struct animal bird = {"bird", {220, 40, 40}}, cat = {"cat", {40, 220, 40}},
                           dog = {"dog", {40, 40, 220}}, eel = {"eel", {200, 200, 30}};

static void put_image(const char *folder, const struct animal *a, const char *class, int i)
{
    char name[100];
    unsigned char image[11 + SIZE * SIZE * 3] = "P6 8 8 255\n";
    for (int p = 0; p < SIZE * SIZE * 3; p++)
        image[11 + p] = (unsigned char)(a->colour[p % 3] + (i * 7 + p) % 11);
    snprintf(name, sizeof name, "%s/%s/%d.ppm", folder, class, i);
    put(name, image, sizeof image);
}

/* `each` images of every animal, in a folder a class; it may have another name. */
static void put_set(const char *folder, const struct animal *const *animals,
                    const char *const *names, int each)
{
    char name[100];
    mkdir(at(folder), 0777);
    for (int c = 0; animals[c]; c++) {
        const char *class = names ? names[c] : animals[c]->name;
        snprintf(name, sizeof name, "%s/%s", folder, class);
        mkdir(at(name), 0777);
        for (int i = 0; i < each; i++)
            put_image(folder, animals[c], class, i);
    }
}

#define ANIMALS(...) ((const struct animal *const[]){__VA_ARGS__, NULL})
#define NAMES(...) ((const char *const[]){__VA_ARGS__})

/* The numbers of `other`'s classes in the numbering of `reference`, as text. */
static const char *mapped(const char *reference, const char *other, int *count, char note[700])
{
    static char text[200];
    struct classes classes;
    struct source *a = must_open(reference), *b = must_open(other);
    int32_t *map = NULL;
    text[0] = '\0';
    CHECK(!classes_open(&classes, a));
    int rc = classes_add(&map, &classes, b);
    for (int c = 0; c < b->classes && !rc; c++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d", c ? " " : "", map[c]);
    *count = classes.count;
    snprintf(note, 700, "%s", rc ? error_text() : classes.note);
    for (int c = 0; c < classes.count; c++)
        CHECK(classes.names[c] != NULL);
    classes_close(&classes);
    free(map);
    source_close(&a);
    source_close(&b);
    return rc ? "refused" : text;
}

static void aligned(const char *reference, const char *other, const char *wanted, int count,
                    const char *says)
{
    char note[700];
    int n;
    const char *got = mapped(reference, other, &n, note);
    CHECK_MSG(!strcmp(got, wanted), "%s in %s: %s, not %s", other, reference, got, wanted);
    CHECK_MSG(n == count, "%s and %s: %d classes, not %d", reference, other, n, count);
    CHECK_MSG(says ? strstr(note, says) != NULL : !note[0], "%s, not %s", note, says ? says : "-");
}

static void test_numbering(void)
{
    const float x[6 * 4] = {0};
    const int64_t y[6] = {0, 1, 2, 3, 2, 1};
    put_npy("x.npy", "<f4", "6, 2, 2", x, sizeof x);
    put_npy("y.npy", "<i8", "6", y, sizeof y);
    put_set("three", ANIMALS(&bird, &cat, &dog), NULL, 2);
    put_set("two", ANIMALS(&bird, &dog), NULL, 2);
    put_set("late", ANIMALS(&dog, &eel), NULL, 2);
    put_set("other", ANIMALS(&cat, &eel), NAMES("Cat", "Eel"), 2);
    put_set("digits", ANIMALS(&bird, &cat, &dog), NAMES("1", "3", "10"), 2);
    put_set("padded", ANIMALS(&bird, &cat, &dog), NAMES("01", "03", "12"), 2);
    put_set("twice", ANIMALS(&bird, &cat), NAMES("1", "01"), 2);
    char three[600], two[600], late[600], other[600];
    char digits[600], padded[600], twice[600], xy[1300];
    snprintf(three, sizeof three, "folder:%s", at("three"));
    snprintf(two, sizeof two, "folder:%s", at("two"));
    snprintf(late, sizeof late, "folder:%s", at("late"));
    snprintf(other, sizeof other, "folder:%s", at("other"));
    snprintf(digits, sizeof digits, "folder:%s", at("digits"));
    snprintf(padded, sizeof padded, "folder:%s", at("padded"));
    snprintf(twice, sizeof twice, "folder:%s", at("twice"));
    snprintf(xy, sizeof xy, "npy:%s,%s", at("x.npy"), at("y.npy"));
    aligned(three, three, "0 1 2", 3, NULL);
    aligned(three, two, "0 2", 3, NULL);
    aligned(two, three, "0 2 1", 3, NULL);
    aligned(three, late, "2 3", 4, NULL);
    aligned(three, other, "refused", 3, "no class is in both sets");
    aligned(xy, digits, "1 4 3", 5, NULL); /* folders "1", "10", "3"; 10 is none of 0 to 3 */
    aligned(digits, xy, "3 0 4 2", 5, NULL);
    aligned(digits, padded, "refused", 3, "01, 03, 12");
    aligned(xy, padded, "1 3 4", 5, NULL);
    aligned(xy, twice, "0 1", 4, "0 is taken for 01"); /* 1 and 01 would be one number */
    aligned(xy, three, "0 1 2", 4, "0 is taken for bird");
    aligned(three, xy, "0 1 2 3", 4, "0 is taken for bird");
    aligned(xy, xy, "0 1 2 3", 4, NULL);
}

/* A packed file keeps the names. */
static void test_packed(void)
{
    char packed[600], three[600], two[600];
    struct pack_options options = {.simd = &simd};
    struct pack_report report;
    snprintf(three, sizeof three, "folder:%s", at("three"));
    snprintf(two, sizeof two, "folder:%s", at("two"));
    snprintf(packed, sizeof packed, "packed:%s", at("two.pack"));
    struct source *source = must_open(two);
    CHECK_MSG(!pack_write(&report, at("two.pack"), source, &options), "%s", error_text());
    source_close(&source);
    aligned(three, packed, "0 2", 3, NULL);
    aligned(packed, three, "0 2 1", 3, NULL);
}

/* ---- accuracy ---- */

static struct policy pixels(void)
{
    struct policy policy = {.side = SIZE, .channels = 3};
    for (int c = 0; c < 3; c++)
        policy.mean[c] = 0.4f, policy.std[c] = 0.3f;
    return policy;
}

/* kNN, the linear probe and fine-tuning: percent, images without a class to learn, what is told. */
static void judged(const char *train, const char *test, double top1, size_t unknown,
                   const char *says)
{
    struct policy policy = pixels();
    struct score_sets sets;
    struct linear_result linear;
    double knn = -1.0;
    const struct linear_config config = {.protocol = LINEAR_SOLVER, .l2 = 0.01};
    CHECK_MSG(!score_open(&sets, train, test, NULL), "%s", error_text());
    CHECK_MSG(!score_run(&knn, &sets, NULL, &policy, 3, 0.1, &simd), "%s", error_text());
    CHECK_MSG(fabs(knn - top1) < 1e-9 && sets.unknown == unknown, "kNN %g, %zu unknown", knn,
              sets.unknown);
    CHECK_MSG(!linear_run(&linear, NULL, &sets, NULL, &policy, &config, &simd), "%s",
              error_text());
    CHECK_MSG(fabs(linear.top1 - top1) < 1e-9 && sets.unknown == unknown, "linear %g, %zu unknown",
              linear.top1, sets.unknown);
    CHECK_MSG(says ? strstr(sets.only, says) != NULL : !sets.only[0], "%s", sets.only);
    score_close(&sets);
}

static void tuned(const char *train, const char *test, double top1, size_t unknown)
{
    struct policy policy = pixels();
    struct score_sets sets;
    struct net *net;
    struct encoder encoder;
    struct finetune_result r;
    const struct net_config small = {.arch = "resnet18", .width = 8, .stem = STEM_CIFAR, .dim = 16,
                                     .channels = 3, .side = SIZE, .batch = 1, .bn_splits = 1};
    const struct finetune_config config = {.fraction = 1.0, .batch = 12, .lr = 0.02, .seed = 1,
                                           .epochs = 60};
    CHECK(!score_open(&sets, train, test, NULL));
    CHECK(!net_open(&net, &small, &simd) && !encoder_open(&encoder, net, 1, NULL));
    encoder_init(&encoder, net, 1);
    CHECK_MSG(!finetune_run(&r, &sets, net, &encoder, &policy, &config, &simd), "%s",
              error_text());
    CHECK_MSG(fabs(r.top1 - top1) < 1e-9 && sets.unknown == unknown, "fine-tuned %g, %zu unknown",
              r.top1, sets.unknown);
    encoder_close(&encoder);
    net_close(&net);
    score_close(&sets);
}

static void test_accuracy(void)
{
    char three[600], two[600], late[600], same[600];
    put_set("train", ANIMALS(&bird, &cat, &dog), NULL, EACH);
    put_set("test", ANIMALS(&bird, &dog), NULL, EACH / 2);
    put_set("late", ANIMALS(&dog, &eel), NULL, EACH / 2);
    put_set("same", ANIMALS(&bird, &cat, &dog), NULL, EACH / 2);
    snprintf(three, sizeof three, "folder:%s", at("train"));
    snprintf(two, sizeof two, "folder:%s", at("test"));
    snprintf(late, sizeof late, "folder:%s", at("late"));
    snprintf(same, sizeof same, "folder:%s", at("same"));
    judged(three, same, 100.0, 0, NULL);
    judged(three, two, 100.0, 0, "has 6 images of 1 class that");
    judged(three, late, 50.0, 3, "has 3 images of 1 class that");
    judged(three, late, 50.0, 3, "(eel 3), which count as wrong");
    tuned(three, two, 100.0, 0);
    tuned(three, late, 50.0, 3);
}

/* Labels in the numbering of another source, as a classifier has learnt them. */
static void test_reference(void)
{
    char three[600], two[600];
    struct score_sets sets;
    snprintf(three, sizeof three, "folder:%s", at("train"));
    snprintf(two, sizeof two, "folder:%s", at("test"));
    struct source *reference = must_open(three);
    CHECK(!score_open(&sets, two, two, reference));
    CHECK(sets.classes == 3 && sets.train.labels[0] == 0 && sets.train.labels[EACH - 1] == 2);
    CHECK(sets.test.labels[EACH - 1] == 2 && !sets.only[0]);
    score_close(&sets);
    source_close(&reference);
}

int main(void)
{
    if (moco_simd_init(&simd, NULL) || files_begin())
        return 1;
    test_numbering();
    test_packed();
    test_accuracy();
    test_reference();
    files_end();
    return check_summary("classes");
}
