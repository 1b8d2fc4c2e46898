/* Folders full of phantoms, and the contact sheet. */
#include <cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fovea/base/file.h"
#include "fovea/base/memory.h"
#include "fovea/base/progress.h"
#include "fovea/base/threads.h"
#include "fovea/dataset/phantom.h"
#include "fovea/image/image_file.h"

enum { PARTS = 5, MAX_SHEET = 100, MIN_TILE = 64, MAX_TILE = 512, MAX_SENTENCE = 1024 };

static const char *const part_folders[PARTS] = {"images", "od", "oc", "bv", "fov"};

/* What a folder's phantoms.json says. */
typedef struct set_facts {
    int version, count, side;
    uint64_t seed;
} set_facts;

/* Phantoms being made by several threads. The failure of the lowest index is the one reported. */
typedef struct set_job {
    const char *folder;
    set_facts facts;
    double *vcdr;         /* of each phantom */
    pthread_mutex_t lock; /* of all below */
    fv_progress progress;
    int64_t done, failed_index; /* failed_index: count when none did */
    fv_status status;
    char sentence[MAX_SENTENCE];
} set_job;

static fv_status part_path(const char *folder, int part, int index, char path[FV_PATH_MAX]) {
    char name[64];
    snprintf(name, sizeof name, "%s/%04d.png", part_folders[part], index);
    return fv_path_join(path, folder, name);
}

static int json_integer(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valueint : -1;
}

/* false when the file is missing or isn't ours. */
static bool read_facts(const char *path, set_facts *facts) {
    void *text;
    size_t bytes;
    if (!fv_file_exists(path) || fv_file_read(path, 1 << 16, &text, &bytes) != FV_OK) return false;
    cJSON *object = cJSON_ParseWithLength(text, bytes);
    free(text);
    const char *seed = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "seed"));
    *facts = (set_facts){.version = json_integer(object, "phantom_version"),
                         .count = json_integer(object, "count"),
                         .side = json_integer(object, "side"),
                         .seed = seed ? strtoull(seed, NULL, 10) : 0};
    cJSON_Delete(object);
    return seed && facts->version > 0 && facts->count > 0 && facts->count <= FV_PHANTOM_MAX_COUNT && facts->side > 0;
}

/* The seed is written as text: a JSON number doesn't hold 64 bits. */
static fv_status write_facts(const char *path, const set_facts *facts) {
    char seed[32];
    snprintf(seed, sizeof seed, "%" PRIu64, facts->seed);
    cJSON *object = cJSON_CreateObject();
    bool whole = cJSON_AddNumberToObject(object, "phantom_version", facts->version) &&
                 cJSON_AddStringToObject(object, "seed", seed) &&
                 cJSON_AddNumberToObject(object, "count", facts->count) &&
                 cJSON_AddNumberToObject(object, "side", facts->side);
    char *text = whole ? cJSON_Print(object) : NULL;
    cJSON_Delete(object);
    fv_status status = text ? fv_file_write(path, text, strlen(text)) : fv_fail_memory("phantoms.json", 256);
    free(text);
    return status;
}

static bool facts_equal(const set_facts *a, const set_facts *b) {
    return a->version == b->version && a->count == b->count && a->side == b->side && a->seed == b->seed;
}

/* Whether every file of the set is there. */
static bool set_complete(const char *folder, int count) {
    for (int index = 0; index < count; index++)
        for (int part = 0; part < PARTS; part++) {
            char path[FV_PATH_MAX];
            if (part_path(folder, part, index, path) != FV_OK || !fv_file_exists(path)) return false;
        }
    return true;
}

/* Removes the photographs and masks `from` .. `to` - 1 of an older, larger set. */
static void remove_phantoms(const char *folder, int from, int to) {
    for (int index = from; index < to; index++)
        for (int part = 0; part < PARTS; part++) {
            char path[FV_PATH_MAX];
            if (part_path(folder, part, index, path) == FV_OK) unlink(path);
        }
}

static fv_status write_phantom(const set_job *job, int index) {
    fv_phantom phantom;
    FV_TRY(fv_phantom_make(job->facts.seed, (uint64_t)index, job->facts.side, &phantom));
    const fv_image *images[PARTS] = {&phantom.photo, &phantom.disc, &phantom.cup, &phantom.vessel, &phantom.fov};
    job->vcdr[index] = phantom.vcdr;
    fv_status status = FV_OK;
    for (int part = 0; part < PARTS && status == FV_OK; part++) {
        char path[FV_PATH_MAX];
        status = part_path(job->folder, part, index, path);
        if (status == FV_OK) status = fv_image_write_png(images[part], path);
    }
    fv_phantom_free(&phantom);
    return status;
}

