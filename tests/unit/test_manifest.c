/* Manifests: any column names, mapped paths, what is not annotated, and the sentences for what is wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data_samples.h"
#include "fovea/base/log.h"

static int make_folder(void **state) {
    (void)state;
    fv_log_set_quiet(true);
    sample_folder_make();
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    sample_folder_remove();
    return 0;
}

static fv_manifest read_csv(const char *csv, fv_manifest_source source, bool vessel) {
    if (csv) sample_write_text("index.csv", csv);
    fv_model_spec spec = sample_spec(vessel);
    fv_manifest manifest;
    fv_manifest_init(&manifest, &spec);
    if (!source.csv) source.csv = sample_path("index.csv");
    if (fv_manifest_append(&manifest, &source) != FV_OK) fail_msg("%s", fv_error());
    return manifest;
}

/* Expects FV_BAD_INPUT whose sentence has `part` in it, and an unchanged manifest. */
static void refuse_csv(const char *csv, fv_manifest_source source, const char *part) {
    sample_write_text("index.csv", csv);
    fv_model_spec spec = sample_spec(false);
    fv_manifest manifest;
    fv_manifest_init(&manifest, &spec);
    source.csv = sample_path("index.csv");
    assert_int_equal(fv_manifest_append(&manifest, &source), FV_BAD_INPUT);
    if (!strstr(fv_error(), part)) fail_msg("\"%s\" does not say \"%s\"", fv_error(), part);
    assert_int_equal(manifest.count, 0);
    fv_manifest_free(&manifest);
}

static void reads_second_readers_and_groups(void **state) {
    (void)state;
    static const char table[] = "fundus,od,od2,other,stage\n"
                                "a.jpg,a.png,a2.png,x.png,late\n"
                                "b.jpg,b.png,NA,,early\n";
    fv_manifest manifest = read_csv(table, (fv_manifest_source){0}, false);
    assert_string_equal(manifest.records[0].second[0], sample_path("a2.png"));
    assert_string_equal(manifest.records[0].second[1], "");
    assert_string_equal(manifest.records[1].second[0], "");
    assert_string_equal(manifest.records[0].group, "");
    assert_int_equal(fv_manifest_write(&manifest, sample_path("written.csv")), FV_OK);
    fv_manifest_free(&manifest);
    fv_model_spec spec = sample_spec(false);
    fv_manifest_init(&manifest, &spec);
    fv_manifest_source again = {.csv = sample_path("written.csv")};
    if (fv_manifest_append(&manifest, &again) != FV_OK) fail_msg("%s", fv_error());
    assert_string_equal(manifest.records[0].second[0], sample_path("a2.png"));
    fv_manifest_free(&manifest);
    fv_manifest_source named = {.column_second = {"other"}, .column_group = "stage"};
    manifest = read_csv(table, named, false);
    assert_string_equal(manifest.records[0].second[0], sample_path("x.png"));
    assert_string_equal(manifest.records[0].group, "late");
    assert_string_equal(manifest.records[1].group, "early");
    fv_manifest_free(&manifest);
    refuse_csv(table, (fv_manifest_source){.column_group = "group"}, "group");
}

static void reads_the_usual_columns(void **state) {
    (void)state;
    fv_manifest manifest = read_csv("name,fundus,od,oc,bv,fov,split,patient,cdr_expert\n"
                                    "a,images/a.jpg,od/a.png,oc/a.png,,fov/a.png,train,7,0.45\n"
                                    "b,/far/b.jpg,od/b.png,,,,test,,\n"
                                    "c,,od/c.png,,,,test,,\n",
                                    (fv_manifest_source){0}, false);
    assert_int_equal(manifest.count, 2); /* c has no photograph */
    const fv_record *a = &manifest.records[0], *b = &manifest.records[1];
    assert_string_equal(a->name, "a");
    assert_string_equal(a->fundus, sample_path("images/a.jpg"));
    assert_string_equal(a->mask[0], sample_path("od/a.png"));
    assert_string_equal(a->mask[1], sample_path("oc/a.png"));
    assert_string_equal(a->fov, sample_path("fov/a.png"));
    assert_string_equal(a->patient, "7");
    assert_string_equal(a->second[0], "");
    assert_string_equal(a->group, "");
    assert_float_equal(a->cdr_expert, 0.45, 1e-12);
    assert_int_equal(a->split, FV_SPLIT_TRAIN);
    assert_string_equal(b->fundus, "/far/b.jpg");
    assert_string_equal(b->mask[1], "");
    assert_string_equal(b->fov, "");
    assert_true(isnan(b->cdr_expert));
    assert_int_equal(b->split, FV_SPLIT_TEST);
    fv_manifest_free(&manifest);
}

