/* refusals.c: what is refused, with a sentence: forms that are not read, sizes that no file has,
 * directories that lead nowhere. Files are written by libtiff, or by hand where it would refuse. */
#include "tests/tiff/tiff.h"

/* One page with a field set as no form sets it. */
static void write_odd(const char *name, int tag, int value, int bits)
{
    static const unsigned char bytes[128];
    TIFF *tif = TIFFOpen(at(name), "w");
    set_fields(tif, &(struct form){ "w", DTYPE_U8, 1, 4, 4, 0, 0, COMPRESSION_NONE });
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, bits);
    TIFFSetField(tif, (uint32_t)tag, value);
    if (value == PHOTOMETRIC_PALETTE && tag == TIFFTAG_PHOTOMETRIC) {
        static uint16_t map[256];
        TIFFSetField(tif, TIFFTAG_COLORMAP, map, map, map);
    }
    CHECK(TIFFWriteEncodedStrip(tif, 0, (void *)(uintptr_t)bytes, 4 * 4 * bits / 8) > 0);
    TIFFClose(tif);
}

/* A header by hand: little-endian, one strip of 16 bytes at 8, `n` entries from `fields`. */
static void put_by_hand(const char *name, const uint32_t (*fields)[3], int n, uint32_t next)
{
    unsigned char bytes[400] = "II*";
    bytes[4] = 24;
    bytes[24] = (unsigned char)n;
    for (int i = 0; i < n; i++) {
        unsigned char *entry = bytes + 26 + 12 * i;
        uint32_t type = fields[i][1], value = fields[i][2];
        memcpy(entry, &(uint16_t){ (uint16_t)fields[i][0] }, 2);
        memcpy(entry + 2, &(uint16_t){ (uint16_t)type }, 2);
        entry[4] = 1;
        memcpy(entry + 8, &value, 4);
    }
    memcpy(bytes + 26 + 12 * n, &next, 4);
    put(name, bytes, (size_t)(30 + 12 * n));
}

enum { SHORT = 3, LONG = 4 };

/* A page of unsigned bytes with these fields. */
struct page {
    uint32_t width, height, samples, compression, offset, count;
    uint32_t next; /* where the next directory lies; 0: there is none */
};

static void put_page(const char *name, const struct page *page)
{
    const uint32_t fields[][3] = {
        { 256, LONG, page->width },  { 257, LONG, page->height },
        { 258, SHORT, 8 },           { 259, SHORT, page->compression },
        { 262, SHORT, 1 },           { 273, LONG, page->offset },
        { 277, SHORT, page->samples }, { 278, LONG, page->height },
        { 279, LONG, page->count },
    };
    put_by_hand(name, fields, 9, page->next);
}

static void test_odd_fields(void)
{
    static const struct {
        int tag, value, bits;
        const char *part;
    } rows[] = {
        { TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_PALETTE, 8, "palette" },
        { TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK, 32, "unsigned numbers of 32 bits" },
        { TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_INT, 8, "signed numbers of 8 bits" },
        { TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_COMPLEXIEEEFP, 64, "numbers of 64 bits" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_odd("odd.tif", rows[i].tag, rows[i].value, rows[i].bits);
        must_refuse(at("odd.tif"), rows[i].part);
    }
}

static void test_odd_pages(void)
{
    static const struct {
        struct page page;
        const char *part;
    } rows[] = {
        { { 4000000000u, 4, 1, 1, 8, 16, 0 }, "numbers; 1 to" },
        { { 60000, 60000, 1, 5, 8, 16, 0 }, "numbers; 1 to" },
        { { 60000, 60000, 65535, 1, 8, 16, 0 }, "numbers; 1 to" },
        { { 400, 400, 1, 1, 8, 16, 0 }, "more than a file of" },
        { { 16000, 16000, 1, 5, 8, 16, 0 }, "more than a file of" },
        { { 4, 4, 1, 1, 100000, 16, 0 }, "outside the file" },
        { { 4, 4, 1, 5, 8, 100000, 0 }, "outside the file" },
        { { 4, 4, 1, 777, 8, 16, 0 }, "compression 777" },
        { { 4, 4, 1, 1, 8, 16, 1u << 30 }, "not a readable TIFF" },
    };
    put_page("good.tif", &(struct page){ 4, 4, 1, 1, 8, 16, 0 });
    struct source *source = must_open(at("good.tif"));
    source_close(&source);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_page("odd.tif", &rows[i].page);
        must_refuse(at("odd.tif"), rows[i].part);
    }
    put_page("zero.tif", &(struct page){ 0, 4, 1, 1, 8, 16, 0 });
    CHECK(!survives(at("zero.tif")));
    put_page("loop.tif", &(struct page){ 4, 4, 1, 1, 8, 16, 24 }); /* its next page is the first */
    survives(at("loop.tif"));
}

static void test_no_tiffs(void)
{
    put("junk.tif", "II*\0\377\377\377\377", 8);
    must_refuse(at("junk.tif"), "not a readable TIFF");
    put("text.tif", "no tiff at all", 14);
    must_refuse(spec_of("tiff", "text.tif", ""), "not a readable TIFF");
    put("empty.tif", "", 0);
    must_refuse(spec_of("tiff", "empty.tif", ""), "not a readable TIFF");
}

void test_refusals(void)
{
    test_odd_fields();
    test_odd_pages();
    test_no_tiffs();
}
