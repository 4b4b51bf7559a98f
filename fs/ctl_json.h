/* ctl_json.h -- JSON (RFC 8259) for scripts, on standard output. */
#ifndef KVFS_FS_CTL_JSON_H
#define KVFS_FS_CTL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A string of these bytes; what is no UTF-8 becomes U+FFFD. */
void ctl_json_text(FILE *to, const char *text, size_t len);
/* Whether TEXT is a number in JSON as it stands; without an exponent. */
bool ctl_json_is_number(const char *text, size_t len);
/* INFO as an object of an object a section; db0 and its like are objects too. */
void ctl_json_info(FILE *to, const char *info, size_t len);

#endif
