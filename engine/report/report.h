/* report.h: a run folder as one HTML page: figures, curves, settings and where they came from.
 *
 * The page fetches nothing and runs no script, so it can be mailed and kept. */
#ifndef MOCO_ENGINE_REPORT_REPORT_H
#define MOCO_ENGINE_REPORT_REPORT_H

/* Reads config.json, log.csv and what else there is in the folder `run`; the file at `out` appears
 * whole. A run that is under way or was interrupted is shown as far as it is. */
int report_write(const char *run, const char *out);

#endif
