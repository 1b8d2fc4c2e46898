#include "fovea/train/schedule.h"

#include <math.h>
#include <stddef.h>

const char *const fv_schedule_names[] = {"constant", "step", "cosine", "plateau", NULL};

static double factor_after_warmup(const fv_schedule *s, const fv_plateau *plateau, int64_t step, int64_t total,
                                  int64_t per_epoch) {
    switch (s->kind) {
    case FV_SCHEDULE_STEP:
        return pow(s->factor, (double)(step / per_epoch / s->every));
    case FV_SCHEDULE_COSINE: {
        double length = (double)(total - s->warmup_steps), t = (double)(step - s->warmup_steps);
        return length > 0 ? 0.5 * (1 + cos(acos(-1.0) * fmin(t / length, 1))) : 1;
    }
    case FV_SCHEDULE_PLATEAU:
        return plateau->factor;
    default:
        return 1;
    }
}

double fv_schedule_factor(const fv_schedule *s, const fv_plateau *plateau, int64_t step, int64_t total,
                          int64_t per_epoch) {
    if (step < s->warmup_steps) return (double)(step + 1) / s->warmup_steps;
    return fmax(factor_after_warmup(s, plateau, step, total, per_epoch), s->floor);
}

void fv_plateau_update(const fv_schedule *s, fv_plateau *plateau, double loss) {
    if (loss < plateau->best) {
        plateau->best = loss;
        plateau->flat = 0;
    } else if (++plateau->flat >= s->every) {
        plateau->factor = fmax(plateau->factor * s->factor, s->floor);
        plateau->flat = 0;
    }
}
