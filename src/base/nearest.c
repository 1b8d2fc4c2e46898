#include "fovea/base/nearest.h"

#include <limits.h>
#include <string.h>

#define WORD_MAX 63

static int least(int a, int b) {
    return a < b ? a : b;
}

int fv_edit_distance(const char *a, const char *b) {
    int rows[3][WORD_MAX + 1]; /* of the table distance(first i of a, first j of b): i - 2, i - 1 and i */
    int *before = rows[0], *above = rows[1], *row = rows[2];
    int a_length = (int)strnlen(a, WORD_MAX), b_length = (int)strnlen(b, WORD_MAX);
    for (int j = 0; j <= b_length; j++) above[j] = before[j] = j;
    for (int i = 1; i <= a_length; i++) {
        row[0] = i;
        for (int j = 1; j <= b_length; j++) {
            row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        int *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[b_length];
}

int fv_nearest(const char *word, const char *const *names, int count) {
    int best = -1, best_distance = INT_MAX;
    int length = (int)strnlen(word, WORD_MAX);
    int limit = length / 3 > 2 ? length / 3 : 2;
    for (int i = 0; i < count; i++) {
        if (!names[i]) continue;
        int distance = fv_edit_distance(word, names[i]);
        /* all letters changed is no resemblance */
        if (distance > limit || distance >= length || distance >= best_distance) continue;
        best = i;
        best_distance = distance;
    }
    return best;
}
