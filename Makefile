# fovea: segmentation of retinal photographs on CPUs. `make help` lists the targets.
#
#   make train CONFIG=od_oc.ini     install what is missing, build, train configs/od_oc.ini, evaluate, draw
#   make test                       install what is missing, build, run all tests

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := $(subst gcc,g++,$(subst clang,clang++,$(CC)))
endif
BUILD ?= build
SANITIZE ?=
CONFIG ?= od_oc.ini
ARGS ?=

PACKAGES := openblas stb libtiff-4 libjpeg libdeflate inih libcjson cairo libexif hdf5 libzip libprotobuf-c cmocka
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null | sed 's/-I/-isystem /g')
PKG_LIBS := $(shell pkg-config --libs openblas libtiff-4 libjpeg libdeflate inih libcjson cairo libexif hdf5 libzip libprotobuf-c 2>/dev/null) -lgif -lcsv

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
OPTIMISE ?= -O3 -fno-math-errno -fno-trapping-math
CFLAGS ?= $(OPTIMISE) -g
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -fopenmp-simd $(WARNINGS) $(CFLAGS) -Iinclude -I$(BUILD)/generated -MMD -MP
# Without exceptions and run-time types C++ needs new and delete only, which -lsupc++ has as a static library: a program
# that links fovea needs no C++ run time.
CXXFLAGS ?= -O2 -g
ALL_CXXFLAGS = -std=c++17 -fno-exceptions -fno-rtti $(filter-out -Wstrict-prototypes -Wmissing-prototypes,$(WARNINGS)) $(CXXFLAGS) -isystem $(BUILD)/generated -MMD -MP
LDLIBS = $(PKG_LIBS) -lsupc++ -lpthread -lm
ifneq ($(SANITIZE),)
SANITIZE_FLAGS := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
ALL_CFLAGS += $(SANITIZE_FLAGS)
ALL_CXXFLAGS += $(SANITIZE_FLAGS)
LDFLAGS += -fsanitize=$(SANITIZE)
endif

