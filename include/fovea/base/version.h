/* Which fovea this is. */
#ifndef FOVEA_BASE_VERSION_H
#define FOVEA_BASE_VERSION_H

#include "fovea/base/public.h" /* fv_version() */

/* The git revision that was built, "-dirty" behind it when files were changed; "unknown" outside a repository. */
const char *fv_revision(void);
/* The day of that revision, "2026-11-24"; "" when unknown. */
const char *fv_revision_date(void);

#endif