/* The column's, else the set's. */
static void knows_the_angle_of_cameras(void **state) {
    (void)state;
    const char *table = "name,fundus,fov_degrees\na,a.jpg,30\nb,b.jpg,\n";
    fv_manifest manifest = read_csv(table, (fv_manifest_source){0}, false);
    assert_float_equal(manifest.records[0].fov_degrees, 30, 0);
    assert_true(isnan(manifest.records[1].fov_degrees));
    fv_manifest_free(&manifest);
    manifest = read_csv(table, (fv_manifest_source){.fov_degrees = 45}, false);
    assert_float_equal(manifest.records[0].fov_degrees, 30, 0);
    assert_float_equal(manifest.records[1].fov_degrees, 45, 0);
    assert_int_equal(fv_manifest_write(&manifest, sample_path("written.csv")), FV_OK);
    fv_manifest_free(&manifest);
    manifest = read_csv(NULL, (fv_manifest_source){.csv = sample_path("written.csv")}, false);
    assert_float_equal(manifest.records[0].fov_degrees, 30, 0);
    assert_float_equal(manifest.records[1].fov_degrees, 45, 0);
    fv_manifest_free(&manifest);
    refuse_csv("name,fundus,fov_degrees\na,a.jpg,5\n", (fv_manifest_source){0}, "index.csv:2: fov_degrees = 5");
    refuse_csv("name,fundus,fov_degrees\na,a.jpg,wide\n", (fv_manifest_source){0}, "10 to 200 degrees");
}

static void reads_the_second_form(void **state) {
    (void)state;
    fv_manifest_source source = {.root = "/data", .set = "mine"};
    fv_manifest manifest = read_csv("image_path,od_path,oc_path,vessel_path\n"
                                    "f/eye.1.png,d/1.png,c/1.png,v/1.png\n",
                                    source, true);
    assert_int_equal(manifest.count, 1);
    assert_string_equal(manifest.records[0].name, "eye.1");
    assert_string_equal(manifest.records[0].set, "mine");
    assert_string_equal(manifest.records[0].mask[0], "/data/v/1.png");
    assert_int_equal(manifest.records[0].split, FV_SPLIT_NONE);
    fv_manifest_free(&manifest);
}

static void maps_prefixes_and_words(void **state) {
    (void)state;
    fv_manifest_source source = {.root = "/smdg",
                                 .prefix_from = "/full-fundus/;/optic-disc/",
                                 .prefix_to = "full-fundus/;discs/od-",
                                 .missing_values = "unclear, Not Visible"};
    fv_manifest manifest = read_csv("names,fundus,fundus_od_seg,fundus_oc_seg,vcdr\n"
                                    "X-1,/full-fundus/X-1.png,/optic-disc/X-1.png,not visible,0.5\n"
                                    "X-2,/full-fundus/X-2.png,/other/X-2.png,Unclear, \n",
                                    source, false);
    assert_string_equal(manifest.records[0].fundus, "/smdg/full-fundus/X-1.png");
    assert_string_equal(manifest.records[0].mask[0], "/smdg/discs/od-X-1.png");
    assert_string_equal(manifest.records[0].mask[1], "");
    assert_float_equal(manifest.records[0].cdr_expert, 0.5, 0);
    assert_string_equal(manifest.records[1].mask[0], "/other/X-2.png");
    assert_string_equal(manifest.records[1].mask[1], "");
    assert_true(isnan(manifest.records[1].cdr_expert));
    fv_manifest_free(&manifest);
}

