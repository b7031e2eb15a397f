/*
 * Makes a flattened device tree (version 17) in memory of the caller's, node by node: for firmware that has its tree in
 * another form. What does not fit is left out, so that the result is a valid tree anyhow; `full` says so.
 */
#pragma once

#include "lib/types.h"

struct fdt_build {
	u8 *base;
	u32 size;		/* of the memory */
	u32 at;			/* where the next token goes */
	u32 strings, strings_size;	/* property names, at the memory's end until fdt_build_finish() */
	u32 depth;		/* nodes that are open */
	bool full;
};

/* mem is aligned to 8 bytes; a sixteenth of it is for the names of properties. At least 256 bytes. */
void fdt_build_start(struct fdt_build *b, void *mem, u32 size);
/* The root's name is "". False: no room; then the node has nothing in it and no end. */
bool fdt_build_node(struct fdt_build *b, const char *name);
/* The caller puts the value where the result says, before the next call. Null: no room. */
void *fdt_build_prop(struct fdt_build *b, const char *name, u32 len);
void fdt_build_end_node(struct fdt_build *b);
/* All nodes have ended. The size of the tree. */
u32 fdt_build_finish(struct fdt_build *b);
