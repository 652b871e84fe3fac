/* cpus.h: how many CPUs this process may use: those that are online, those of its affinity mask,
 * and what the control groups' quotas allow. */
#ifndef MOCO_ENGINE_BASE_CPUS_H
#define MOCO_ENGINE_BASE_CPUS_H

struct cpus {
    int online, affinity;
    double quota;     /* CPUs' worth of time, the least of all groups; 0: none is set */
    int count;        /* the least of the three, the quota rounded up */
    const char *what; /* which one that is */
};

/* root: "" for this machine, another folder with proc/ and sys/ for tests. */
void cpus_allowed(struct cpus *out, const char *root);

/* Threads that compute when nobody gives a number: what OpenMP was told (OMP_NUM_THREADS or a call
 * of the program), else `cpus->count`. *what: which of them. */
int cpus_threads(const char **what, const struct cpus *cpus);

#endif
