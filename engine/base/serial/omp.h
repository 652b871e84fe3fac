/* omp.h: the calls of OpenMP that the engine makes, as one thread answers them. In reach of
 * #include <omp.h> only where a build has no OpenMP (-Dopenmp=disabled); its pragmas, but for simd,
 * mean nothing there. A loop computes the same bytes as with any team. */
#ifndef MOCO_ENGINE_BASE_SERIAL_OMP_H
#define MOCO_ENGINE_BASE_SERIAL_OMP_H

static inline int omp_get_max_threads(void)
{
    return 1;
}

static inline int omp_get_num_threads(void)
{
    return 1;
}

static inline int omp_get_thread_num(void)
{
    return 0;
}

/* More than one can not be had. */
static inline void omp_set_num_threads(int threads)
{
    (void)threads;
}

static inline int omp_in_parallel(void)
{
    return 0;
}

static inline int omp_get_dynamic(void)
{
    return 0;
}

static inline void omp_set_dynamic(int dynamic)
{
    (void)dynamic;
}

#endif
