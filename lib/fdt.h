/*
 * A reader of flattened device trees (DTB version 17, readable by 16). It trusts nothing: every function checks what
 * it touches against the sizes in the header, and fdt_check() those against the memory that there is. Nothing is
 * copied, allocated or changed; results point into the blob. Works on any byte order.
 *
 * A node is the offset of its token in the structure block; a negative number is an errno, mostly -ENOENT. Functions
 * that take a node pass a negative one through (as an error, or "not there"), so that calls can be nested.
 * Cost: a node is found by a walk from where the search starts, linear in the size of the tree.
 */
#pragma once

#include "lib/types.h"

/* Checks header and structure of the blob, of which maxsize bytes may be read. Returns its size, or -EINVAL. */
long fdt_check(const void *blob, size_t maxsize);

/* Walking. They return -ENOENT if there is no such node. */
int fdt_root(const void *blob);
int fdt_first_child(const void *blob, int node);
int fdt_next_sibling(const void *blob, int node);
int fdt_parent(const void *blob, int node);
/* The next node of the whole tree, depth first. *depth (may be null) changes by the steps down (+) and up (-). */
int fdt_next_node(const void *blob, int node, int *depth);

#define fdt_for_each_child(child, blob, node) \
	for (child = fdt_first_child(blob, node); child >= 0; child = fdt_next_sibling(blob, child))

/* The name with its unit address ("cpu@0"; "" for the root); null for a bad node. */
const char *fdt_node_name(const void *blob, int node);
/* The number after the @ of the name, in hexadecimal. Returns 0 or -ENOENT. */
int fdt_unit_address(const void *blob, int node, u64 *addr);

/* The value of a property, null if it is not there; *len (may be null) is its length in bytes, 0 if not there. */
const void *fdt_prop(const void *blob, int node, const char *name, int *len);
/* A number: one cell; one or two cells. Return 0, -ENOENT (not there), or -EINVAL (another length). */
int fdt_prop_u32(const void *blob, int node, const char *name, u32 *out);
int fdt_prop_u64(const void *blob, int node, const char *name, u64 *out);
/* A string; null if it is not there or not terminated. */
const char *fdt_prop_string(const void *blob, int node, const char *name);
/* Is s one of the strings of a property that is a list of strings? */
bool fdt_prop_has_string(const void *blob, int node, const char *name, const char *s);

bool fdt_is_compatible(const void *blob, int node, const char *compat);
/* Has it no status property, or "okay"? */
bool fdt_is_available(const void *blob, int node);

/* The first node after start, depth first (from the root, included, if start is negative), that is compatible. */
int fdt_find_compatible(const void *blob, int start, const char *compat);
/*
 * The node at a path: "/cpus/cpu@0". A component without @ matches a name with any unit address; a path that does not
 * begin with / begins with an alias; a colon ends the path (as in "serial0:115200n8").
 */
int fdt_find_path(const void *blob, const char *path);
int fdt_find_phandle(const void *blob, u32 phandle);

/* #address-cells and #size-cells of a node, which its children's reg uses; 2 and 1 if not there, -EINVAL beyond 4. */
int fdt_address_cells(const void *blob, int node);
int fdt_size_cells(const void *blob, int node);
/* A number of ncells cells at p: the low 64 bits. */
u64 fdt_read_cells(const void *p, int ncells);
/*
 * The index-th pair of reg, by the cells of the parent; size may be null. Addresses are as the parent's bus sees them.
 * Returns 0, -ENOENT (no reg, or not as many), -EINVAL (malformed), -ERANGE (beyond 64 bits).
 */
int fdt_reg(const void *blob, int node, int index, u64 *addr, u64 *size);

/* The index-th entry of the memory reservation block. Returns 0, -ENOENT at its end, or -EINVAL. */
int fdt_memreserve(const void *blob, int index, u64 *addr, u64 *size);