static void reads_named_columns_and_values(void **state) {
    (void)state;
    fv_manifest_source source = {.column_fundus = "photo",
                                 .column_split = "use",
                                 .train_values = "learn practise",
                                 .test_values = "exam",
                                 .column_patient = ""};
    fv_model_spec spec = sample_spec(false);
    assert_int_equal(fv_manifest_source_column(&source, &spec, "od=disc mask"), FV_OK);
    assert_int_equal(fv_manifest_source_column(&source, &spec, "name=id"), FV_OK);
    fv_manifest manifest = read_csv("id,photo,disc mask,use,patient\n"
                                    "1,a.png,m.png,Learn,p\n"
                                    "2,b.png,m.png,EXAM,p\n"
                                    "3,c.png,m.png,unused,p\n",
                                    source, false);
    assert_string_equal(manifest.records[0].mask[0], sample_path("m.png"));
    assert_string_equal(manifest.records[0].patient, "");
    assert_int_equal(manifest.records[0].split, FV_SPLIT_TRAIN);
    assert_int_equal(manifest.records[1].split, FV_SPLIT_TEST);
    assert_int_equal(manifest.records[2].split, FV_SPLIT_NONE);
    fv_manifest_free(&manifest);
}

static void explains_what_is_wrong(void **state) {
    (void)state;
    fv_manifest_source none = {0};
    refuse_csv("name,photo,od\na,a.jpg,b.png\n", none, "photo");
    refuse_csv("name,fundus,od\na,a.jpg,b.png\n", (fv_manifest_source){.column_mask = {"disc"}}, "disc");
    refuse_csv("name,fundus\na,a.jpg\nb\n", none, "index.csv:3");
    refuse_csv("name,fundus,cdr_expert\na,a.jpg,much\n", none, "index.csv:2: cdr_expert = much");
    refuse_csv("name,fundus,split\na,a.jpg,learn\n", none, "train_values");
    refuse_csv("name,fundus\na,\n", none, "no row names a photograph");
    fv_model_spec spec = sample_spec(false);
    fv_manifest_source source = {0};
    assert_int_equal(fv_manifest_source_column(&source, &spec, "macula=x"), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "cdr, degrees, disc, cup"));
    assert_int_equal(fv_manifest_source_column(&source, &spec, "od"), FV_BAD_INPUT);
}

static void keeps_what_was_there_when_an_append_fails(void **state) {
    (void)state;
    fv_manifest manifest = read_csv("name,fundus\na,a.jpg\n", (fv_manifest_source){0}, false);
    sample_write_text("bad.csv", "name,fundus,cdr_expert\nb,b.jpg,0.1\nc,c.jpg,x\n");
    fv_manifest_source source = {.csv = sample_path("bad.csv")};
    assert_int_equal(fv_manifest_append(&manifest, &source), FV_BAD_INPUT);
    assert_int_equal(manifest.count, 1);
    assert_string_equal(manifest.records[0].name, "a");
    fv_manifest_free(&manifest);
}

static void writes_what_it_reads_again(void **state) {
    (void)state;
    fv_manifest manifest = read_csv("name,fundus,od,oc,split,patient,cdr_expert\n"
                                    "\"a, left\",a.jpg,a.png,,train,7,0.45\nb,b.jpg,,c.png,,,\n",
                                    (fv_manifest_source){0}, false);
    assert_int_equal(fv_manifest_write(&manifest, sample_path("written.csv")), FV_OK);
    fv_model_spec spec = sample_spec(false);
    fv_manifest again;
    fv_manifest_init(&again, &spec);
    assert_int_equal(fv_manifest_append(&again, &(fv_manifest_source){.csv = sample_path("written.csv")}), FV_OK);
    assert_int_equal(again.count, 2);
    for (int i = 0; i < 2; i++) {
        const fv_record *a = &manifest.records[i], *b = &again.records[i];
        assert_string_equal(a->name, b->name);
        assert_string_equal(a->fundus, b->fundus);
        assert_string_equal(a->mask[0], b->mask[0]);
        assert_string_equal(a->mask[1], b->mask[1]);
        assert_string_equal(a->patient, b->patient);
        assert_int_equal(a->split, b->split);
    }
    assert_float_equal(again.records[0].cdr_expert, 0.45, 1e-9);
    assert_int_equal(fv_manifest_write(&manifest, "/nowhere/at/all.csv"), FV_BAD_INPUT);
    fv_manifest_free(&manifest);
    fv_manifest_free(&again);
}

/* ---- INI ---- */

