#pragma once
/* For directories' readdir operations. */
#include "kernel/fs/file.h"

/** Emit "." and ".." (positions 0 and 1); false: there was no room, return 0. */
bool dir_emit_dots(struct file *f, struct dir_context *ctx);
/** A directory whose entries are hooked dentries. */
extern const struct file_ops tree_dir_ops;
