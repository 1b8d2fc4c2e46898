/* The layout in which Keras saves weights as HDF5: attribute layer_names of the root (weights alone) or of
   /model_weights (whole models); a group a layer, whose weight_names are paths of data sets below it. Only these lists
   have an order: that of links in HDF5 is the alphabet. */
#include "keras_file.h"
#include "readers.h"

static fv_status read_layer(hid_t root, const char *layer, fv_foreign *file) {
    hid_t group;
    fv_keras_names names;
    FV_TRY(fv_keras_group(root, layer, file->path, &group));
    fv_status status = fv_keras_attribute(group, "weight_names", file->path, &names);
    if (status == FV_OK) {
        for (int i = 0; i < names.count && status == FV_OK; i++)
            status = fv_keras_dataset(group, layer, names.list[i], file);
        fv_keras_names_free(&names);
    }
    H5Oclose(group);
    return status;
}

static fv_status read_layers(hid_t root, fv_foreign *file) {
    fv_keras_names layers;
    FV_TRY(fv_keras_attribute(root, "layer_names", file->path, &layers));
    fv_status status = FV_OK;
    for (int i = 0; i < layers.count && status == FV_OK; i++) status = read_layer(root, layers.list[i], file);
    fv_keras_names_free(&layers);
    return status;
}

static fv_status read_root(hid_t root, fv_foreign *file) {
    hid_t weights;
    if (!fv_keras_has(root, "model_weights")) return read_layers(root, file);
    FV_TRY(fv_keras_group(root, "model_weights", file->path, &weights));
    fv_status status = read_layers(weights, file);
    H5Oclose(weights);
    return status;
}

fv_status fv_keras_parse(const void *data, size_t bytes, fv_foreign *file) {
    hid_t hdf5;
    file->kind = FV_FOREIGN_KERAS;
    FV_TRY(fv_keras_open(data, bytes, file->path, &hdf5));
    hid_t root = H5Gopen2(hdf5, "/", H5P_DEFAULT);
    fv_status status =
        root >= 0 ? read_root(root, file) : fv_fail(FV_BAD_INPUT, "%s: the HDF5 file is damaged", file->path);
    if (root >= 0) H5Gclose(root);
    H5Fclose(hdf5);
    return status;
}
