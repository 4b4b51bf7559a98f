/* acl.c -- see acl.h. */
#include "store/acl.h"

#include <endian.h>
#include <string.h>

enum tag { USER_OBJ = 0x01, USER = 0x02, GROUP_OBJ = 0x04, GROUP = 0x08, MASK = 0x10, OTHER = 0x20 };

struct entry { uint16_t tag, perm; uint32_t id; };

static struct entry get(const char *acl, size_t at)
{
	struct entry e;

	memcpy(&e, acl + at, sizeof e);
	return (struct entry){ .tag = le16toh(e.tag), .perm = le16toh(e.perm), .id = le32toh(e.id) };
}

static void set_perm(char *acl, size_t at, uint32_t perm)
{
	uint16_t le = htole16((uint16_t)perm);

	memcpy(acl + at + offsetof(struct entry, perm), &le, sizeof le);
}

bool acl_is_valid(const void *acl, size_t len)
{
	uint32_t version;
	unsigned seen = 0;

	if (len < ACL_HEADER + 3 * ACL_ENTRY || (len - ACL_HEADER) % ACL_ENTRY)
		return false;
	memcpy(&version, acl, sizeof version);
	if (le32toh(version) != ACL_VERSION)
		return false;
	for (size_t at = ACL_HEADER; at < len; at += ACL_ENTRY) {
		struct entry e = get(acl, at);
		bool named = e.tag == USER || e.tag == GROUP;
		if (!e.tag || e.tag > OTHER || (e.tag & (e.tag - 1)) || e.perm & ~7u || (named && e.id == UINT32_MAX))
			return false;
		/* Tags grow; only named ones come again. */
		if (seen & ~(e.tag - 1u) & ~(named ? e.tag : 0u))
			return false;
		seen |= e.tag;
	}
	return (seen & USER_OBJ) && (seen & GROUP_OBJ) && (seen & OTHER) && (!(seen & (USER | GROUP)) || (seen & MASK));
}

bool acl_to_mode(const void *acl, size_t len, uint32_t *mode)
{
	uint32_t bits = 0;
	bool all = true;

	for (size_t at = ACL_HEADER; at < len; at += ACL_ENTRY) {
		struct entry e = get(acl, at);
		if (e.tag == USER_OBJ)
			bits |= e.perm << 6;
		else if (e.tag == GROUP_OBJ)
			bits |= e.perm << 3;
		else if (e.tag == MASK)
			bits = (bits & ~070u) | e.perm << 3;
		else if (e.tag == OTHER)
			bits |= e.perm;
		all &= e.tag == USER_OBJ || e.tag == GROUP_OBJ || e.tag == OTHER;
	}
	*mode = (*mode & ~0777u) | bits;
	return all;
}

/* Where the group's bits of the mode are: the mask, else the group. */
static size_t group_class(const char *acl, size_t len)
{
	size_t group = 0;

	for (size_t at = ACL_HEADER; at < len; at += ACL_ENTRY) {
		struct entry e = get(acl, at);
		if (e.tag == MASK || (e.tag == GROUP_OBJ && !group))
			group = at;
	}
	return group;
}

void acl_chmod(void *acl, size_t len, uint32_t mode)
{
	for (size_t at = ACL_HEADER; at < len; at += ACL_ENTRY) {
		struct entry e = get(acl, at);
		if (e.tag == USER_OBJ)
			set_perm(acl, at, mode >> 6 & 7);
		else if (e.tag == OTHER)
			set_perm(acl, at, mode & 7);
	}
	set_perm(acl, group_class(acl, len), mode >> 3 & 7);
}

bool acl_inherit(void *acl, size_t len, uint32_t *mode)
{
	size_t group = group_class(acl, len);

	for (size_t at = ACL_HEADER; at < len; at += ACL_ENTRY) {
		struct entry e = get(acl, at);
		unsigned shift = e.tag == USER_OBJ ? 6 : at == group ? 3 : 0;
		if (e.tag == USER_OBJ || at == group || e.tag == OTHER)
			set_perm(acl, at, e.perm & (*mode >> shift & 7));
	}
	return acl_to_mode(acl, len, mode);
}
