/* An ACL from outside is taken only when it is one, and mode and ACL say the same of each other.
 * Method: cases by hand, each byte of a good one changed, every combination of bits through chmod and inheritance.   */
#include "store/acl.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

struct e { int tag, perm; uint32_t id; };

/* The bytes of N entries, in memory of exactly that size. */
static unsigned char *make(const struct e *e, int n, size_t *ret_len)
{
	unsigned char *acl = malloc(ACL_HEADER + (size_t)n * ACL_ENTRY + 1), *p = acl + ACL_HEADER;

	if (!acl)
		exit(1);
	memcpy(acl, "\2\0\0\0", 4);
	for (int i = 0; i < n; i++, p += ACL_ENTRY) {
		unsigned char entry[ACL_ENTRY] = { (unsigned char)e[i].tag, 0, (unsigned char)e[i].perm, 0, (unsigned char)e[i].id,
			                           (unsigned char)(e[i].id >> 8), (unsigned char)(e[i].id >> 16), (unsigned char)(e[i].id >> 24) };
		memcpy(p, entry, ACL_ENTRY);
	}
	*ret_len = (size_t)(p - acl);
	return acl;
}

#define NONE UINT32_MAX
#define MAKE(len, ...) make((const struct e[]){ __VA_ARGS__ }, sizeof((const struct e[]){ __VA_ARGS__ }) / sizeof(struct e), len)

static bool valid(unsigned char *acl, size_t len)
{
	/* A copy that ends where it ends, for the sanitizer. */
	unsigned char *exact = malloc(len ? len : 1);
	if (!exact)
		exit(1);
	memcpy(exact, acl, len);
	bool v = acl_is_valid(exact, len);
	free(exact);
	free(acl);
	return v;
}