SOURCES := $(wildcard src/*/*.c)
ifeq ($(findstring x86_64,$(shell $(CC) -dumpmachine)),)
SOURCES := $(filter-out %_avx2.c %_avx512.c,$(SOURCES))
endif
LIB_SOURCES := $(filter-out src/app/%,$(SOURCES))
# What the kernel tests are linked with: built alone for arm64.
KERNEL_SOURCES := $(filter src/base/% src/tensor/% src/kernel/%,$(SOURCES))
APP_SOURCES := $(wildcard src/app/*.c)
# The folders that the gradient checks build a second time in float64.
ENGINE_SOURCES := $(filter-out %_avx2.c %_avx512.c,$(wildcard src/base/*.c src/tensor/*.c src/kernel/*.c src/op/*.c src/graph/*.c src/nn/*.c))
UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
GRAD_SOURCES := $(wildcard tests/grad/test_*.c)
UNIT_HELPERS := $(filter-out $(UNIT_SOURCES),$(wildcard tests/unit/*.c))
KERNEL_HELPERS := $(filter tests/unit/kernel_%,$(UNIT_HELPERS))
SLOW_HELPERS := tests/slow/training_rig.c
GRAD_HELPERS := $(filter-out $(GRAD_SOURCES),$(wildcard tests/grad/*.c))

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
object64 = $(patsubst %.c,$(BUILD)/obj64/%.o,$(1))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SOURCES))
KERNEL_TESTS := $(filter $(BUILD)/tests/test_kernel_%,$(UNIT_TESTS))
GRAD_TESTS := $(patsubst tests/grad/%.c,$(BUILD)/tests/grad_%,$(GRAD_SOURCES))

.PHONY: all help deps train test run-tests tests kernel-tests kernel-bench kernel-results arm64-kernel-tests check sanitize fuzz slow results bench-peers bench-images bench-predict bench-loader bench-augment format torch-curve clean FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/fovea ## build build/libfovea.a and build/fovea

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

deps: ## install the Debian packages that are missing
	@tools/install_deps.sh

train: deps ## train CONFIG (a name in configs/ or a path), then evaluate; ARGS="train.epochs=3" overrides keys
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@config=$(CONFIG); [ -f "$$config" ] || config=configs/$(CONFIG); $(BUILD)/fovea train "$$config" $(ARGS)

test: deps ## build and run all tests
	@$(MAKE) --no-print-directory -j$$(nproc) all tests
	@$(MAKE) --no-print-directory run-tests

tests: $(UNIT_TESTS) $(GRAD_TESTS)

run-tests: all tests check
	@BUILD=$(BUILD) tools/run_tests.sh $(UNIT_TESTS) $(GRAD_TESTS)

kernel-tests: $(KERNEL_TESTS) ## build and run only the tests of the kernels' variants
	@BUILD=$(BUILD) tools/run_tests.sh $(KERNEL_TESTS)

kernel-bench: $(KERNEL_TESTS) ## measure every variant of every kernel (all of it takes minutes: KERNEL_BENCH=word for a part)
	@for program in $(KERNEL_TESTS); do $$program --bench $(KERNEL_BENCH); done

kernel-results: $(KERNEL_TESTS) ## the same, into docs/results/kernels.md
	@tools/kernel_results.sh $(KERNEL_TESTS)

ARM64 := build-arm64
ARM64_LIBS := $(ARM64)/root/usr/lib/aarch64-linux-gnu
arm64-kernel-tests: ## the same for arm64, emulated (needs gcc-aarch64-linux-gnu and qemu-user)
	@mkdir -p $(ARM64)
	@tools/arm64_root.sh $(ARM64)/root
	@RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=$(ARM64_LIBS):$(ARM64_LIBS)/openblas-pthread" \
	  $(MAKE) --no-print-directory CC=aarch64-linux-gnu-gcc BUILD=$(ARM64) \
	  PKG_CFLAGS="$(foreach folder,. aarch64-linux-gnu/openblas-pthread,-isystem $(ARM64)/root/usr/include/$(folder))" \
	  LDFLAGS="-L$(ARM64_LIBS) -L$(ARM64_LIBS)/openblas-pthread -Wl,-rpath-link,$(ARM64_LIBS)" kernel-tests

check: $(BUILD)/generated/revision.h ## includes run one way, every public header compiles alone
	@CC="$(CC)" CPPFLAGS="$(PKG_CFLAGS)" tools/check_includes.py

sanitize: ## all tests under address and undefined-behaviour sanitizers, with gcc and with clang
	@for compiler in gcc clang; do \
	  echo "== $$compiler"; \
	  LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp UBSAN_OPTIONS=print_stacktrace=1 \
	  $(MAKE) --no-print-directory -j$$(nproc) CC=$$compiler BUILD=build-sanitize-$$compiler SANITIZE=address,undefined \
	    OPTIMISE="-O1 -fno-math-errno" run-tests || exit 1; \
	done

FUZZ_SECONDS ?= 60
fuzz: ## libFuzzer on every parser of foreign files, FUZZ_SECONDS each (needs clang)
	@BUILD=$(BUILD) SECONDS_EACH=$(FUZZ_SECONDS) tests/fuzz/run.sh

slow: all ## what takes minutes: overfitting, killing and resuming; writes docs/results/
	@BUILD=$(BUILD) tests/slow/overfit.sh
	@BUILD=$(BUILD) tests/slow/kill_resume.sh
	@BUILD=$(BUILD) tests/slow/vessel_identity.sh

results: all ## the accuracy tables of docs/results/od_oc.md (needs Drishti-GS below FOVEA_DATA, ImageNet weights in FOVEA_WEIGHTS)
	@BUILD=$(BUILD) tests/slow/od_oc_results.sh

.PHONY: vessel-results vessel-phantoms
vessel-phantoms: all ## the four vessel networks trained on phantoms: docs/results/vessel_phantoms.md
	@BUILD=$(BUILD) tests/slow/vessel_phantoms.sh

vessel-results: all ## the tables of docs/results/vessels.md from the trained runs in RUNS (drive, chase_db1, hrf below FOVEA_DATA)
	@BUILD=$(BUILD) tests/slow/vessel_results.sh

PEERS ?=
bench-peers: all ## beside PyTorch and ONNX Runtime, half an hour: docs/results/performance.md; PEERS="--only unet --quick" passes options on
	@BUILD=$(BUILD) tools/bench_peers.py $(PEERS)

torch-curve: $(BUILD)/slow/training_dump ## the same training by fovea and by PyTorch, loss by loss: docs/results/vessels_torch_curve.md (DRIVE and FIVES below FOVEA_DATA); CURVE="train.epochs=1"
	@BUILD=$(BUILD) tools/torch_curve.py $(CURVE)

CURVE ?=
PYTHON ?= python3
PHOTO ?= $(or $(FOVEA_DATA),../shared/data)/drishti/images/drishtiGS_001.jpg
MODEL ?= runs/od_oc_drishti
bench-images: $(BUILD)/slow/image_stages ## decode, LAB, CLAHE, resize, warp, PNG of PHOTO beside OpenCV's (PYTHON with cv2)
	@tests/slow/image_stages.sh $(BUILD)/slow/image_stages $(PYTHON) $(PHOTO)

bench-predict: all ## fovea predict of MODEL on PHOTO by stage, and its start (PYTHON with cv2)
	@BUILD=$(BUILD) tests/slow/predict_stages.sh $(MODEL) $(PYTHON) $(PHOTO)

.PHONY: vessel-readers
vessel-readers: all ## docs/results/vessel_readers.md: measures of two readers' vessel masks (DRIVE, CHASE_DB1 below FOVEA_DATA)
	@$(PYTHON) tests/slow/vessel_readers.py $(BUILD)/fovea $(or $(FOVEA_DATA),../shared/data) >$(BUILD)/vessel_readers.md
	@mv $(BUILD)/vessel_readers.md docs/results/vessel_readers.md

.PHONY: export-onnx
EXPORT_RUNS ?= $(wildcard runs/*)
export-onnx: all $(BUILD)/peers/export_dump ## docs/results/export_onnx.md: EXPORT_RUNS in every precision, in ONNX Runtime beside fovea (PYTHON with onnx, onnxruntime)
	@$(PYTHON) tests/peers/export_onnx.py $(BUILD) docs/results/export_onnx.md $(EXPORT_RUNS)

.PHONY: export-tflite
export-tflite: all $(BUILD)/peers/export_windows ## docs/results/export_tflite.md: EXPORT_RUNS as TensorFlow Lite, in LiteRT beside fovea (PYTHON with ai-edge-litert)
	@$(PYTHON) tests/peers/export_tflite.py $(BUILD) docs/results/export_tflite.md $(EXPORT_RUNS)

bench-loader: $(BUILD)/slow/loader_share ## training's images/s with the loader and without (Drishti-GS below FOVEA_DATA)
	@tests/slow/loader_share.sh $(BUILD)/slow/loader_share

bench-augment: $(BUILD)/slow/augment_times ## time of an augmented sample, change by change: docs/results/augment.md
	@$< >$(BUILD)/augment.md && mv $(BUILD)/augment.md docs/results/augment.md && cat docs/results/augment.md

.PHONY: bench-int8
bench-int8: $(BUILD)/slow/int8_times ## mobilenetv2_unet in float32 and in 8 bits, in turn: the times of docs/results/int8.md (x86-64)
	@$<

format: ## clang-format in place
	clang-format -i $$(git ls-files '*.c' '*.h' '*.cpp')

clean: ## delete the build folder
	rm -rf $(BUILD)

$(BUILD)/generated/revision.h: FORCE
	@mkdir -p $(@D)
	@printf '#define FV_REVISION "%s"\n' "$$(git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)" >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# The published ONNX schema, from Debian's libonnx-dev, as C.
ONNX_PROTO ?= /usr/include/onnx/onnx.proto
$(BUILD)/generated/onnx.pb-c.c: $(ONNX_PROTO)
	@mkdir -p $(@D)
	@protoc-c --c_out=$(@D) -I$(dir $<) $(notdir $<)

$(BUILD)/obj/onnx.pb-c.o: $(BUILD)/generated/onnx.pb-c.c
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -w $(PKG_CFLAGS) -c $< -o $@

$(call object,$(wildcard src/exchange/*.c)): | $(BUILD)/generated/onnx.pb-c.c

# What fovea writes of TensorFlow Lite's schema, as C++.
$(BUILD)/generated/tflite_generated.h: src/exchange/tflite.fbs
	@flatc --cpp -o $(@D) $<

TFLITE_OBJECT := $(BUILD)/obj/src/exchange/tflite_flatbuffer.o
$(TFLITE_OBJECT): src/exchange/tflite_flatbuffer.cpp $(BUILD)/generated/tflite_generated.h
	@mkdir -p $(@D)
	@echo "c++ $<"
	@$(CXX) $(ALL_CXXFLAGS) -c $< -o $@

$(BUILD)/libfovea.a: $(call object,$(LIB_SOURCES)) $(BUILD)/obj/onnx.pb-c.o $(TFLITE_OBJECT)
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/libfovea64.a: $(call object64,$(ENGINE_SOURCES))
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/libfovea-kernel.a: $(call object,$(KERNEL_SOURCES))
	@rm -f $@
	@ar rcs $@ $^

$(BUILD)/fovea: $(call object,$(APP_SOURCES)) $(BUILD)/libfovea.a
	@echo "link $@"
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/tests/grad_%: $(BUILD)/obj64/tests/grad/%.o $(call object64,$(GRAD_HELPERS)) $(BUILD)/libfovea64.a
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@

$(BUILD)/tests/test_kernel_%: $(BUILD)/obj/tests/unit/test_kernel_%.o $(call object,$(KERNEL_HELPERS)) $(BUILD)/libfovea-kernel.a
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) $^ -lopenblas -lcmocka -lpthread -lm -o $@

$(BUILD)/tests/%: $(BUILD)/obj/tests/unit/%.o $(call object,$(UNIT_HELPERS)) $(BUILD)/libfovea.a
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@

$(BUILD)/slow/%: $(BUILD)/obj/tests/slow/%.o $(call object,$(SLOW_HELPERS)) $(BUILD)/libfovea.a
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(BUILD)/peers/%: $(BUILD)/obj/tests/peers/%.o $(BUILD)/libfovea.a
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(call object,src/kernel/int8_avx512.c): CFLAGS += -mavx512vnni

ISA_FLAGS = $(if $(findstring _avx512.,$(notdir $<)),-mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma -mprefer-vector-width=512,$(if $(findstring _avx2.,$(notdir $<)),-mavx2 -mfma))

$(BUILD)/obj/%.o: %.c | $(BUILD)/generated/revision.h
	@mkdir -p $(@D)
	@echo "cc $<"
	@$(CC) $(ALL_CFLAGS) $(PKG_CFLAGS) $(ISA_FLAGS) -c $< -o $@

$(BUILD)/obj64/%.o: %.c | $(BUILD)/generated/revision.h
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) $(PKG_CFLAGS) -DFV_DOUBLE -c $< -o $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
