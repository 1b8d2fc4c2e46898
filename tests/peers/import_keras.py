#!/usr/bin/env python3
"""Keras's files against fovea import: features of encoders and logits of whole networks on a photograph, as rows of a table.

  import_keras.py BUILD WORK PHOTO [--fixtures FOLDER] [--quick]

BUILD: fovea's build folder; WORK: an empty folder; FOLDER: holds keras_layout_1.0_224_no_top.h5 (the official layout) and
keras24_teachable_machine_alpha035.h5 (a genuine file of Keras 2.4); --quick: one encoder and one network."""
import argparse
import os
import sys
import warnings

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", TF_ENABLE_ONEDNN_OPTS="0")
warnings.filterwarnings("ignore", message="The structure of `inputs`")
import h5py  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from keras import layers  # noqa: E402

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from import_common import Checker  # noqa: E402

SIZE = 256
SKIPS = ("block_1_expand_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu")
FILTERS = (256, 128, 64, 32)


def mobilenet(alpha=1.0, **options):
    return keras.applications.MobileNetV2(input_shape=(SIZE, SIZE, 3), alpha=alpha, weights=None, **options)


def randomise(model, seed=1):
    """Batch norms as a training leaves them: with statistics far from 0 and 1, but tame enough for fifty layers. Biases too."""
    draw = np.random.default_rng(seed)
    ranges = {"gamma": (0.8, 1.2), "beta": (-0.3, 0.3), "moving_mean": (-0.2, 0.2), "moving_variance": (0.3, 1.5), "bias": (-0.2, 0.2)}
    for weight in model.weights:
        name = weight.path.rsplit("/", 1)[1]
        if name in ranges:
            weight.assign(draw.uniform(*ranges[name], weight.shape).astype(np.float32))
    return model


def features_of(model, image):
    """Expand activations of blocks 1, 3, 6, 13 and the head's."""
    outputs = [model.get_layer(name).output for name in SKIPS + ("out_relu",)]
    return [np.asarray(y)[0] for y in keras.Model(model.inputs, outputs)(image[None], training=False)]


def load_by_name(model, path):
    """Weights of a file whose layers have the current names, found by h5py alone."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found["/".join(name.split("/")[-2:]).split(":")[0]] = np.asarray(item)

    with h5py.File(path) as file:
        file.visititems(visit)
    for layer in model.layers:
        if layer.weights:
            names = [f"{layer.name}/{w.name}" for w in layer.weights]  # Keras 2 said depthwise_kernel
            layer.set_weights([found.get(n, found.get(n.replace("kernel", "depthwise_kernel"))) for n in names])
    return model


def old_names(source, target):
    """The same weights under the names that the published files have: mobl3_conv_3_expand, bn3_conv_3_bn_expand."""

    def renamed(name):
        block = name.split("_")[1] if name.startswith("block_") else "0"
        part = name.removeprefix(f"block_{block}_").removeprefix("expanded_conv_")
        if part == name:
            return name
        return f"bn{block}_conv_{block}_bn_{part.removesuffix('_BN')}" if part.endswith("_BN") else f"mobl{block}_conv_{block}_{part}"

    with h5py.File(source) as old, h5py.File(target, "w") as new:
        root = old["model_weights"] if "model_weights" in old else old
        names = [n.decode() for n in root.attrs["layer_names"]]
        new.attrs["layer_names"] = [renamed(n).encode() for n in names]
        for name in names:
            group, weights = new.create_group(renamed(name)), [w.decode() for w in root[name].attrs["weight_names"]]
            group.attrs["weight_names"] = [f"{renamed(name)}/{w.rsplit('/', 1)[1].split(':')[0]}:0".encode() for w in weights]
            for w in weights:
                group.create_dataset(f"{renamed(name)}/{w.rsplit('/', 1)[1].split(':')[0]}:0", data=root[name][w][()])


def encoders(check, image, fixtures, quick):
    def compare(what, file, width, theirs):
        check.encoder(what, file, width, "keras", image, theirs)

    official, genuine = os.path.join(fixtures or "", "keras_layout_1.0_224_no_top.h5"), os.path.join(fixtures or "", "keras24_teachable_machine_alpha035.h5")
    if os.path.exists(official):
        model = mobilenet(include_top=False)
        model.load_weights(official)
        compare("official layout, ImageNet weights, loaded by Keras", official, 1, features_of(model, image))
        old_names(official, check.path("old_names.h5"))
        compare("the same under the published files' names", check.path("old_names.h5"), 1, features_of(model, image))
    if os.path.exists(genuine):
        compare("genuine Keras 2.4, nested in a Sequential", genuine, 0.35, features_of(load_by_name(mobilenet(0.35, include_top=False), genuine), image))
    for alpha, top in ((0.5, True),) if quick else ((0.5, True), (0.75, False), (1.0, True), (1.3, False), (1.4, True)):
        model = randomise(mobilenet(alpha, include_top=top), int(100 * alpha))
        model.save(check.path(f"alpha{alpha}.h5"))
        compare(f"model.save, alpha {alpha}, {'with' if top else 'without'} classifier", check.path(f"alpha{alpha}.h5"), alpha, features_of(model, image))
    if quick:
        return
    model = randomise(mobilenet(0.35, include_top=False))
    nested = keras.Sequential([keras.Input((SIZE, SIZE, 3)), model, layers.GlobalAveragePooling2D(), layers.Dense(2)])
    nested.save(check.path("nested.h5"))
    compare("model.save, nested in a Sequential", check.path("nested.h5"), 0.35, features_of(model, image))
    np.savez(check.path("get_weights.npz"), *model.get_weights())
    compare("npz of model.get_weights()", check.path("get_weights.npz"), 0.35, features_of(model, image))
    np.savez_compressed(check.path("named.npz"), **{w.path: np.asfortranarray(np.asarray(w)) for w in model.weights})
    compare("npz with Keras's paths, compressed, Fortran order", check.path("named.npz"), 0.35, features_of(model, image))


def separable_unet(classes):
    """The disc and cup system's network."""
    base = mobilenet(include_top=False)
    x = base.get_layer("out_relu").output
    for filters, skip in zip(FILTERS, SKIPS[::-1]):
        x = layers.Concatenate()([layers.UpSampling2D(2)(x), base.get_layer(skip).output])
        for _ in range(2):
            x = layers.ReLU()(layers.BatchNormalization()(layers.SeparableConv2D(filters, 3, padding="same")(x)))
    x = layers.SeparableConv2D(16, 3, padding="same", use_bias=False)(layers.UpSampling2D(2)(x))
    return keras.Model(base.inputs, layers.Conv2D(classes, 1)(layers.ReLU()(layers.BatchNormalization()(x))))


