/* The report of the data check as text and as JSON. */
#include "fovea/dataset/check.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "fovea/base/text.h"

/* "none" for photographs that belong to no split. */
static const char *split_label(int split) {
    return fv_split_names[split] ? fv_split_names[split] : "none";
}

static void print_sets(const fv_data_report *report, FILE *stream) {
    fprintf(stream, "%-20s %-6s %7s", "set", "split", "photos");
    for (int c = 0; c < report->classes; c++) fprintf(stream, " %7s", report->class_names[c]);
    fputs("\n", stream);
    for (int s = 0; s < report->set_count; s++) {
        const fv_set_summary *set = &report->sets[s];
        for (int k = 0; k <= FV_SPLIT_NONE; k++) {
            if (set->photos[k] == 0) continue;
            fprintf(stream, "%-20s %-6s %7d", set->set, split_label(k), set->photos[k]);
            for (int c = 0; c < report->classes; c++) fprintf(stream, " %7d", set->annotated[k][c]);
            fputs("\n", stream);
        }
    }
    fprintf(stream, "\n%-20s %10s  %11s  %11s  %11s\n", "set", "readable", "smallest", "median", "largest px");
    for (int s = 0; s < report->set_count; s++) {
        const fv_set_summary *set = &report->sets[s];
        fprintf(stream, "%-20s %10d  %5dx%-5d  %5dx%-5d  %5dx%-5d\n", set->set, set->readable, set->smallest_px[0],
                set->smallest_px[1], set->median_px[0], set->median_px[1], set->largest_px[0], set->largest_px[1]);
    }
}

static void print_kind(const fv_data_report *report, int kind, int limit, FILE *stream) {
    int printed = 0;
    for (int i = 0; i < report->count; i++) {
        const fv_finding *finding = &report->findings[i];
        if ((int)finding->kind != kind) continue;
        if (limit > 0 && printed == limit) break;
        fprintf(stream, "%s %s\n", finding->spoils ? "SPOILS " : "warning", finding->sentence);
        printed++;
    }
    int left = report->counts[kind] - printed;
    if (left > 0) fprintf(stream, "        ... and %d more of %s\n", left, fv_finding_names[kind]);
}

void fv_data_report_print(const fv_data_report *report, int limit, FILE *stream) {
    print_sets(report, stream);
    fputs("\n", stream);
    if (report->count == 0) {
        fprintf(stream, "%d photographs checked, nothing found\n", report->photos);
        return;
    }
    for (int kind = 0; kind < FV_FINDING_KINDS; kind++) print_kind(report, kind, limit, stream);
    fprintf(stream, "\n%d photographs checked: %d findings would spoil training, %d warnings\n", report->photos,
            report->spoiling, report->count - report->spoiling);
    for (int kind = 0; kind < FV_FINDING_KINDS; kind++) {
        if (report->counts[kind]) fprintf(stream, "  %-17s %6d\n", fv_finding_names[kind], report->counts[kind]);
    }
}

/* Names of files and sets may hold any bytes, JSON is UTF-8. */
static void add_text(cJSON *object, const char *name, const char *text) {
    size_t size = strlen(text) + 1;
    char *clean = malloc(size);
    if (!clean) return;
    fv_text_clean(text, clean, size);
    cJSON_AddStringToObject(object, name, clean);
    free(clean);
}

static cJSON *set_json(const fv_data_report *report, const fv_set_summary *set) {
    cJSON *object = cJSON_CreateObject();
    add_text(object, "set", set->set);
    for (int k = 0; k <= FV_SPLIT_NONE; k++) {
        cJSON *split = cJSON_AddObjectToObject(object, split_label(k));
        cJSON_AddNumberToObject(split, "photographs", set->photos[k]);
        for (int c = 0; c < report->classes; c++) {
            cJSON_AddNumberToObject(split, report->class_names[c], set->annotated[k][c]);
        }
    }
    cJSON_AddNumberToObject(object, "readable", set->readable);
    cJSON_AddItemToObject(object, "smallest_px", cJSON_CreateIntArray(set->smallest_px, 2));
    cJSON_AddItemToObject(object, "median_px", cJSON_CreateIntArray(set->median_px, 2));
    cJSON_AddItemToObject(object, "largest_px", cJSON_CreateIntArray(set->largest_px, 2));
    return object;
}

static cJSON *finding_json(const fv_finding *finding) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "kind", fv_finding_names[finding->kind]);
    cJSON_AddStringToObject(object, "severity", finding->spoils ? "spoils" : "warning");
    add_text(object, "file", finding->file);
    add_text(object, "sentence", finding->sentence);
    return object;
}

fv_status fv_data_report_json(const fv_data_report *report, char **json) {
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "photographs", report->photos);
    cJSON_AddNumberToObject(object, "spoiling", report->spoiling);
    cJSON_AddNumberToObject(object, "warnings", report->count - report->spoiling);
    cJSON *counts = cJSON_AddObjectToObject(object, "counts");
    for (int kind = 0; kind < FV_FINDING_KINDS; kind++) {
        cJSON_AddNumberToObject(counts, fv_finding_names[kind], report->counts[kind]);
    }
    cJSON *sets = cJSON_AddArrayToObject(object, "sets");
    for (int s = 0; s < report->set_count; s++) cJSON_AddItemToArray(sets, set_json(report, &report->sets[s]));
    cJSON *findings = cJSON_AddArrayToObject(object, "findings");
    for (int i = 0; i < report->count; i++) cJSON_AddItemToArray(findings, finding_json(&report->findings[i]));
    *json = object ? cJSON_Print(object) : NULL;
    cJSON_Delete(object);
    return *json ? FV_OK : fv_fail_memory("the report of the data check as JSON", 0);
}
