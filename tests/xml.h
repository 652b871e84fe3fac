/* xml.h: whether a text is well-formed XML, as far as pictures of ours need it: elements nest,
 * attributes have quotes, & begins one of four entities. */
#ifndef MOCO_TESTS_XML_H
#define MOCO_TESTS_XML_H

#include <string.h>

/* Elements that are open, by the start of their names. */
struct nesting {
    const char *names[16];
    int depth;
};

/* Attributes up to the tag's end: name="value". */
static inline const char *skip_attributes(const char *p)
{
    while (*p && *p != '>' && *p != '/' && *p != '?') {
        p += strcspn(p, "=>");
        if (*p != '=' || p[1] != '"')
            return "";
        p += 2 + strcspn(p + 2, "\"<");
        if (*p++ != '"')
            return "";
        p += strspn(p, " \n");
    }
    return p;
}

/* One tag; its end, or "" when it is wrong. */
static inline const char *skip_tag(struct nesting *nesting, const char *p)
{
    size_t length = strcspn(p + 1, " />\n");
    if (p[1] == '/') {
        const char *name = nesting->depth ? nesting->names[--nesting->depth] : "";
        length = strcspn(p + 2, ">");
        return strncmp(p + 2, name, length) ? "" : p + 2 + length + 1;
    }
    const char *end = skip_attributes(p + 1 + length + strspn(p + 1 + length, " \n"));
    if (*end == '>' && nesting->depth < 16)
        nesting->names[nesting->depth++] = p + 1;
    return *end == '>' ? end + 1 : *end && end[1] == '>' ? end + 2 : "";
}

static inline int well_formed(const char *text)
{
    static const char *const entities[] = { "&lt;", "&gt;", "&amp;", "&quot;" };
    struct nesting nesting = { { NULL }, 0 };
    const char *p = text;
    while (*p) {
        if (*p == '<') {
            p = skip_tag(&nesting, p);
            if (!*p)
                return 0;
            continue;
        }
        int known = *p != '&';
        for (int i = 0; i < 4; i++)
            known |= !strncmp(p, entities[i], strlen(entities[i]));
        if (!known)
            return 0;
        p++;
    }
    return nesting.depth == 0 && p > text;
}

#endif
