# kvfs: make help

PREFIX ?= /usr/local
MOUNTPOINT ?= /mnt/kv
B ?= build
CFLAGS ?= -O2 -g
WARN = -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
CPPFLAGS += -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64

BUILD_PACKAGES = gcc libc6-dev pkg-config libfuse3-dev libinih-dev liblzf-dev fuse3
TEST_PACKAGES = bats redis-tools git rsync sqlite3 strace procps util-linux
LINT_PACKAGES = clang clang-tidy cppcheck

# make V=1 shows the commands.
Q = $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@)

# Looked up when a recipe runs, so that the libraries may still be missing when make reads this.
FUSE_CFLAGS = $$(pkg-config --cflags fuse3)
FUSE_LIBS = $$(pkg-config --libs fuse3 inih)
LIBS = $$(pkg-config --libs liblzf) -pthread

objects = $(patsubst %.c,$(B)/%.o,$(1))
STORE = $(call objects,$(wildcard store/*.c))
PERSIST = $(call objects,$(wildcard persist/*.c))
CTL = $(call objects,$(wildcard fs/ctl*.c))
FS = $(call objects,$(filter-out fs/main.c fs/ctl%.c,$(wildcard fs/*.c)))
# In the order of the linker: what stands behind may not look ahead.
ROOMS = $(B)/libfs.a $(B)/libpersist.a $(B)/libstore.a

# A test is linked with the rooms that it includes, so that one room's test can't lean on a room above it.
includes = $(shell grep -lsE '^\#include "$(1)/' $(2))
TAP_SOURCES = $(wildcard tests/unit/*.c tests/model/*.c)
TAP_FS = $(call includes,fs,$(TAP_SOURCES))
TAP_PERSIST = $(filter-out $(TAP_FS),$(call includes,persist,$(TAP_SOURCES)))
TAP_STORE = $(filter-out $(TAP_FS) $(TAP_PERSIST),$(TAP_SOURCES))
binaries = $(patsubst %.c,$(B)/%,$(1))

# Programs that the shell tests call, each a file; the other C files of tests/lib are linked into whoever wants them.
TOOL_SOURCES = tests/lib/kvtool.c tests/lib/ledger.c tests/lib/recovered.c
# The allocator that fails takes malloc's place, so it is linked only where it is asked for.
TESTLIB = $(call objects,$(filter-out $(TOOL_SOURCES) tests/lib/malloc_fail.c,$(wildcard tests/lib/*.c)))
TAP_MALLOC = $(shell grep -lsw -e malloc_fail_at -e malloc_fail_end -e malloc_live $(TAP_SOURCES))
FUZZ_SOURCES = $(filter-out tests/fuzz/replay_main.c,$(wildcard tests/fuzz/*.c))
BENCH = $(B)/tests/bench/floor $(B)/tests/bench/ops
TEST_BINARIES = $(call binaries,$(TAP_SOURCES) $(TOOL_SOURCES)) $(patsubst %.c,$(B)/%_replay,$(FUZZ_SOURCES)) $(B)/tools/redis-server

all: $(B)/kvfs $(B)/kvfs-ctl

help:
	@printf '%s\n' \
	'make                     build/kvfs and build/kvfs-ctl' \
	'make mount               install what is missing, build, mount the keyspace of kvfs.ini on $(MOUNTPOINT)' \
	'make umount              unmount it, and return when everything is on disk' \
	'make test                install what is missing, build, run every test        (ONLY="persist-redis.bats ..." for some)' \
	'make asan, make tsan     the same with address and undefined, with thread sanitizer' \
	'make fuzz                each fuzz target for FUZZ_SECONDS=60' \
	'make bench, bench-quick  the benchmarks; bench-quick takes under a minute' \
	'make lint                compiler-independent checks, and that the rooms only look down' \
	'make install PREFIX=/usr/local, make uninstall' \
	'make clean' \
	'B=DIR builds elsewhere, CC=clang with another compiler.'

# ---- building ----

$(B)/kvfs: $(B)/fs/main.o $(ROOMS)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FUSE_LIBS) $(LIBS)
$(B)/kvfs-ctl: $(CTL) $(ROOMS)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,--as-needed -o $@ $^ $(FUSE_LIBS) $(LIBS)
$(B)/libfs.a: $(FS)
$(B)/libpersist.a: $(PERSIST)
$(B)/libstore.a: $(STORE)
$(B)/libtest.a: $(TESTLIB)
%.a:
	$(call say,AR)
	@rm -f $@
	$(Q)ar rcs $@ $^
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(WARN) $(CPPFLAGS) $(FUSE_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(call binaries,$(TAP_MALLOC)): $(B)/tests/lib/malloc_fail.o
$(call binaries,$(TAP_STORE)): $(B)/%: $(B)/%.o $(B)/libtest.a $(B)/libstore.a
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -pthread
$(call binaries,$(TAP_PERSIST) $(TOOL_SOURCES)): $(B)/%: $(B)/%.o $(B)/libtest.a $(B)/libpersist.a $(B)/libstore.a
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$(call binaries,$(TAP_FS)): $(B)/%: $(B)/%.o $(B)/libtest.a $(ROOMS)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FUSE_LIBS) $(LIBS)
$(B)/tests/fuzz/%_replay: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/replay_main.o $(ROOMS)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FUSE_LIBS) $(LIBS)
$(B)/tests/fuzz/%_fuzz: $(B)/tests/fuzz/%.o $(ROOMS)
	$(call say,LINK)
	$(Q)$(CC) -fsanitize=fuzzer $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FUSE_LIBS) $(LIBS)
$(B)/tests/bench/%: $(B)/tests/bench/%.o
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FUSE_LIBS) -pthread
# Debian's redis-server is redis-check-rdb by another name: redis-tools is all it takes, and no service is installed.
$(B)/tools/redis-server:
	@mkdir -p $(@D)
	ln -sfn "$$(command -v redis-server || command -v redis-check-rdb)" $@

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)

deps:
	@contrib/install-packages $(BUILD_PACKAGES)
test-deps:
	@contrib/install-packages $(BUILD_PACKAGES) $(TEST_PACKAGES)
lint-deps:
	@contrib/install-packages $(BUILD_PACKAGES) $(LINT_PACKAGES)

# ---- using ----

mount: deps
	@$(MAKE) --no-print-directory all
	@contrib/mount-here $(B)/kvfs kvfs.ini $(MOUNTPOINT)
umount:
	@$(B)/kvfs-ctl -m $(MOUNTPOINT) umount

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/share/doc/kvfs
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(B)/kvfs $(B)/kvfs-ctl $(DESTDIR)$(PREFIX)/bin
	ln -sfn ../bin/kvfs $(DESTDIR)$(PREFIX)/sbin/mount.kvfs
	install -m 644 kvfs.ini README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/kvfs
	install -m 644 man/kvfs-ctl.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 man/kvfs.ini.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 man/kvfs.8 $(DESTDIR)$(PREFIX)/share/man/man8
uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,bin/kvfs bin/kvfs-ctl sbin/mount.kvfs share/man/man1/kvfs-ctl.1 \
	share/man/man5/kvfs.ini.5 share/man/man8/kvfs.8)
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/kvfs
clean:
	rm -rf $(B)

# ---- testing ----

test: test-deps
	@$(MAKE) --no-print-directory all test-binaries
	@tests/lib/run-tests $(B) $(ONLY)
test-binaries: $(TEST_BINARIES)

# setarch -R: the sanitizers' shadow memory wants the addresses where it expects them.
ASAN = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
TSAN = -O1 -g -fno-omit-frame-pointer -fsanitize=thread
asan tsan: test-deps
asan:
	@setarch -R $(MAKE) --no-print-directory test B=$(B)/asan CC=clang CFLAGS="$(ASAN)"
tsan:
	@setarch -R $(MAKE) --no-print-directory test B=$(B)/tsan CC=clang CFLAGS="$(TSAN)"

FUZZ_SECONDS ?= 60
fuzz: lint-deps
	@setarch -R $(MAKE) --no-print-directory fuzz-run B=$(B)/fuzz CC=clang \
	CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all"
fuzz-run: $(patsubst %.c,$(B)/%_fuzz,$(FUZZ_SOURCES))
	@tests/lib/run-fuzz $(B) $(FUZZ_SECONDS)

bench bench-quick: test-deps
	@$(MAKE) --no-print-directory all $(BENCH) $(B)/tools/redis-server
	@tests/bench/run $(if $(filter bench-quick,$@),--quick) $(B)

lint: lint-deps
	@$(MAKE) --no-print-directory all
	@tests/lib/layering $(B)
	@tests/lib/lint

.PHONY: all help deps test-deps lint-deps mount umount install uninstall clean test test-binaries asan tsan fuzz fuzz-run bench bench-quick lint
