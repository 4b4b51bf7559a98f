# kvfs: make help

PREFIX ?= /usr/local
MOUNTPOINT ?= /mnt/kv
B ?= build
CFLAGS ?= -O2 -g
WARN = -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
CPPFLAGS += -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64

BUILD_PACKAGES = gcc libc6-dev pkg-config libfuse3-dev libinih-dev liblzf-dev fuse3
TEST_PACKAGES = acl attr bats ed fio git inotify-tools libcap2-bin man-db procps redis-tools rsync sqlite3 strace tmux util-linux valgrind vim-tiny xfsprogs
BENCH_PACKAGES = gnuplot-nox
DEB_PACKAGES = debhelper dpkg-dev
DEB_TEST_PACKAGES = debootstrap lintian
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
TOOL_SOURCES = tests/lib/errnos.c tests/lib/kvtool.c tests/lib/ledger.c tests/lib/posixtool.c tests/lib/recovered.c tests/lib/scanners.c tests/lib/twin.c tests/lib/valuetool.c
# Of these, what goes through the handlers.
FS_TOOLS = tests/lib/cost.c
TESTLIB = $(call objects,$(filter-out $(TOOL_SOURCES) $(FS_TOOLS) tests/lib/malloc_fail.c,$(wildcard tests/lib/*.c)))
TAP_MALLOC = $(shell grep -lsw -e malloc_fail_at -e malloc_fail_end -e malloc_live $(TAP_SOURCES))
FUZZ_SOURCES = $(filter-out tests/fuzz/replay_main.c,$(wildcard tests/fuzz/*.c))
BENCH = $(patsubst %.c,$(B)/%,$(filter-out tests/bench/target.c,$(wildcard tests/bench/*.c)))
# With ONLY the programs that it names, and the tools.
WANTED_TAP = $(if $(ONLY),$(wildcard $(foreach name,$(ONLY),tests/unit/$(name).c $(patsubst model-%,tests/model/%.c,$(filter model-%,$(name))))),$(TAP_SOURCES))
WANTED_FUZZ = $(if $(ONLY),$(if $(filter fuzz,$(ONLY)),$(FUZZ_SOURCES)),$(FUZZ_SOURCES))
TEST_BINARIES = $(call binaries,$(WANTED_TAP) $(TOOL_SOURCES) $(FS_TOOLS)) $(patsubst %.c,$(B)/%_replay,$(WANTED_FUZZ)) $(B)/tools/redis-server

all: $(B)/kvfs $(B)/kvfs-ctl

help:
	@printf '%s\n' \
	'make                     build/kvfs and build/kvfs-ctl' \
	'make mount               install what is missing, build, mount the keyspace of kvfs.ini on $(MOUNTPOINT)' \
	'make umount              unmount it, and return when everything is on disk' \
	'make test                install what is missing, build, run every test        (ONLY="persist-redis.bats ..." for some)' \
	'make torture             the crash tests at length: 1,000 SIGKILLs, 100,000 simulated crashes, a million calls beside a tmpfs, power cuts; half an hour' \
	'make asan, make tsan     the same with address and undefined, with thread sanitizer' \
	'make budget              records anew what tests/counts.bats holds an operation to: instructions, allocations, bytes' \
	'make fuzz                each fuzz target for FUZZ_SECONDS=60' \
	'make bench, bench-quick  the benchmarks, into $(B)/bench: twelve minutes; bench-quick: under a minute           (ONLY="keys ..." for some)' \
	'make bench-results       takes what the last make bench has measured into tests/bench/results and README' \
	'make lint                compiler-independent checks, and that the rooms only look down' \
	'make install PREFIX=/usr/local, make uninstall' \
	'make deb                 a Debian package, $(B)/kvfs_VERSION_ARCH.deb; make deb-test tries it in a fresh system of its own' \
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
$(call binaries,$(TAP_FS) $(FS_TOOLS)): $(B)/%: $(B)/%.o $(B)/libtest.a $(ROOMS)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FUSE_LIBS) $(LIBS)
$(B)/tests/fuzz/%_replay: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/replay_main.o $(ROOMS)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FUSE_LIBS) $(LIBS)
$(B)/tests/fuzz/%_fuzz: $(B)/tests/fuzz/%.o $(ROOMS)
	$(call say,LINK)
	$(Q)$(CC) -fsanitize=fuzzer $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FUSE_LIBS) $(LIBS)
$(B)/tests/bench/load: $(B)/tests/bench/load.o $(B)/libpersist.a $(B)/libstore.a
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)
$(B)/tests/bench/floor: $(B)/tests/bench/floor.o $(ROOMS)
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(FUSE_LIBS) $(LIBS)
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(B)/tests/bench/target.o
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lm -pthread
# Debian's redis-server is redis-check-rdb by another name: redis-tools is all it takes, and no service is installed.
$(B)/tools/redis-server:
	@mkdir -p $(@D)
	ln -sfn "$$(command -v redis-server || command -v redis-check-rdb)" $@

.SECONDARY:
-include $(shell find $(B) -path '$(B)/deb*' -prune -o -name '*.d' -type f -print 2>/dev/null)

deps:
	@contrib/install-packages $(BUILD_PACKAGES)
test-deps:
	@contrib/install-packages $(BUILD_PACKAGES) $(TEST_PACKAGES)
bench-deps:
	@contrib/install-packages $(BUILD_PACKAGES) $(TEST_PACKAGES) $(BENCH_PACKAGES)
lint-deps:
	@contrib/install-packages $(BUILD_PACKAGES) $(LINT_PACKAGES)

# ---- using ----

mount: deps
	@$(MAKE) --no-print-directory all
	@contrib/mount-here $(B)/kvfs kvfs.ini $(MOUNTPOINT)
umount:
	@$(B)/kvfs-ctl -m $(MOUNTPOINT) umount

# Relative to DESTDIR.  mount(8) looks for helpers in /sbin and nowhere else; who may not write there has `mount -t fuse.kvfs` by mount.fuse3.
HELPER_DIR ?= /sbin
UNIT_DIR ?= $(PREFIX)/lib/systemd/system
ZSH_DIR ?= $(PREFIX)/share/zsh/site-functions
BASH_DIR = $(PREFIX)/share/bash-completion/completions
FISH_DIR = $(PREFIX)/share/fish/vendor_completions.d
MAN_DIR = $(PREFIX)/share/man
DOC_DIR = $(PREFIX)/share/doc/kvfs
put = install -D -m $(1) $(2) $(DESTDIR)$(3)
# With the places as they are below PREFIX.
put_text = install -d $(DESTDIR)$(dir $(2)) && sed 's,/usr/local,$(PREFIX),g' $(1) >$(DESTDIR)$(2) && chmod 644 $(DESTDIR)$(2)

install: all
	$(call put,755,$(B)/kvfs,$(PREFIX)/bin/kvfs)
	$(call put,755,$(B)/kvfs-ctl,$(PREFIX)/bin/kvfs-ctl)
	$(call put_text,man/kvfs-ctl.1,$(MAN_DIR)/man1/kvfs-ctl.1)
	$(call put_text,man/kvfs.ini.5,$(MAN_DIR)/man5/kvfs.ini.5)
	$(call put_text,man/kvfs.8,$(MAN_DIR)/man8/kvfs.8)
	ln -sfn kvfs.8 $(DESTDIR)$(MAN_DIR)/man8/mount.kvfs.8
	ln -sfn kvfs.8 $(DESTDIR)$(MAN_DIR)/man8/mount.fuse.kvfs.8
	$(call put,644,kvfs.ini,$(DOC_DIR)/kvfs.ini)
	$(call put,644,README.md,$(DOC_DIR)/README.md)
	$(call put,644,NEWS.md,$(DOC_DIR)/NEWS.md)
	$(call put,644,LICENSE,$(DOC_DIR)/LICENSE)
	$(call put_text,contrib/kvfs@.service,$(UNIT_DIR)/kvfs@.service)
	$(call put,644,contrib/completions/kvfs.bash,$(BASH_DIR)/kvfs)
	ln -sfn kvfs $(DESTDIR)$(BASH_DIR)/kvfs-ctl
	$(call put,644,contrib/completions/_kvfs,$(ZSH_DIR)/_kvfs)
	$(call put,644,contrib/completions/kvfs.fish,$(FISH_DIR)/kvfs.fish)
	ln -sfn kvfs.fish $(DESTDIR)$(FISH_DIR)/kvfs-ctl.fish
	@install -d $(DESTDIR)$(HELPER_DIR) && ln -sfn $(PREFIX)/bin/kvfs $(DESTDIR)$(HELPER_DIR)/mount.kvfs && \
	ln -sfn $(PREFIX)/bin/kvfs $(DESTDIR)$(HELPER_DIR)/mount.fuse.kvfs || \
	echo 'kvfs: $(DESTDIR)$(HELPER_DIR)/mount.kvfs could not be made (as root?): mount -t fuse.kvfs does without it, mount -t kvfs not'
uninstall:
	rm -f $(addprefix $(DESTDIR),$(addprefix $(PREFIX)/bin/,kvfs kvfs-ctl) $(addprefix $(HELPER_DIR)/,mount.kvfs mount.fuse.kvfs) $(UNIT_DIR)/kvfs@.service \
	$(addprefix $(MAN_DIR)/,man1/kvfs-ctl.1 man5/kvfs.ini.5 man8/kvfs.8 man8/mount.kvfs.8 man8/mount.fuse.kvfs.8) \
	$(BASH_DIR)/kvfs $(BASH_DIR)/kvfs-ctl $(ZSH_DIR)/_kvfs $(FISH_DIR)/kvfs.fish $(FISH_DIR)/kvfs-ctl.fish)
	rm -rf $(DESTDIR)$(DOC_DIR)
	@for dir in $(BASH_DIR) $(ZSH_DIR) $(FISH_DIR) $(UNIT_DIR); do \
	rmdir $(DESTDIR)$$dir $(DESTDIR)$${dir%/*} 2>/dev/null; done; true
# debhelper wants debian/ beside the sources, and what it makes there is not for this tree.
DEB_TREE = $(B)/deb/kvfs
deb:
	@contrib/install-packages $(BUILD_PACKAGES) $(DEB_PACKAGES)
	rm -rf $(B)/deb
	mkdir -p $(DEB_TREE)
	cp -r fs store persist man contrib Makefile kvfs.ini README.md NEWS.md LICENSE $(DEB_TREE)
	mv $(DEB_TREE)/contrib/debian $(DEB_TREE)/debian
	cd $(DEB_TREE) && env -u MAKEFLAGS -u MAKELEVEL -u B -u CC -u CFLAGS dpkg-buildpackage --build=binary --no-sign >../log 2>&1 || { tail -n 40 ../log; exit 1; }
	mv $(B)/deb/kvfs_*.deb $(B)
	@ls $(B)/kvfs_*.deb
deb-test: deb
	@contrib/install-packages $(DEB_TEST_PACKAGES)
	@tests/lib/deb-test $(B)
clean:
	rm -rf $(B)

# ---- testing ----

test: test-deps
	@$(MAKE) --no-print-directory all test-binaries
	@tests/lib/run-tests $(B) $(ONLY)
test-binaries: $(TEST_BINARIES)

budget: test-deps
	@$(MAKE) --no-print-directory $(B)/tests/lib/cost
	@tests/lib/budget $(B) >$(B)/budget.txt
	@mv $(B)/budget.txt tests/data/budget.txt

# 250 rounds in each of four modes; some three crashes a world.
torture: test-deps
	@$(MAKE) --no-print-directory all test-binaries
	@ROUNDS=250 WORLDS=35000 FAULT_LIVES=1000 TWIN_OPS=1000000 BATS_TEST_TIMEOUT=3600 tests/lib/run-tests $(B) \
	model-lives model-crash model-faults persist-kill9.bats persist-powercut.bats posix-twin.bats

# setarch -R: the sanitizers' shadow memory wants the addresses where it expects them.
ASAN = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
TSAN = -O1 -g -fno-omit-frame-pointer -fsanitize=thread
asan asan-build tsan: test-deps
asan-build:
	@$(MAKE) --no-print-directory all test-binaries B=$(B)/asan CC=clang CFLAGS="$(ASAN)"
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

bench bench-quick: bench-deps
	@$(MAKE) --no-print-directory all $(BENCH) $(B)/tools/redis-server
	@tests/bench/run $(if $(filter bench-quick,$@),--quick) $(B)
bench-results:
	@tests/bench/publish $(B)/bench

lint: lint-deps
	@$(MAKE) --no-print-directory all
	@tests/lib/layering $(B)
	@tests/lib/lint

.PHONY: all help deps test-deps bench-deps lint-deps mount umount install uninstall clean test test-binaries torture asan asan-build tsan fuzz fuzz-run bench bench-quick bench-results lint budget deb deb-test