static void write_task(void *context, int64_t i, int worker) {
    (void)worker;
    set_job *job = context;
    pthread_mutex_lock(&job->lock);
    bool pointless = job->failed_index < i;
    pthread_mutex_unlock(&job->lock);
    fv_status status = pointless ? FV_OK : write_phantom(job, (int)i);
    pthread_mutex_lock(&job->lock);
    if (status != FV_OK && i < job->failed_index) {
        job->failed_index = i;
        job->status = status;
        snprintf(job->sentence, sizeof job->sentence, "%s", fv_error());
    }
    fv_progress_update(&job->progress, ++job->done, NULL);
    pthread_mutex_unlock(&job->lock);
}

/* All photographs and masks, on all threads. */
static fv_status write_phantoms(set_job *job) {
    for (int part = 0; part < PARTS; part++) {
        char path[FV_PATH_MAX];
        FV_TRY(fv_path_join(path, job->folder, part_folders[part]));
        FV_TRY(fv_folder_make(path));
    }
    if (pthread_mutex_init(&job->lock, NULL) != 0)
        return fv_fail(FV_NO_RESOURCE, "phantoms: the system has no mutex left");
    job->failed_index = job->facts.count;
    fv_progress_start(&job->progress, "phantoms", job->facts.count);
    fv_parallel_for(job->facts.count, write_task, job);
    fv_progress_end(&job->progress);
    pthread_mutex_destroy(&job->lock);
    return job->status == FV_OK ? FV_OK : fv_fail(job->status, "%s", job->sentence);
}

/* In order of index 70 % train, 15 % val, 15 % test. */
static const char *split_name(int index, int count) {
    int train = (int)lround(0.7 * count), val = (int)lround(0.85 * count);
    return index < train ? "train" : index < val ? "val" : "test";
}

static fv_status write_index(const set_job *job, const char *path) {
    fv_file file;
    FV_TRY(fv_file_begin(&file, path));
    fprintf(file.stream, "name,fundus,od,oc,bv,fov,split,cdr_expert\n");
    for (int i = 0; i < job->facts.count; i++) {
        fprintf(file.stream, "%04d", i);
        for (int part = 0; part < PARTS; part++) fprintf(file.stream, ",%s/%04d.png", part_folders[part], i);
        fprintf(file.stream, ",%s,%.4f\n", split_name(i, job->facts.count), job->vcdr[i]);
    }
    return fv_file_commit(&file);
}

/* Takes away the table of an older set first and writes the new one last: a table means a whole set. */
static fv_status replace_set(set_job *job, const char *index_path, const char *facts_path, const set_facts *old) {
    if (fv_file_exists(index_path) && unlink(index_path) != 0)
        return fv_fail(FV_BAD_INPUT, "%s: the old table can't be removed; give a folder that may be written",
                       index_path);
    FV_TRY(fv_folder_make(job->folder));
    job->vcdr = fv_allocate((size_t)job->facts.count, sizeof *job->vcdr, "the phantoms' table");
    if (!job->vcdr) return FV_NO_RESOURCE;
    fv_status status = write_phantoms(job);
    if (status == FV_OK && old) remove_phantoms(job->folder, job->facts.count, old->count);
    if (status == FV_OK) status = write_facts(facts_path, &job->facts);
    if (status == FV_OK) status = write_index(job, index_path);
    free(job->vcdr);
    job->vcdr = NULL;
    return status;
}

fv_status fv_phantom_write_set(const char *folder, int count, uint64_t seed, int side) {
    if (count < 1 || count > FV_PHANTOM_MAX_COUNT)
        return fv_fail(FV_BAD_INPUT, "phantoms: a set of %d was asked for; 1 to %d can be made", count,
                       FV_PHANTOM_MAX_COUNT);
    if (side < FV_PHANTOM_MIN_SIDE || side > FV_PHANTOM_MAX_SIDE)
        return fv_fail(FV_BAD_INPUT, "phantoms: a side of %d px was asked for; %d to %d px can be drawn", side,
                       FV_PHANTOM_MIN_SIDE, FV_PHANTOM_MAX_SIDE);
    char index_path[FV_PATH_MAX], facts_path[FV_PATH_MAX];
    FV_TRY(fv_path_join(index_path, folder, "index.csv"));
    FV_TRY(fv_path_join(facts_path, folder, "phantoms.json"));
    set_facts wanted = {.version = FV_PHANTOM_VERSION, .count = count, .side = side, .seed = seed}, found;
    bool known = read_facts(facts_path, &found), table = fv_file_exists(index_path);
    if (table && !known)
        return fv_fail(FV_BAD_INPUT,
                       "%s: the folder holds a table that was not made by the phantom generator (no readable "
                       "phantoms.json beside it); give another folder for the phantoms",
                       index_path);
    if (table && facts_equal(&found, &wanted) && set_complete(folder, count)) return FV_OK;
    set_job job = {.folder = folder, .facts = wanted};
    return replace_set(&job, index_path, facts_path, known ? &found : NULL);
}

