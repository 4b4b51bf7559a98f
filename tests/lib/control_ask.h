/* control_ask.h -- asks the daemon's control socket for a number.  One connection a process. */
#ifndef KVFS_TESTS_CONTROL_ASK_H
#define KVFS_TESTS_CONTROL_ASK_H

#include <stdbool.h>
#include <stdint.h>

/* PATH NULL: none, nothing can be asked.  Ends the program when it can't be reached. */
void control_open(const char *path);
bool control_is_open(void);
/* COMMAND is inline, with its CRLF.  0; or -1 with errno: ENOTCONN, the daemon is gone; EIO, it did not answer with a number, which is said. */
int control_ask(const char *command, int64_t *ret);

#endif
