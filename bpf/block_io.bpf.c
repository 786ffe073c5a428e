// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Requests to block devices: how long the device took, from the moment it was given the request, and bytes done; by
 * disk, operation and how it ended. Requests belong to no task by then: a scope does not narrow them.
 */
#include "muster.bpf.h"

/* include/linux/blk_types.h: enum req_op; those of zoned disks, which kernels number differently, stay numbers. */
enum operation {
	read = 0, write = 1, flush = 2, discard = 3, secure_erase = 5, write_zeroes = 9, driver_in = 34, driver_out = 35,
};
#define OPERATION_BITS 255

enum outcome { ok = 0, failed = 1 };

struct disk_name {
	__u64 word[4];
};

struct block_io_key {
	struct disk_name device MUSTER_AS("text");
	enum operation operation;
	enum outcome outcome;
	MUSTER_BUCKET;
};
MUSTER_HISTOGRAM(block_io, struct block_io_key, 8192, "ns", "time that block devices took for requests");

struct block_bytes_key {
	struct disk_name device MUSTER_AS("text");
	enum operation operation;
	__u32 pad;
};
MUSTER_COUNTER(block_bytes, struct block_bytes_key, 1024, "bytes", "bytes read, written, discarded by block devices");

/* When requests that are on their way were issued. One for which there is no room is counted as failed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u64);
} block_issued SEC(".maps");

static __always_inline const struct gendisk___muster *disk_of(const struct request___muster *request)
{
	if (bpf_core_field_exists(request->q->disk))
		return request->q->disk;
	return ((const struct request___before_5_17 *)request)->rq_disk;
}

SEC("tp_btf/block_rq_issue")
int on_block_rq_issue(__u64 *args) /* request; before 5.11 its queue stands in front of it */
{
	const __u64 now = bpf_ktime_get_ns();
	__u64 id = args[0];
	int error;

	/* This function came with 5.11. */
	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		id = args[1];
	/* One that is issued again (requeued) begins anew. */
	error = (int)bpf_map_update_elem(&block_issued, &id, &now, BPF_ANY);
	if (error)
		muster_lose(block_io, error, 1);
	return 0;
}

SEC("tp_btf/block_rq_complete")
int on_block_rq_complete(__u64 *args) /* request, status, bytes done now */
{
	const struct request___muster *request = (const void *)args[0];
	const struct gendisk___muster *disk = disk_of(request);
	const __u32 bytes = args[2];
	const __u64 id = args[0], *issued;
	struct block_bytes_key done = { 0 };
	struct block_io_key key = { 0 };
	__u64 spent;

	/* No disk: a request of a driver to itself; its name stays empty. */
	if (disk) {
		const muster_word *name = (const void *)&disk->disk_name;

		key.device = (struct disk_name){ { name[0], name[1], name[2], name[3] } };
	}
	key.operation = request->cmd_flags & OPERATION_BITS;
	key.outcome = (__u8)args[1] ? failed : ok;
	if (bytes && key.outcome == ok) {
		done.device = key.device;
		done.operation = key.operation;
		muster_add(block_bytes, &done, bytes);
	}
	/* Done in part: more is to come. */
	if (key.outcome == ok && request->__data_len > bytes)
		return 0;
	issued = bpf_map_lookup_elem(&block_issued, &id);
	if (!issued) /* issued before the probe was attached, or counted as failed then */
		return 0;
	spent = bpf_ktime_get_ns() - *issued;
	/* One that cannot be taken out now is overwritten when its memory serves another request. */
	if (bpf_map_delete_elem(&block_issued, &id) == -2) /* ENOENT: it was counted already */
		return 0;
	muster_observe(block_io, &key, spent);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
