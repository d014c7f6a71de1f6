# Everyday targets; `make help` lists them. script/bootstrap installs what
# they need on a bare Debian 12.

BUILD      ?= build
CC         ?= cc
CXX        ?= c++
# A copy of this tree is configured and the module compiled in it.
NGINX_SRC  ?= /usr/share/nginx/src
NGINX      ?= /usr/sbin/nginx
PREFIX     ?= /usr/local
# Where this nginx keeps its modules.
MODULES    ?= $(or $(shell $(NGINX) -V 2>&1 \
              | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p'),\
              /usr/lib/nginx/modules)
PROVE      ?= prove
# V=1 shows the commands.
Q          := $(if $(V),,@)
say         = $(if $(V),,@echo '  $(1)')

WARN       := -Wall -Wextra -Werror
OPT        ?= -O2 -g
# No fused multiply-add: a distribution must have the same bits everywhere.
BASE       := $(OPT) $(WARN) -ffp-contract=off -fno-strict-aliasing -fPIC \
              -D_GNU_SOURCE -DOPENSSL_SUPPRESS_DEPRECATED $(SANITIZE)
# Files have unique names, so that an include needs no folder.
INCLUDES   := $(patsubst %/,-I%,core/ $(wildcard lmdb-tools/*/))
CFLAGS_ALL   = -std=gnu11 $(BASE) $(INCLUDES) $(CFLAGS)
CXXFLAGS_ALL = -std=c++17 $(BASE) $(INCLUDES) \
               -isystem /usr/include/eigen3 $(CXXFLAGS)
CORE_LIBS  := -llmdb -lmaxminddb -ljansson -lcrypto -lm
TOOL_LIBS  := -lcsv -larchive -lcurl $(CORE_LIBS)

CORE_SRCS  := $(wildcard core/*.c)
CORE_OBJS  := $(CORE_SRCS:core/%.c=$(BUILD)/core/%.o)
TOOL_SRCS  := $(wildcard lmdb-tools/*.c lmdb-tools/*/*.c lmdb-tools/*/*.cc)
TOOL_OBJS  := $(patsubst lmdb-tools/%,$(BUILD)/tools/%.o,$(basename $(TOOL_SRCS)))
UNIT_SRCS  := $(wildcard t/unit/*_t.c)
UNIT_BINS  := $(UNIT_SRCS:t/unit/%.c=$(BUILD)/unit/%)
FUZZ_SRCS  := $(wildcard fuzz/fuzz_*.c)
FUZZ_BINS  := $(FUZZ_SRCS:fuzz/%.c=$(BUILD)/fuzz/%)
MODULE     := $(BUILD)/ngx_http_reco_module.so
MODULE_SRCS := config $(wildcard ngx_http_reco_module/*.[ch]) \
              $(CORE_SRCS) $(wildcard core/*.h)
MAN_PAGES  := $(wildcard lmdb-tools/man/*.1)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

## all            the module and the tool
all: module tools

## module         build/ngx_http_reco_module.so, for Debian's nginx
module: $(MODULE)

## tools          build/reco
tools: $(BUILD)/reco

$(BUILD)/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(call say,cc $<)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/libreco.a: $(CORE_OBJS)
	$(call say,ar $@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/tools/%.o: lmdb-tools/%.c
	@mkdir -p $(@D)
	$(call say,cc $<)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/tools/%.o: lmdb-tools/%.cc
	@mkdir -p $(@D)
	$(call say,c++ $<)
	$(Q)$(CXX) $(CXXFLAGS_ALL) -MMD -MP -c -o $@ $<

$(BUILD)/reco: $(TOOL_OBJS) $(BUILD)/libreco.a
	$(call say,link $@)
	$(Q)$(CXX) $(BASE) -o $@ $^ $(TOOL_LIBS)

$(MODULE): $(MODULE_SRCS) script/build-module
	$(Q)CC="$(CC)" script/build-module "$(NGINX_SRC)" "$(BUILD)"

## test           tools, conf, http, lifecycle, build (see also unit)
test: all
	$(PROVE) -r t/tools t/conf t/http t/lifecycle t/build

## unit           the unit tests of core/
unit: $(UNIT_BINS)
	CMOCKA_MESSAGE_OUTPUT=TAP $(PROVE) --exec '' $(UNIT_BINS)

# What t/unit/faults.h lets fail.
WRAPPED := __getdelim asprintf calloc fdatasync fdopen ferror flock free \
    fseeko fsync ftruncate getline getrandom link malloc mdb_cursor_get \
    mdb_cursor_open mdb_dbi_flags mdb_dbi_open mdb_env_copyfd2 \
    mdb_env_create mdb_env_open mdb_env_set_mapsize mdb_env_set_maxdbs \
    mdb_get mdb_put mdb_stat mdb_txn_begin mdb_txn_commit mkdir mmap open \
    opendir pread pwrite read readdir realloc rename renameat2 strdup \
    strndup unlink write

$(BUILD)/unit/faults_%: UNIT_LINK := $(WRAPPED:%=-Wl,--wrap=%)

# Tests of what the tool is made of: all of it but its main().
$(BUILD)/unit/tools_%: t/unit/tools_%.c $(filter-out $(BUILD)/tools/reco.o,\
                       $(TOOL_OBJS)) $(BUILD)/libreco.a
	@mkdir -p $(@D)
	$(call say,cc $<)
	$(Q)$(CC) $(CFLAGS_ALL) -It/unit -MMD -MP -MT $@ -c -o $@.o $<
	$(Q)$(CXX) $(BASE) -o $@ $@.o $(filter %.o %.a,$^) $(TOOL_LIBS) -lcmocka

$(BUILD)/unit/%: t/unit/%.c $(BUILD)/libreco.a
	@mkdir -p $(@D)
	$(call say,cc $<)
	$(Q)$(CC) $(CFLAGS_ALL) -It/unit -MMD -MP -o $@ $< $(BUILD)/libreco.a \
	    $(CORE_LIBS) -lcmocka $(UNIT_LINK)

## lint           gcc and clang without a warning, cppcheck, shell syntax
lint:
	$(MAKE) BUILD=$(BUILD)/gcc CC=gcc CXX=g++ $(BUILD)/gcc/reco \
	    $(BUILD)/gcc/bench/state_get
	$(MAKE) BUILD=$(BUILD)/clang CC=clang CXX=clang++ $(BUILD)/clang/reco \
	    $(BUILD)/clang/bench/state_get module
	script/lint

SAN := -fsanitize=address,undefined,float-cast-overflow \
       -fno-sanitize-recover=all -fno-omit-frame-pointer

## asan           unit, tools, http, lifecycle with ASan (leaks too) and UBSan
asan:
	$(MAKE) BUILD=$(BUILD)/asan OPT="-O1 -g" SANITIZE="$(SAN)" unit \
	    $(BUILD)/asan/reco
	script/test-asan "$(BUILD)"

## valgrind       unit, http, lifecycle and some of the tool's under valgrind
valgrind: all $(UNIT_BINS)
	script/test-valgrind "$(BUILD)"

## fuzz           every fuzzer for FUZZ_RUNS runs (default 100000)
fuzz: $(FUZZ_BINS)
	script/fuzz "$(BUILD)" $(or $(FUZZ_RUNS),100000)

FUZZ_FLAGS := -std=gnu11 -O1 -g -ffp-contract=off -fno-strict-aliasing \
    -D_GNU_SOURCE -DOPENSSL_SUPPRESS_DEPRECATED $(INCLUDES) $(WARN) -MMD -MP \
    -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_OBJS  := $(patsubst %.c,$(BUILD)/fuzz/%.o,$(CORE_SRCS) \
    $(wildcard lmdb-tools/common/*.c) lmdb-tools/market/market_file.c lmdb-tools/market/market.c)

$(FUZZ_OBJS): $(BUILD)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(call say,clang $<)
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

$(BUILD)/fuzz/libreco.a: $(FUZZ_OBJS)
	$(call say,ar $@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(FUZZ_BINS): $(BUILD)/fuzz/%: fuzz/%.c $(BUILD)/fuzz/libreco.a
	$(call say,clang $<)
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer -MF $@.d -o $@ $< \
	    $(BUILD)/fuzz/libreco.a -lcsv -larchive $(CORE_LIBS)

## torture        the long form of the tests, every fuzzer a million runs: hours
##                (docs/DEVELOPER.md), after script/bootstrap test;
##                TESTS="FILE... unit fuzz/NAME" for some
torture: all $(UNIT_BINS) $(FUZZ_BINS)
	script/torture "$(BUILD)" $(TESTS)

# At -O0 branches are those of the source; its flow warnings are no use there.
COVERAGE := BUILD=$(BUILD)/gcov OPT="-O0 -g --coverage" CFLAGS=-Wno-error
CORE_UNITS := $(filter-out $(BUILD)/unit/tools_%,$(UNIT_BINS))

## coverage       lines and branches of core/ that its unit tests run
coverage:
	@find $(BUILD)/gcov -name '*.gcda' -delete 2> /dev/null || true
	$(MAKE) $(COVERAGE) \
	    $(CORE_UNITS:$(BUILD)/%=$(BUILD)/gcov/%)
	CMOCKA_MESSAGE_OUTPUT=TAP $(PROVE) --exec '' \
	    $(CORE_UNITS:$(BUILD)/%=$(BUILD)/gcov/%)
	script/coverage "$(BUILD)/gcov"

## analyze        gcc -fanalyzer and clang-tidy over core/, module and tool
analyze: module
	script/analyze "$(BUILD)"

## bench          the cart's agent, 5,000 connections; a decision beside `return 200`
bench: all
	bench/run "$(BUILD)"

## bench-states   100,000 and 1,000,000 states: build, size, get, memory
bench-states: all $(BUILD)/bench/state_get
	bench/states "$(BUILD)"

$(BUILD)/bench/%: bench/%.c $(BUILD)/libreco.a
	@mkdir -p $(@D)
	$(call say,cc $<)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -o $@ $< $(BUILD)/libreco.a $(CORE_LIBS)

## install        below PREFIX, but the module in MODULES (DESTDIR)
install: all
	install -D -m 755 $(BUILD)/reco $(DESTDIR)$(PREFIX)/bin/reco
	install -D -m 644 $(MODULE) \
	    $(DESTDIR)$(strip $(MODULES))/ngx_http_reco_module.so
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(MAN_PAGES) $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/reco/models
	install -m 644 conf/models/* $(DESTDIR)$(PREFIX)/share/reco/models
	install -d $(DESTDIR)$(PREFIX)/share/reco/markets
	install -m 644 conf/markets/* $(DESTDIR)$(PREFIX)/share/reco/markets
	@echo "nginx.conf: load_module $(strip $(MODULES))/ngx_http_reco_module.so;"

## clean          removes build/
clean:
	rm -rf $(BUILD)

## help           this list
help:
	@sed -n 's/^## //p' Makefile

.PHONY: all module tools test unit lint asan valgrind fuzz torture coverage \
        analyze bench bench-states install clean help

-include $(wildcard $(BUILD)/core/*.d $(BUILD)/tools/*.d \
    $(BUILD)/tools/*/*.d $(BUILD)/unit/*.d $(BUILD)/bench/*.d \
    $(BUILD)/fuzz/*.d $(BUILD)/fuzz/*/*.d $(BUILD)/fuzz/*/*/*.d)
