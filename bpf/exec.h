/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which program an exec started. */
#ifndef MUSTER_EXEC_H
#define MUSTER_EXEC_H

#include "muster.bpf.h"

/* A path as it was given to execve, zero-padded; of a longer one the first 95 bytes. */
struct muster_path {
	__u64 word[12];
};

/* Fills a path that is all zeros; returns 0 or the helper's error. */
static __always_inline int muster_exec_path(struct muster_path *path, const struct linux_binprm___muster *bprm)
{
	const long length = bpf_probe_read_kernel_str(path, sizeof(*path), bprm->filename);

	return length < 0 ? (int)length : 0;
}

#endif