static fv_status from_ini(const char *ini, bool vessel, fv_manifest *manifest) {
    fv_config *config;
    assert_int_equal(fv_config_parse(ini, "test.ini", &config), FV_OK);
    fv_model_spec spec = sample_spec(vessel);
    fv_status status = fv_manifest_from_config(config, &spec, manifest);
    if (status == FV_OK && fv_config_finish(config) != FV_OK) fail_msg("%s", fv_error());
    fv_config_free(config);
    return status;
}

static void joins_several_sets(void **state) {
    (void)state;
    setenv("FOVEA_TEST_FOLDER", sample_path("."), 1);
    sample_write_text("one.csv", "fundus,od,split\n/x/a.png,a.png,train\n/x/b.png,b.png,val\n");
    sample_write_text("two.csv", "img,disc\n/x/c.png,c.png\n/x/d.png,d.png\n");
    fv_manifest manifest;
    if (from_ini("[data]\nprefix_map = /x/ -> photos/, /y/ -> z/\nval_count = 0\n"
                 "[set.one]\nmanifest = ${FOVEA_TEST_FOLDER}/one.csv\nroot = /r\n"
                 "[set.two]\nmanifest = ${FOVEA_TEST_FOLDER}/two.csv\ncolumn_fundus = img\ncolumn_disc = disc\n"
                 "split = test\n",
                 false, &manifest) != FV_OK) {
        fail_msg("%s", fv_error());
    }
    assert_int_equal(manifest.count, 4);
    assert_string_equal(manifest.records[0].set, "one");
    assert_string_equal(manifest.records[0].fundus, "/r/photos/a.png");
    assert_int_equal(manifest.records[1].split, FV_SPLIT_VAL);
    assert_string_equal(manifest.records[2].set, "two");
    assert_int_equal(manifest.records[2].split, FV_SPLIT_TEST);
    assert_int_equal(manifest.records[3].split, FV_SPLIT_TEST);
    fv_manifest_free(&manifest);
}

static void explains_a_wrong_ini(void **state) {
    (void)state;
    fv_manifest manifest;
    assert_int_equal(from_ini("[run]\nseed = 1\n", false, &manifest), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "[data] names no data"));
    assert_int_equal(from_ini("[data]\nmanifest = a.csv\n[set.b]\nmanifest = b.csv\n", false, &manifest), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "test.ini:2"));
    unsetenv("FOVEA_TEST_NOTHING");
    assert_int_equal(from_ini("[data]\nmanifest = ${FOVEA_TEST_NOTHING}/a.csv\n", false, &manifest), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "FOVEA_TEST_NOTHING is not set"));
    assert_int_equal(from_ini("[data]\nmanifest = nowhere/a.csv\n", false, &manifest), FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "test.ini:2: [data] manifest = nowhere/a.csv: there is no file nowhere/a.csv"));
    sample_write_text("index.csv", "fundus\na.png\n");
    setenv("FOVEA_TEST_FOLDER", sample_path("."), 1);
    assert_int_equal(
        from_ini("[data]\nmanifest = ${FOVEA_TEST_FOLDER}/index.csv\nprefix_map = /a/ b/\n", false, &manifest),
        FV_BAD_INPUT);
    assert_non_null(strstr(fv_error(), "from -> to"));
    assert_int_equal(manifest.count, 0);
}

/* ---- the real tables ---- */

static void need(const char *table) {
    char path[FV_PATH_MAX];
    assert_int_equal(fv_path_join(path, sample_real_data(), table), FV_OK);
    if (fv_file_exists(path)) return;
    print_message("skip: %s is not there\n", path);
    skip();
}

static void count_splits(const fv_manifest *manifest, int counts[4]) {
    memset(counts, 0, 4 * sizeof *counts);
    for (int i = 0; i < manifest->count; i++) counts[manifest->records[i].split]++;
}

static void parts_drishti_40_10_51(void **state) {
    (void)state;
    need("drishti/index.csv");
    fv_manifest manifest;
    int counts[4];
    if (from_ini("[data]\nmanifest = ${FOVEA_DATA}/drishti/index.csv\nval_count = 10\n", false, &manifest) != FV_OK) {
        fail_msg("%s", fv_error());
    }
    count_splits(&manifest, counts);
    assert_int_equal(counts[FV_SPLIT_TRAIN], 40);
    assert_int_equal(counts[FV_SPLIT_VAL], 10);
    assert_int_equal(counts[FV_SPLIT_TEST], 51);
    assert_string_equal(manifest.records[0].set, "drishti");
    for (int i = 0; i < manifest.count; i++) {
        assert_true(fv_file_exists(manifest.records[i].fundus));
        assert_true(fv_file_exists(manifest.records[i].mask[0]) && fv_file_exists(manifest.records[i].mask[1]));
        assert_false(isnan(manifest.records[i].cdr_expert));
    }
    fv_manifest_free(&manifest);
}

