/* nodata.h: what the attributes of a dataset declare missing: _FillValue and missing_value, as the
 * CF conventions of netCDF have them. */
#ifndef MOCO_ENGINE_DATA_FORMAT_HDF5_NODATA_H
#define MOCO_ENGINE_DATA_FORMAT_HDF5_NODATA_H

#include "engine/data/format/hdf5/dataset.h"
#include "engine/data/format/nodata.h"

/* dtype: of the numbers in memory. */
void hdf5_nodata(struct nodata *out, hid_t dataset, enum source_dtype dtype);

/* The same, and the source's words on it; a note where an attribute is no number. */
void hdf5_nodata_take(struct nodata *out, struct source *source, hid_t dataset,
                      enum source_dtype dtype);

#endif
