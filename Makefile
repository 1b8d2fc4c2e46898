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

# What the library is linked with: packages that pkg-config knows, and others.
LIB_PACKAGES := openblas libtiff-4 libjpeg libdeflate inih libcjson cairo libexif hdf5 libzip libprotobuf-c
BARE_LIBS := -lgif -lcsv -lsupc++ -lpthread -lm
PKG_CFLAGS := $(shell pkg-config --cflags $(LIB_PACKAGES) stb cmocka 2>/dev/null | sed 's/-I/-isystem /g')
PKG_LIBS := $(shell pkg-config --libs $(LIB_PACKAGES) 2>/dev/null)

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
OPTIMISE ?= -O3 -fno-math-errno -fno-trapping-math
CFLAGS ?= $(OPTIMISE) -g
# One set of objects for program, archive and shared library, which shows what FV_API marks; no path of this folder in them.
PLACE := -fPIC -fvisibility=hidden -ffile-prefix-map=$(CURDIR)=.
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE $(PLACE) -fopenmp-simd $(WARNINGS) $(CFLAGS) -Iinclude -I$(BUILD)/generated -MMD -MP
# Without exceptions and run-time types C++ needs new and delete only, which -lsupc++ has as a static library: a program
# that links fovea needs no C++ run time.
CXXFLAGS ?= -O2 -g
ALL_CXXFLAGS = -std=c++17 $(PLACE) -fno-exceptions -fno-rtti $(filter-out -Wstrict-prototypes -Wmissing-prototypes,$(WARNINGS)) $(CXXFLAGS) -isystem $(BUILD)/generated -MMD -MP
LDLIBS = $(PKG_LIBS) $(BARE_LIBS)
ifneq ($(SANITIZE),)
SANITIZE_FLAGS := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
ALL_CFLAGS += $(SANITIZE_FLAGS)
ALL_CXXFLAGS += $(SANITIZE_FLAGS)
LDFLAGS += -fsanitize=$(SANITIZE)
endif
FLAGS_NOW := $(CC) $(ALL_CFLAGS)

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
SHELL_TESTS := $(wildcard tests/shell/test_*.sh)
UNIT_HELPERS := $(filter-out $(UNIT_SOURCES),$(wildcard tests/unit/*.c))
KERNEL_HELPERS := $(filter tests/unit/kernel_%,$(UNIT_HELPERS))
SLOW_HELPERS := tests/slow/training_rig.c
GRAD_HELPERS := $(filter-out $(GRAD_SOURCES),$(wildcard tests/grad/*.c))

object = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
object64 = $(patsubst %.c,$(BUILD)/obj64/%.o,$(1))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SOURCES))
KERNEL_TESTS := $(filter $(BUILD)/tests/test_kernel_%,$(UNIT_TESTS))
GRAD_TESTS := $(patsubst tests/grad/%.c,$(BUILD)/tests/grad_%,$(GRAD_SOURCES))

.PHONY: install uninstall all help deps train test run-tests tests kernel-tests kernel-bench kernel-results arm64-kernel-tests check sanitize fuzz slow results bench-peers bench-images bench-predict bench-loader bench-augment format torch-curve clean FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/fovea ## build build/libfovea.a and build/fovea

# ---- installing ----

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
DESTDIR ?=
# The library's interface: raised when a program built against an older one would not run any more.
SONAME := libfovea.so.0
VERSION := $(shell sed -n 's/^ *return "\([0-9.]*\)";.*/\1/p' src/base/version.c)
PUBLIC_HEADERS := fovea/fovea.h fovea/base/public.h
MAN := $(PREFIX)/share/man/man1/fovea.1
BASH_COMPLETION := $(PREFIX)/share/bash-completion/completions/fovea
ZSH_COMPLETION := $(PREFIX)/share/zsh/site-functions/_fovea
FISH_COMPLETION := $(PREFIX)/share/fish/vendor_completions.d/fovea.fish
INSTALLED := $(PREFIX)/bin/fovea $(LIBDIR)/libfovea.a $(LIBDIR)/libfovea.so $(LIBDIR)/$(SONAME) $(LIBDIR)/libfovea.so.$(VERSION) \
  $(LIBDIR)/pkgconfig/fovea.pc $(addprefix $(PREFIX)/include/,$(PUBLIC_HEADERS)) $(MAN) $(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION)
INSTALL := install -D -p

install: all $(BUILD)/libfovea.so $(BUILD)/public/libfovea.a $(BUILD)/fovea.1 ## into PREFIX (default /usr/local), below DESTDIR: docs/install.md
	@$(INSTALL) -m 755 $(BUILD)/fovea $(DESTDIR)$(PREFIX)/bin/fovea
	@$(INSTALL) -m 644 $(BUILD)/public/libfovea.a $(DESTDIR)$(LIBDIR)/libfovea.a
	@$(INSTALL) -m 644 $(BUILD)/libfovea.so $(DESTDIR)$(LIBDIR)/libfovea.so.$(VERSION)
	@ln -sf libfovea.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	@ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libfovea.so
	@for header in $(PUBLIC_HEADERS); do $(INSTALL) -m 644 include/$$header $(DESTDIR)$(PREFIX)/include/$$header; done
	@$(INSTALL) -m 644 $(BUILD)/fovea.1 $(DESTDIR)$(MAN)
	@$(INSTALL) -m 644 $(BUILD)/completion.bash $(DESTDIR)$(BASH_COMPLETION)
	@$(INSTALL) -m 644 $(BUILD)/completion.zsh $(DESTDIR)$(ZSH_COMPLETION)
	@$(INSTALL) -m 644 $(BUILD)/completion.fish $(DESTDIR)$(FISH_COMPLETION)
	@sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|; s|@VERSION@|$(VERSION)|; s|@PACKAGES@|$(LIB_PACKAGES)|; s|@LIBS@|$(BARE_LIBS)|' \
	  tools/fovea.pc.in >$(BUILD)/fovea.pc
	@$(INSTALL) -m 644 $(BUILD)/fovea.pc $(DESTDIR)$(LIBDIR)/pkgconfig/fovea.pc

uninstall: ## what make install has put there; give it the same PREFIX and DESTDIR
	@rm -f $(addprefix $(DESTDIR),$(INSTALLED))
	@-rmdir --ignore-fail-on-non-empty $(DESTDIR)$(PREFIX)/include/fovea/base $(DESTDIR)$(PREFIX)/include/fovea

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

run-tests: all tests check $(BUILD)/slow/import_features $(BUILD)/slow/network_run $(if $(SANITIZE),,$(BUILD)/libfovea.so $(BUILD)/public/libfovea.a)
	@BUILD=$(BUILD) tools/run_tests.sh $(UNIT_TESTS) $(GRAD_TESTS) $(SHELL_TESTS)

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

.PHONY: import-peers
KERAS_PYTHON ?= $(PYTHON)
TORCH_PYTHON ?= $(PYTHON)
import-peers: all $(BUILD)/slow/import_features ## imported weights beside Keras's and PyTorch's results on PHOTO: docs/results/import.md
	@BUILD=$(BUILD) tests/peers/import_peers.sh $(PHOTO) $(KERAS_PYTHON) $(TORCH_PYTHON)

.PHONY: vessel-readers
vessel-readers: all ## docs/results/vessel_readers.md: measures of two readers' vessel masks (DRIVE, CHASE_DB1 below FOVEA_DATA)
	@$(PYTHON) tests/slow/vessel_readers.py $(BUILD)/fovea $(or $(FOVEA_DATA),../shared/data) >$(BUILD)/vessel_readers.md
	@mv $(BUILD)/vessel_readers.md docs/results/vessel_readers.md

.PHONY: export-onnx
EXPORT_RUNS ?= $(wildcard runs/*)
export-onnx: all $(BUILD)/peers/export_dump ## docs/results/export_onnx.md: EXPORT_RUNS in every precision, in ONNX Runtime beside fovea (PYTHON with onnx, onnxruntime)
	@$(PYTHON) tests/peers/export_onnx.py $(BUILD) docs/results/export_onnx.md $(EXPORT_RUNS)

.PHONY: run-onnx
RUN_ONNX ?=
run-onnx: all $(BUILD)/slow/network_run ## docs/results/run_onnx.md: networks as PyTorch exports them, in fovea beside ONNX Runtime (PYTHON with torch, onnxruntime, segmentation-models-pytorch); RUN_ONNX="--only --networks unet"
	@$(PYTHON) tests/peers/run_onnx.py $(BUILD) $(BUILD)/onnx $(RUN_ONNX) >$(BUILD)/run_onnx.md
	@mv $(BUILD)/run_onnx.md docs/results/run_onnx.md

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
	@printf '#define FV_REVISION_DATE "%s"\n' "$$(git log -1 --format=%cs 2>/dev/null)" >>$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# No byte of a foreign file comes into a kernel, and clang takes a quarter of an hour for them with sanitizers.
ifneq ($(findstring fuzzer,$(SANITIZE)),)
$(call object,$(wildcard src/kernel/*.c)): ALL_CFLAGS += -fno-sanitize=all
endif

# Objects of other flags are no good.
$(BUILD)/generated/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_NOW)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# The published ONNX schema, from Debian's libonnx-dev, as C.
ONNX_PROTO ?= /usr/include/onnx/onnx.proto
$(BUILD)/generated/onnx.pb-c.c: $(ONNX_PROTO)
	@mkdir -p $(@D)
	@protoc-c --c_out=$(@D) -I$(dir $<) $(notdir $<)

$(BUILD)/obj/onnx.pb-c.o: $(BUILD)/generated/onnx.pb-c.c $(BUILD)/generated/flags
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -w $(PKG_CFLAGS) -c $< -o $@

$(call object,$(wildcard src/exchange/*.c tests/unit/onnx_*.c tests/unit/test_onnx*.c tests/unit/test_cli_onnx.c)): | $(BUILD)/generated/onnx.pb-c.c

# What fovea writes of TensorFlow Lite's schema, as C++.
$(BUILD)/generated/tflite_generated.h: src/exchange/tflite.fbs
	@flatc --cpp -o $(@D) $<

TFLITE_OBJECT := $(BUILD)/obj/src/exchange/tflite_flatbuffer.o
$(TFLITE_OBJECT): src/exchange/tflite_flatbuffer.cpp $(BUILD)/generated/tflite_generated.h
	@mkdir -p $(@D)
	@echo "c++ $<"
	@$(CXX) $(ALL_CXXFLAGS) -c $< -o $@

LIB_OBJECTS := $(call object,$(LIB_SOURCES)) $(BUILD)/obj/onnx.pb-c.o $(TFLITE_OBJECT)
$(BUILD)/libfovea.a: $(LIB_OBJECTS)
	@rm -f $@
	@ar rcs $@ $^

# nodelete: the pool's threads live in it for good. exclude-libs: names of static libraries below stay inside, too.
# defs: every symbol must be found now, not when a user's program starts.
$(BUILD)/libfovea.so: $(LIB_OBJECTS)
	@echo "link $@"
	@$(CC) -shared -Wl,-soname,$(SONAME) -Wl,-z,nodelete -Wl,--exclude-libs,ALL -Wl,-z,defs $(LDFLAGS) $^ $(LDLIBS) -o $@

# The archive for other programs: one object, in which all names but the API's are its own.
$(BUILD)/public/libfovea.a: $(LIB_OBJECTS)
	@mkdir -p $(@D)
	@$(CC) -r -nostdlib -Wl,--force-group-allocation $^ -o $(@D)/fovea.o
	@objcopy --localize-hidden $(@D)/fovea.o
	@rm -f $@
	@ar rcs $@ $(@D)/fovea.o

# The manual page and the completions, by the program itself.
$(BUILD)/fovea.1: $(BUILD)/fovea
	@for shell in bash zsh fish; do $< help --completion $$shell >$(BUILD)/completion.$$shell; done
	@$< help --man >$@

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

# By the file's name; only int8_avx512.c may use VNNI, which the CPU is asked for before it is chosen.
ISA_FLAGS = $(if $(findstring _avx512.,$(notdir $<)),-mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma -mprefer-vector-width=512,$(if $(findstring _avx2.,$(notdir $<)),-mavx2 -mfma)) \
  $(if $(filter int8_avx512.c,$(notdir $<)),-mavx512vnni)

$(BUILD)/obj/%.o: %.c $(BUILD)/generated/flags | $(BUILD)/generated/revision.h
	@mkdir -p $(@D)
	@echo "cc $<"
	@$(CC) $(ALL_CFLAGS) $(PKG_CFLAGS) $(ISA_FLAGS) -c $< -o $@

$(BUILD)/obj64/%.o: %.c $(BUILD)/generated/flags | $(BUILD)/generated/revision.h
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) $(PKG_CFLAGS) -DFV_DOUBLE -c $< -o $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