static void keeps_both_eyes_of_chase_together(void **state) {
    (void)state;
    need("chase_db1/index.csv");
    fv_manifest manifest;
    if (from_ini("[data]\nmanifest = ${FOVEA_DATA}/chase_db1/index.csv\nval_count = 5\n", true, &manifest) != FV_OK) {
        fail_msg("%s", fv_error());
    }
    int counts[4];
    count_splits(&manifest, counts);
    assert_int_equal(counts[FV_SPLIT_TRAIN], 16);
    assert_int_equal(counts[FV_SPLIT_VAL], 4); /* two patients; a third would be six */
    assert_int_equal(counts[FV_SPLIT_TEST], 8);
    for (int i = 0; i < manifest.count; i++) {
        for (int k = 0; k < i; k++) {
            if (strcmp(manifest.records[i].patient, manifest.records[k].patient) != 0) continue;
            assert_int_equal(manifest.records[i].split, manifest.records[k].split);
        }
    }
    fv_manifest_free(&manifest);
}

/* 12,049 rows: 3,103 with a disc, 3,103 - 229 "Not Visible" = 2,874 with a cup, 2,873 with both, 3,104 with either
   (counted with Python's csv module). */
static void reads_the_table_of_smdg(void **state) {
    (void)state;
    need("smdg_metadata/metadata - standardized.csv");
    fv_manifest manifest;
    if (from_ini("[data]\nmanifest = ${FOVEA_DATA}/smdg_metadata/metadata - standardized.csv\nroot = /smdg\n"
                 "prefix_map = /full-fundus/ -> full-fundus/, /optic-disc/ -> optic-disc/, /optic-cup/ -> optic-cup/\n",
                 false, &manifest) != FV_OK) {
        fail_msg("%s", fv_error());
    }
    assert_int_equal(manifest.count, 12049);
    int disc = 0, cup = 0, both = 0, counts[4];
    for (int i = 0; i < manifest.count; i++) {
        const fv_record *record = &manifest.records[i];
        disc += record->mask[0][0] != '\0';
        cup += record->mask[1][0] != '\0';
        both += record->mask[0][0] && record->mask[1][0];
        assert_memory_equal(record->fundus, "/smdg/full-fundus/", 18);
        if (record->mask[1][0]) assert_memory_equal(record->mask[1], "/smdg/optic-cup/", 16);
    }
    assert_int_equal(disc, 3103);
    assert_int_equal(cup, 2874);
    assert_int_equal(both, 2873);
    count_splits(&manifest, counts);
    assert_int_equal(counts[FV_SPLIT_NONE], 12049 - 3104);
    assert_int_equal(counts[FV_SPLIT_TEST], 466); /* 0.15 * 3104, rounded */
    assert_int_equal(counts[FV_SPLIT_VAL], 466);
    fv_manifest_free(&manifest);
}

int main(void) {
    setenv("FOVEA_DATA", sample_real_data(), 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_usual_columns),
        cmocka_unit_test(reads_second_readers_and_groups),
        cmocka_unit_test(knows_the_angle_of_cameras),
        cmocka_unit_test(reads_the_second_form),
        cmocka_unit_test(maps_prefixes_and_words),
        cmocka_unit_test(reads_named_columns_and_values),
        cmocka_unit_test(explains_what_is_wrong),
        cmocka_unit_test(keeps_what_was_there_when_an_append_fails),
        cmocka_unit_test(writes_what_it_reads_again),
        cmocka_unit_test(joins_several_sets),
        cmocka_unit_test(explains_a_wrong_ini),
        cmocka_unit_test(parts_drishti_40_10_51),
        cmocka_unit_test(keeps_both_eyes_of_chase_together),
        cmocka_unit_test(reads_the_table_of_smdg),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