static void test_valid(void)
{
	size_t n;
	unsigned char *a;

	ok((a = MAKE(&n, { USER_OBJ, 6, NONE }, { GROUP_OBJ, 4, NONE }, { OTHER, 0, NONE })) && valid(a, n), "the shortest");
	ok((a = MAKE(&n, { USER_OBJ, 6, NONE }, { USER, 7, 5 }, { USER, 0, 6 }, { GROUP_OBJ, 4, NONE }, { GROUP, 1, 0 }, { MASK, 7, NONE },
	             { OTHER, 0, NONE })) && valid(a, n), "one with everything");
	ok((a = MAKE(&n, { USER_OBJ, 6, NONE }, { GROUP_OBJ, 4, NONE }, { MASK, 7, NONE }, { OTHER, 0, NONE })) && valid(a, n), "a mask alone");
	ok((a = MAKE(&n, { USER_OBJ, 6, NONE }, { USER, 7, 5 }, { GROUP_OBJ, 4, NONE }, { OTHER, 0, NONE })) && !valid(a, n), "named ones without a mask");
	ok((a = MAKE(&n, { USER_OBJ, 6, NONE }, { GROUP_OBJ, 4, NONE }, { MASK, 7, NONE })) && !valid(a, n), "nobody else");
	ok((a = MAKE(&n, { USER, 6, 5 }, { GROUP_OBJ, 4, NONE }, { MASK, 7, NONE }, { OTHER, 0, NONE })) && !valid(a, n), "no owner");
	ok((a = MAKE(&n, { GROUP_OBJ, 4, NONE }, { USER_OBJ, 6, NONE }, { OTHER, 0, NONE })) && !valid(a, n), "another order");
	ok((a = MAKE(&n, { USER_OBJ, 6, NONE }, { USER_OBJ, 6, NONE }, { GROUP_OBJ, 4, NONE }, { OTHER, 0, NONE })) && !valid(a, n), "two owners");
	ok((a = MAKE(&n, { USER_OBJ, 6, NONE }, { GROUP_OBJ, 4, NONE }, { OTHER, 0, NONE }, { OTHER, 0, NONE })) && !valid(a, n), "others twice");
	ok((a = MAKE(&n, { USER_OBJ, 8, NONE }, { GROUP_OBJ, 4, NONE }, { OTHER, 0, NONE })) && !valid(a, n), "a permission that is none");
	ok((a = MAKE(&n, { USER_OBJ, 7, NONE }, { 3, 4, NONE }, { OTHER, 0, NONE })) && !valid(a, n), "a tag that is none");
	ok((a = MAKE(&n, { USER_OBJ, 7, NONE }, { 0, 4, NONE }, { OTHER, 0, NONE })) && !valid(a, n), "no tag");
	ok((a = MAKE(&n, { USER_OBJ, 7, NONE }, { USER, 4, NONE }, { GROUP_OBJ, 0, NONE }, { MASK, 0, NONE }, { OTHER, 0, NONE })) && !valid(a, n),
	   "a named user without a number");
	a = MAKE(&n, { USER_OBJ, 6, NONE }, { GROUP_OBJ, 4, NONE }, { OTHER, 0, NONE });
	a[0] = 1;
	ok(!valid(a, n), "another version");
	int cut = 0;
	for (size_t len = 0; len < ACL_HEADER + 3 * ACL_ENTRY; len++) {
		a = MAKE(&n, { USER_OBJ, 6, NONE }, { GROUP_OBJ, 4, NONE }, { OTHER, 0, NONE });
		cut += valid(a, len);
	}
	is(cut, 0, "cut anywhere");
	int taken = 0;
	srandom(3);
	for (int i = 0; i < 200000; i++) {      /* whatever it takes can be worked with */
		a = MAKE(&n, { USER_OBJ, 6, NONE }, { USER, 7, 5 }, { GROUP_OBJ, 4, NONE }, { GROUP, 1, 0 }, { MASK, 7, NONE }, { OTHER, 0, NONE });
		for (int k = 0; k < 3; k++)
			a[(size_t)random() % n] = (unsigned char)(1 << random() % 8);
		uint32_t mode = 0;
		if (acl_is_valid(a, n)) {
			taken++;
			acl_chmod(a, n, 0640);
			acl_to_mode(a, n, &mode);
			if (mode != 0640 || !acl_is_valid(a, n))
				taken = -1000000;
		}
		free(a);
	}
	ok(taken > 100, "what is valid says after a chmod what the mode says (%d)", taken);
}

static void test_modes(void)
{
	bool right = true;
	size_t n;

	for (uint32_t mode = 0; mode < 01000; mode++)
		for (uint32_t was = 0; was < 01000; was += 11) {
			uint32_t u = was >> 6, g = was >> 3 & 7, o = was & 7, m = 0100000u | mode, got = 0100000u | 04000;
			unsigned char *a = MAKE(&n, { USER_OBJ, (int)u, NONE }, { GROUP_OBJ, (int)g, NONE }, { OTHER, (int)o, NONE });
			right &= acl_to_mode(a, n, &got) && got == (0100000u | 04000 | was);
			right &= acl_inherit(a, n, &m) && m == (0100000u | (mode & was));
			free(a);
			a = MAKE(&n, { USER_OBJ, (int)u, NONE }, { USER, 7, 9 }, { GROUP_OBJ, 5, NONE }, { MASK, (int)g, NONE }, { OTHER, (int)o, NONE });
			right &= !acl_to_mode(a, n, &got) && (got & 0777) == was;
			m = mode;
			right &= !acl_inherit(a, n, &m) && m == (mode & was);
			right &= a[ACL_HEADER + ACL_ENTRY + 2] == 7 && a[ACL_HEADER + 2 * ACL_ENTRY + 2] == 5;   /* the named one, the group */
			acl_chmod(a, n, mode);
			right &= !acl_to_mode(a, n, &got) && (got & 0777) == mode && a[ACL_HEADER + 2 * ACL_ENTRY + 2] == 5;
			free(a);
		}
	ok(right, "mode and ACL: there and back, inherited, changed by chmod");
}

int main(void)
{
	test_valid();
	test_modes();
	return tap_end();
}
