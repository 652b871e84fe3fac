/* version.c: the version as text; the numbers stand in include/moco.h. */
#include "include/moco.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *moco_version(void)
{
    return TEXT(MOCO_VERSION_MAJOR) "." TEXT(MOCO_VERSION_MINOR) "." TEXT(MOCO_VERSION_PATCH);
}
