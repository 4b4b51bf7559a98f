/* acl_tree.c -- see acl_tree.h. */
#include "store/acl_tree.h"
#include "store/acl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool find_acl(const struct xattrs *x, const char *name, struct xattr *ret)
{
	return xattrs_find(x, name, strlen(name), ret) && acl_is_valid(ret->value, ret->len);
}

/* A copy of A's value that may be changed, in its place. */
static int own_value(struct acl_change *c, struct xattr *a)
{
	c->access = malloc(a->len);
	if (!c->access)
		return -ENOMEM;
	memcpy(c->access, a->value, a->len);
	a->value = c->access;
	return 0;
}

static int add(struct acl_change *c, const struct xattr *a)
{
	struct xattrs *with;

	int err = xattrs_with(c->all, a, &with);
	if (err)
		return err;
	xattrs_unref(c->all);
	c->all = with;
	c->xattr[c->count++] = *a;
	return 0;
}

int acl_of_new(struct keyspace *ks, const struct op *op, const struct node *dir, uint32_t dir_slot, uint32_t *mode, struct acl_change *ret)
{
	struct xattr inherited, access;
	int err;

	*ret = (struct acl_change){ 0 };
	if (!op->acl || S_ISLNK(*mode))
		return 0;
	if (!find_acl(tree_xattrs(ks, dir, dir_slot), ACL_DEFAULT, &inherited)) {
		*mode &= ~(op->umask & 0777);
		return 0;
	}
	access = inherited;
	access.name = ACL_ACCESS;
	access.name_len = strlen(ACL_ACCESS);
	err = own_value(ret, &access);
	if (!err && !acl_inherit(ret->access, access.len, mode))
		err = add(ret, &access);
	if (!err && S_ISDIR(*mode))
		err = add(ret, &inherited);
	return err;
}

int acl_of_chmod(struct keyspace *ks, struct node *n, uint32_t slot, uint32_t mode, struct acl_change *ret)
{
	struct xattr access;

	*ret = (struct acl_change){ 0 };
	if (!find_acl(tree_xattrs(ks, n, slot), ACL_ACCESS, &access))
		return 0;
	int err = own_value(ret, &access);
	if (err)
		return err;
	acl_chmod(ret->access, access.len, mode);
	ret->all = xattrs_ref(tree_xattrs(ks, n, slot));
	err = add(ret, &access);
	return err ? err : tree_reserve_xattrs(ks, n, slot, ret->all);
}

int acl_of_xattr(const struct op *op, const struct node *n, struct xattr *c, uint32_t *mode)
{
	bool access = c->name_len == strlen(ACL_ACCESS) && memcmp(c->name, ACL_ACCESS, c->name_len) == 0;
	bool inherited = c->name_len == strlen(ACL_DEFAULT) && memcmp(c->name, ACL_DEFAULT, c->name_len) == 0;

	if (!access && !inherited)
		return 0;
	if (!c->value) {
		if (access && op->no_member)
			*mode &= ~(uint32_t)S_ISGID;
		return 0;
	}
	if (inherited && !node_is_dir(n))
		return -EACCES;
	if (!acl_is_valid(c->value, c->len))
		return -EINVAL;
	if (inherited)
		return 0;
	if (acl_to_mode(c->value, c->len, mode)) {
		c->value = NULL;
		c->len = 0;
	}
	if (op->no_member)
		*mode &= ~(uint32_t)S_ISGID;
	return 0;
}

void acl_apply(struct keyspace *ks, struct node *n, uint32_t slot, struct acl_change *c)
{
	if (c->count)
		tree_set_xattrs(ks, n, slot, c->all);
	else
		xattrs_unref(c->all);
	c->all = NULL;
}

void acl_change_fini(struct acl_change *c)
{
	xattrs_unref(c->all);
	free(c->access);
}
