CC ?= gcc
B ?= build
CFLAGS ?= -O2 -g
WARN = -std=gnu11 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
CPPFLAGS += -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64

STORE = $(patsubst %.c,$(B)/%.o,$(wildcard store/*.c))
PERSIST = $(patsubst %.c,$(B)/%.o,$(wildcard persist/*.c))

store: $(B)/libstore.a
persist: $(B)/libpersist.a
$(B)/libstore.a: $(STORE)
	ar rcs $@ $^
$(B)/libpersist.a: $(PERSIST)
	ar rcs $@ $^
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(WARN) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
-include $(STORE:.o=.d) $(PERSIST:.o=.d)
.PHONY: store persist
