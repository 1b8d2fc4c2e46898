#include "fovea/base/version.h"

#include "revision.h" /* FV_REVISION and FV_REVISION_DATE, written by the Makefile */

const char *fv_version(void) {
    return "0.1.0";
}

const char *fv_revision(void) {
    return FV_REVISION;
}

const char *fv_revision_date(void) {
    return FV_REVISION_DATE;
}
