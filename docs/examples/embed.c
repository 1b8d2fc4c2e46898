/* Masks and measures of a photograph by libfovea: embed MODEL <photo.ppm (PPM of 8 bits, e.g. by djpeg or pngtopnm)
   cc embed.c $(pkg-config --cflags --libs fovea) -o embed */
#include <stdio.h>
#include <stdlib.h>

#include <fovea/fovea.h>

int main(int argc, char **argv) {
    int width, height, count;
    fv_analyser *analyser = NULL;
    fv_analysis *analysis = NULL;
    unsigned char *rgb = NULL;
    if (argc == 2 && scanf("P6 %d %d 255%*c", &width, &height) == 2 && width > 0 && height > 0)
        rgb = (unsigned char *)malloc((size_t)width * 3 * (size_t)height);
    if (!rgb || fread(rgb, (size_t)width * 3, (size_t)height, stdin) != (size_t)height) {
        fprintf(stderr, "usage: embed MODEL <photo.ppm\n");
        return FV_BAD_INPUT;
    }
    fv_status status = fv_analyser_open(argv[1], &analyser);
    if (status == FV_OK) status = fv_analyse(analyser, rgb, width, height, (size_t)width * 3, &analysis);
    if (status == FV_OK) {
        const fv_measure *measures = fv_analysis_measures(analysis, &count);
        for (int i = 0; i < count; i++) printf("%s %.9g\n", measures[i].name, measures[i].value);
        const char *name = fv_analyser_class_name(analyser, 0);
        const unsigned char *mask = fv_analysis_mask(analysis, name);
        printf("mask of %s:\n", name);
        for (int y = 0; y < height; y += height / 24 + 1, putchar('\n')) /* a small view of it */
            for (int x = 0; x < width; x += width / 72 + 1)
                putchar(mask[(size_t)y * (size_t)width + (size_t)x] ? '#' : '.');
    } else {
        fprintf(stderr, "embed: %s\n", fv_error());
    }
    fv_analysis_free(analysis);
    fv_analyser_close(analyser);
    free(rgb);
    return status;
}
