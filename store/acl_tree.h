/* acl_tree.h -- what the operations on nodes do about ACLs.  Private to store/, with S held; an invalid ACL (from a file) counts as none. */
#ifndef KVFS_STORE_ACL_TREE_H
#define KVFS_STORE_ACL_TREE_H

#include "store/tree.h"

/* Extended attributes that come with another change. */
struct acl_change {
	struct xattr xattr[2];      /* for the observer */
	int count;
	struct xattrs *all;         /* all that the node has then; a reference, until acl_apply() */
	char *access;               /* private: an ACL in the making */
};

/* What a new node in DIR gets, and MODE with it: OP's default ACL or umask, if OP leaves that to the store.  -ENOMEM. */
int acl_of_new(struct keyspace *ks, const struct op *op, const struct node *dir, uint32_t dir_slot, uint32_t *mode, struct acl_change *ret);
/* What a chmod to MODE does to N's access ACL.  Memory is reserved.  -ENOMEM, -ENOSPC. */
int acl_of_chmod(struct keyspace *ks, struct node *n, uint32_t slot, uint32_t mode, struct acl_change *ret);
/* Setting N's attribute C: when it is an ACL, *MODE is N's and becomes what it is then, and *C what is to be kept of it.  -EINVAL: it is none;
 * -EACCES: a default ACL for what is no directory. */
int acl_of_xattr(const struct op *op, const struct node *n, struct xattr *c, uint32_t *mode);
/* The node, for which it is reserved, has them; cannot fail. */
void acl_apply(struct keyspace *ks, struct node *n, uint32_t slot, struct acl_change *c);
/* Always at the end. */
void acl_change_fini(struct acl_change *c);

#endif
