// header_cpp.cc: include/moco.h compiles as C++ and links against the shared library.
#include "include/moco.h"

int main()
{
    moco_config config;
    moco_config_default(&config);
    return config.queue == 4096 && moco_version()[0] ? 0 : 1;
}
