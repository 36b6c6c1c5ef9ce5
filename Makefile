# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# make            everything that this machine can build       make V=1     show the commands
# make demo       two software owner devices, a migration      make check   the tests
# make help       the other targets
#
# A new .c file in a folder below is picked up by itself; see "What is built of what".

VERSION := 0.1.0
SOVERSION := 0

PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= bpftool
PKG_CONFIG ?= pkg-config
V ?= 0
SAN ?= 0
WERROR ?= 0

ifeq ($(V),1)
Q :=
msg = @:
else
Q := @
msg = @printf '  %-8s %s\n' '$(1)' '$(2)'
MAKEFLAGS += --no-print-directory
endif

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

PKGS := liburing libxxhash json-c libcap libcrypto
PKGS_TRACE := libbpf libelf zlib
NEED := clang bpftool
HAVE_PKGS := $(shell $(PKG_CONFIG) --exists $(PKGS) $(PKGS_TRACE) 2>/dev/null && command -v $(CLANG) $(BPFTOOL) >/dev/null && echo yes)

CFLAGS ?= -O2 -g
warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef \
	-Wno-unused-parameter -Wvla
ifeq ($(WERROR),1)
warnings += -Werror
endif
ifeq ($(SAN),1)
san := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
endif
all_cflags = -std=gnu11 $(warnings) -fPIC -fvisibility=hidden -pthread $(san) $(CFLAGS) $(CPPFLAGS) \
	-D_GNU_SOURCE -DVFERRY_VERSION='"$(VERSION)"' \
	-DVFERRY_LIBURING_VERSION='"$(liburing_version)"' \
	-Iinclude -Iuser/lib -Iuser -I. -I$(BUILD)/gen $(pkg_cflags)
liburing_version := $(shell $(PKG_CONFIG) --modversion liburing 2>/dev/null)
pkg_cflags := $(shell $(PKG_CONFIG) --cflags $(PKGS) $(PKGS_TRACE) 2>/dev/null)
pkg_libs := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)
trace_libs := $(shell $(PKG_CONFIG) --libs $(PKGS_TRACE) 2>/dev/null) -lm
all_ldflags = -pthread $(san) $(LDFLAGS)