def squeeze_excite(x):
    channels = x.shape[-1]
    gate = layers.Dense(channels // 8, activation="relu")(layers.GlobalAveragePooling2D()(x))
    return layers.Multiply()([x, layers.Reshape((1, 1, channels))(layers.Dense(channels, activation="sigmoid")(gate))])


def se_unet(classes):
    """The vessel system's network."""
    base = mobilenet(include_top=False)
    x = base.get_layer("out_relu").output
    for i, (filters, skip) in enumerate(zip(FILTERS, SKIPS[::-1])):
        x = layers.BatchNormalization()(layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(x))
        x = layers.Concatenate()([x, base.get_layer(skip).output])
        x = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_regularizer=keras.regularizers.L2(1e-4))(x))
        x = layers.SpatialDropout2D(0.1 * (i + 1))(squeeze_excite(x))
        x = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_regularizer=keras.regularizers.L2(1e-4))(x))
    x = layers.Conv2DTranspose(32, 3, strides=2, padding="same")(x)
    for filters in (32, 16):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    return keras.Model(base.inputs, layers.Conv2D(classes, 1)(x))


def plain_unet(base, classes):
    def level(x, filters):
        for _ in range(2):
            x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same")(x)))
        return x

    x = start = keras.Input((SIZE, SIZE, 3))
    skips = []
    for i in range(4):
        skips.append(level(x, base << i))
        x = layers.MaxPooling2D(2)(skips[-1])
    x = level(x, base << 4)
    for i in (3, 2, 1, 0):
        x = level(layers.Concatenate()([layers.Conv2DTranspose(base << i, 2, strides=2)(x), skips[i]]), base << i)
    return keras.Model(start, layers.Conv2D(classes, 1)(x))


def models(check, image, quick):
    cases = (("vessels: squeeze and excitation", "mobilenetv2_se_unet_keras", lambda: se_unet(1)),
             ("disc and cup: separable decoder", "mobilenetv2_unet", lambda: separable_unet(2)),
             ("plain U-Net, base 16", "unet", lambda: plain_unet(16, 1)))
    for what, network, make in cases[:1] if quick else cases:
        model = randomise(make())
        path = check.path(f"{network}.h5")
        model.save(path)
        check.model(what, path, network, image, np.asarray(model(image[None], training=False))[0])


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("build"), a.add_argument("work"), a.add_argument("photo"), a.add_argument("--fixtures"), a.add_argument("--quick", action="store_true")
    a = a.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    check = Checker(a.build, a.work)
    photo = tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(a.photo), channels=3), (SIZE, SIZE), antialias=True).numpy()
    image = (photo / 127.5 - 1).astype(np.float32)
    print(f"\n## Keras {keras.__version__}, TensorFlow {tf.__version__}\n\n| what | file | found by fovea | largest relative difference | within 1e-3 |\n|---|---|---|---|---|")
    encoders(check, image, a.fixtures, a.quick)
    models(check, image, a.quick)
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
