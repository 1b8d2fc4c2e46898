#include "commands.h"
#include "fovea/dataset/phantom.h"
#include "options.h"

fv_status command_phantom(int argc, char **argv) {
    const char *out = NULL, *sheet = NULL;
    char **words;
    long count = 20, seed = 1, side = 512, tile = 160;
    const option_spec options[] = {
        {"out", OPTION_TEXT, &out, "DIR", "write a data set: images/, od/, oc/, bv/, fov/ and index.csv", 0, 0},
        {"sheet", OPTION_TEXT, &sheet, "FILE.png", "write one picture with all of them instead", 0, 0},
        {"count", OPTION_INTEGER, &count, "N", "how many (default 20; on a sheet at most 100)", 1, 100000},
        {"seed", OPTION_INTEGER, &seed, "S", "another seed, other phantoms (default 1)", 0, 1L << 53},
        {"side", OPTION_INTEGER, &side, "PX", "width and height of a photograph (default 512)", 64, 4096},
        {"tile", OPTION_INTEGER, &tile, "PX", "width and height of a tile of the sheet, 64 to 512 (default 160)", 64,
         512},
    };
    const command_line line = {
        "phantom",
        "--out DIR | --sheet FILE.png [options]",
        "Draws fundus photographs with field of view, disc, cup, vessels and macula, and their exact masks. The same\n"
        "seed gives the same phantoms.",
        "  fovea phantom --out phantoms --count 100 --seed 7\n"
        "  fovea phantom --sheet sheet.png --count 12",
        options,
        sizeof options / sizeof *options};
    int word_count;
    bool done;
    FV_TRY(options_parse(&line, argc, argv, &words, &word_count, &done));
    if (done) return FV_OK;
    if (word_count > 0)
        return fv_fail(FV_BAD_INPUT, "fovea phantom takes no \"%s\"; give the folder as --out DIR", words[0]);
    if (!out == !sheet)
        return fv_fail(FV_BAD_INPUT, "give either --out DIR or --sheet FILE.png; see fovea phantom --help");
    if (sheet) return fv_phantom_sheet(sheet, (int)count, (uint64_t)seed, (int)tile);
    return fv_phantom_write_set(out, (int)count, (uint64_t)seed, (int)side);
}