/* The contact sheet while its tiles are drawn; statuses are looked at in order afterwards. */
typedef struct sheet_job {
    uint64_t seed;
    int columns, tile, zoom; /* px; a tile is averaged from zoom x zoom times as many pixels */
    fv_image sheet;
    fv_status status[MAX_SHEET];
    pthread_mutex_t lock; /* of the two below */
    fv_progress progress;
    int64_t done;
} sheet_job;

static void shrink_into(const fv_image *photo, int zoom, uint8_t *out, int stride) {
    int side = photo->width / zoom;
    for (int row = 0; row < side; row++)
        for (int i = 0; i < 3 * side; i++) {
            int sum = 0;
            for (int y = 0; y < zoom; y++)
                for (int x = 0; x < zoom; x++)
                    sum +=
                        photo->data[3 * ((size_t)(row * zoom + y) * (size_t)photo->width + (size_t)(i / 3 * zoom + x)) +
                                    (size_t)(i % 3)];
            out[(size_t)row * (size_t)stride + (size_t)i] = (uint8_t)((sum + zoom * zoom / 2) / (zoom * zoom));
        }
}

static void draw_tile(sheet_job *job, int64_t i) {
    fv_phantom phantom;
    job->status[i] = fv_phantom_make(job->seed, (uint64_t)i, job->tile * job->zoom, &phantom);
    if (job->status[i] != FV_OK) return;
    int column = (int)i % job->columns, row = (int)i / job->columns, stride = 3 * job->sheet.width;
    size_t corner = (size_t)row * (size_t)job->tile * (size_t)stride + 3 * (size_t)(column * job->tile);
    shrink_into(&phantom.photo, job->zoom, job->sheet.data + corner, stride);
    fv_phantom_free(&phantom);
}

static void sheet_task(void *context, int64_t i, int worker) {
    (void)worker;
    sheet_job *job = context;
    draw_tile(job, i);
    pthread_mutex_lock(&job->lock);
    fv_progress_update(&job->progress, ++job->done, NULL);
    pthread_mutex_unlock(&job->lock);
}

static fv_status draw_tiles(sheet_job *job, int count) {
    if (pthread_mutex_init(&job->lock, NULL) != 0)
        return fv_fail(FV_NO_RESOURCE, "phantoms: the system has no mutex left");
    fv_progress_start(&job->progress, "phantoms", count);
    fv_parallel_for(count, sheet_task, job);
    fv_progress_end(&job->progress);
    pthread_mutex_destroy(&job->lock);
    for (int i = 0; i < count; i++) /* a tile can only fail for want of memory, whatever thread it happened on */
        if (job->status[i] != FV_OK)
            return fv_fail_memory("the contact sheet's phantoms", (unsigned long long)job->tile * 4096);
    return FV_OK;
}

fv_status fv_phantom_sheet(const char *path, int count, uint64_t seed, int tile_px) {
    if (count < 1 || count > MAX_SHEET || tile_px < MIN_TILE || tile_px > MAX_TILE)
        return fv_fail(FV_BAD_INPUT,
                       "%s: a sheet of %d phantoms of %d px was asked for; 1 to %d of %d to %d px can be drawn", path,
                       count, tile_px, MAX_SHEET, MIN_TILE, MAX_TILE);
    sheet_job job = {.seed = seed, .tile = tile_px, .zoom = tile_px <= 128 ? 4 : tile_px <= 170 ? 3 : 2};
    job.columns = (int)ceil(sqrt(count * 4.0 / 3.0));
    int rows = (count + job.columns - 1) / job.columns;
    FV_TRY(fv_image_make(job.columns * tile_px, rows * tile_px, 3, &job.sheet));
    fv_status status = draw_tiles(&job, count);
    if (status == FV_OK) status = fv_image_write_png(&job.sheet, path);
    fv_image_free(&job.sheet);
    return status;
}