# --- What is built of what ---------------------------------------------------------------------------
lib_src := $(sort $(wildcard user/lib/*/*.c))
cli_src := $(sort $(wildcard user/cli/*.c user/conform/*.c user/keep/*.c user/profile/*.c user/trace/*.c))
bpf_src := $(sort $(wildcard bpf/*.bpf.c))
owner_src := $(sort $(wildcard tools/owner/*.c))
# All that the software owner shares with the engine: ring loop and context walker.
owner_shared := $(sort $(wildcard user/lib/ring/*.c user/lib/context/*.c))
standin_src := $(sort $(wildcard tools/standin/*.c))
bench_src := $(sort $(wildcard tools/bench/*.c))
unit_src := $(sort $(wildcard tests/unit/*.c))
unit_owner_src := $(sort $(wildcard tests/unit/owner/*.c))
helper_src := $(sort $(wildcard tests/helpers/*.c))
fuzz_src := $(sort $(wildcard tests/fuzz/*.c))

obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
lib_obj := $(call obj,$(lib_src))
cli_obj := $(call obj,$(cli_src))
owner_obj := $(call obj,$(owner_src))
owner_lib_obj := $(filter-out %/main.o,$(owner_obj)) $(call obj,$(owner_shared))
standin_obj := $(call obj,$(standin_src))
bench_obj := $(call obj,$(bench_src))
skeletons := $(patsubst bpf/%.bpf.c,$(BUILD)/gen/bpf/%.skel.h,$(bpf_src))

programs := $(if $(cli_src),$(BUILD)/vferry) $(if $(wildcard tools/owner/main.c),$(BUILD)/vferry-owner) \
	$(if $(standin_src),$(BUILD)/vferry-standin) $(if $(bench_src),$(BUILD)/vferry-bench)
libraries := $(BUILD)/libvferry.a $(BUILD)/libvferry.so.$(SOVERSION) $(BUILD)/libvferry.pc
unit_bin := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(unit_src) $(unit_owner_src))
helper_bin := $(patsubst tests/helpers/%.c,$(BUILD)/tests/helpers/%,$(helper_src))
fuzz_bin := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(fuzz_src))

.PHONY: all
ifeq ($(HAVE_PKGS),yes)
all: $(libraries) $(programs) $(BUILD)/.docs
else
all:
	@echo "vferry: build packages are missing. 'make setup' installs them (Debian); they are:" >&2
	@tools/setup --list >&2
	@false
endif

# --- Compiling -----------------------------------------------------------------------------------------
# Flags are part of what an object depends on.
flags_now = $(CC) $(all_cflags) $(all_ldflags)
$(BUILD)/.flags: FORCE
	@mkdir -p $(BUILD)
	@printf '%s\n' "$(subst ",\",$(flags_now))" | cmp -s - $@ || printf '%s\n' "$(subst ",\",$(flags_now))" >$@
.PHONY: FORCE

$(BUILD)/obj/%.o: %.c $(BUILD)/.flags
	$(call msg,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_cflags) -MMD -MP -c $< -o $@

$(call obj,$(filter user/trace/% user/profile/%,$(cli_src))): | $(skeletons)

$(BUILD)/libvferry.a: $(lib_obj)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/libvferry.so.$(SOVERSION): $(lib_obj) user/lib/libvferry.map
	$(call msg,LD,$@)
	$(Q)$(CC) $(all_ldflags) -shared -Wl,-soname,libvferry.so.$(SOVERSION) \
		-Wl,--version-script=user/lib/libvferry.map $(lib_obj) $(pkg_libs) -o $@
	$(Q)ln -sf libvferry.so.$(SOVERSION) $(BUILD)/libvferry.so

$(BUILD)/libvferry.pc: user/lib/libvferry.pc.in Makefile
	$(call msg,GEN,$@)
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' $< >$@

$(BUILD)/vferry: $(cli_obj) $(BUILD)/libvferry.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(all_ldflags) $^ $(pkg_libs) $(trace_libs) -o $@

$(BUILD)/vferry-owner: $(owner_obj) $(call obj,$(owner_shared))
	$(call msg,LD,$@)
	$(Q)$(CC) $(all_ldflags) $^ $(pkg_libs) -o $@

$(BUILD)/vferry-standin: $(standin_obj) $(BUILD)/libvferry.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(all_ldflags) $^ $(pkg_libs) -o $@

$(BUILD)/vferry-bench: $(bench_obj) $(BUILD)/libvferry.a
	$(call msg,LD,$@)
	$(Q)$(CC) $(all_ldflags) $^ $(pkg_libs) -o $@

# --- BPF ------------------------------------------------------------------------------------------------
multiarch := $(shell gcc -print-multiarch 2>/dev/null)
$(BUILD)/gen/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h)
	$(call msg,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -D__TARGET_ARCH_$(shell uname -m | sed 's/x86_64/x86/;s/aarch64/arm64/') \
		-Wall -Werror -Iinclude -Ibpf -idirafter /usr/include/$(multiarch) -c $< -o $@

$(BUILD)/gen/bpf/%.skel.h: $(BUILD)/gen/bpf/%.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf >$@

# --- The kernel module, where headers of a kernel that it supports are there ---------------------------------
KDIR ?= $(shell kmod/usable /lib/modules/$(shell uname -r)/build)
.PHONY: kmod
ifneq ($(wildcard $(KDIR)/Makefile),)
all: kmod
kmod:
	@mkdir -p $(BUILD)/kmod/kmod $(BUILD)/kmod/include/vferry
	@cp -pu kmod/*.[ch] kmod/Kbuild kmod/Makefile $(BUILD)/kmod/kmod/
	@cp -pu include/vferry/uring_cmd.h $(BUILD)/kmod/include/vferry/
	$(call msg,KMOD,$(BUILD)/kmod/kmod/vferry_vfio_pci.ko)
	$(Q)+$(MAKE) -s -C $(BUILD)/kmod/kmod KDIR=$(abspath $(KDIR)) modules
else
kmod:
	@echo "kmod: no headers of a kernel from 6.12 on for $$(uname -r); give KDIR= (Debian: linux-headers-VERSION)" >&2
	@false
endif

# --- Tests ----------------------------------------------------------------------------------------------
$(BUILD)/libowner.a: $(owner_lib_obj)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/tests/unit/owner/%: $(BUILD)/obj/tests/unit/owner/%.o $(BUILD)/libowner.a
	$(call msg,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ldflags) $^ $(pkg_libs) -lcmocka -o $@

# Tests of the command line see all of it but main().
$(BUILD)/libcli.a: $(filter-out %/main.o,$(cli_obj))
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/tests/unit/cli_%: $(BUILD)/obj/tests/unit/cli_%.o $(BUILD)/libcli.a $(BUILD)/libvferry.a
	$(call msg,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ldflags) $^ $(pkg_libs) $(trace_libs) -lcmocka -o $@

$(BUILD)/tests/unit/profile_%: $(BUILD)/obj/tests/unit/profile_%.o $(BUILD)/libcli.a $(BUILD)/libvferry.a
	$(call msg,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ldflags) $^ $(pkg_libs) $(trace_libs) -lcmocka -o $@

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/libvferry.a
	$(call msg,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ldflags) $^ $(pkg_libs) -lcmocka -o $@

# Programs that system tests run beside the product.
$(BUILD)/tests/helpers/%: $(BUILD)/obj/tests/helpers/%.o $(BUILD)/libvferry.a
	$(call msg,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ldflags) $^ $(pkg_libs) -o $@

# Fuzz targets link the code under test compiled for coverage, in a build of their own.
fuzz_flags := -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
fuzz_obj = $(patsubst %.c,$(BUILD)/fuzzobj/%.o,$(1))
$(BUILD)/fuzzobj/%.o: %.c
	$(call msg,FUZZCC,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -std=gnu11 $(fuzz_flags) -D_GNU_SOURCE -DVFERRY_VERSION='"$(VERSION)"' -DVFERRY_FUZZ=1 \
		-Iinclude -Iuser/lib -Iuser -I. -I$(BUILD)/gen $(pkg_cflags) -MMD -MP -c $< -o $@

fuzz_lib := $(call fuzz_obj,$(lib_src))
fuzz_owner := $(call fuzz_obj,$(filter-out %/main.c,$(owner_src)))
$(BUILD)/fuzz/libfuzzed.a: $(fuzz_lib) $(fuzz_owner)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(BUILD)/fuzz/%: $(BUILD)/fuzzobj/tests/fuzz/%.o $(BUILD)/fuzz/libfuzzed.a
	$(call msg,FUZZLD,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined $^ $(pkg_libs) -o $@

.PHONY: setup unit fuzz test check check-san check-fuzz check-guest check-model check-faults bench demo
setup:
	@tools/setup

unit: $(unit_bin) $(helper_bin)
fuzz: $(fuzz_bin)
test: all unit

# A machine that lacks packages gets them first; the second make sees them.
check demo: setup
	@$(MAKE) $@-now

.PHONY: check-now demo-now
check-now: all unit
	@tests/run --build $(BUILD)

demo-now: all
	@tools/demo --build $(BUILD)

check-fuzz: fuzz
	@tests/run --build $(BUILD) --fuzz

bench: all unit
	@tools/bench/run --build $(BUILD)

check-guest: all $(helper_bin)
	@tests/guest/run --build $(BUILD)

check-model:
	@tests/model/run --build $(BUILD)

check-faults: all
	@tests/faults/run --build $(BUILD) --random 10000 --jobs 6

# What DKMS builds the module from, in a folder of its own: then 'dkms install vferry/VERSION'.
.PHONY: install-dkms bench-guest
dkms_dir := $(DESTDIR)/usr/src/vferry-$(VERSION)
install-dkms:
	$(call msg,INSTALL,$(dkms_dir))
	$(Q)install -d $(dkms_dir)/kmod $(dkms_dir)/include/vferry
	$(Q)install -m 644 kmod/*.[ch] kmod/Kbuild kmod/Makefile $(dkms_dir)/kmod/
	$(Q)install -m 644 include/vferry/uring_cmd.h $(dkms_dir)/include/vferry/
	$(Q)sed 's|@VERSION@|$(VERSION)|' kmod/dkms.conf >$(dkms_dir)/dkms.conf

# Ways to an owner, side by side in a guest.
bench-guest: all $(helper_bin)
	@tests/guest/run --build $(BUILD) --guest bench --kernel 6.12

# --- Manual pages, completion ------------------------------------------------------------------------------
# Rendered from the program's own command table.
$(BUILD)/.docs: $(programs) $(wildcard tools/docs)
	$(if $(wildcard tools/docs),$(call msg,DOCS,$(BUILD)/man))
	$(if $(wildcard tools/docs),$(Q)tools/docs --build $(BUILD))
	@touch $@

# --- Installing -----------------------------------------------------------------------------------------------
.PHONY: install uninstall clean help format
install: all
	$(call msg,INSTALL,$(DESTDIR)$(PREFIX))
	$(Q)tools/install --build $(BUILD) --root "$(DESTDIR)" --prefix "$(PREFIX)"

uninstall:
	$(Q)tools/install --uninstall --build $(BUILD) --root "$(DESTDIR)" --prefix "$(PREFIX)"

clean:
	$(Q)rm -rf $(BUILD)

format:
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

help:
	@sed -n '3,8s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))
	@echo 'make check-guest  real kernel VFIO in QEMU      make check-model  the hand-off, model-checked'
	@echo 'make check-faults 10,000 random faults (long)   make check-fuzz   a short run of each fuzz target'
	@echo 'make bench        figures side by side          make install PREFIX= DESTDIR='
	@echo 'make kmod KDIR=    the kernel module (kmod/README.md)   make install-dkms  its source for DKMS'
	@echo 'make bench-guest   ways to an owner, side by side in a guest'
	@echo 'SAN=1 sanitizers, WERROR=1, CC=clang, BUILD=DIR'

-include $(shell find $(BUILD)/obj $(BUILD)/fuzzobj -name '*.d' 2>/dev/null)
