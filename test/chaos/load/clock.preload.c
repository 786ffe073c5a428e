/*
 * Preloaded into a process: its wall clock is off by as many seconds as the file $MUSTER_CHAOS_CLOCK says (one i64,
 * shared, so that it can be stepped while the process runs). Monotonic clocks and the machine's own are left alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;

__attribute__((constructor)) static void map_offset(void)
{
	const char *path = getenv("MUSTER_CHAOS_CLOCK");
	const int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (file < 0)
		return;
	void *map = mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, file, 0);
	close(file);
	if (map != MAP_FAILED)
		offset = map;
}

int clock_gettime(clockid_t id, struct timespec *time)
{
	static int (*real)(clockid_t, struct timespec *);
	if (!real)
		real = dlsym(RTLD_NEXT, "clock_gettime");
	const int result = real(id, time);
	if (result == 0 && offset && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		time->tv_sec += *offset;
	return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	static int (*real)(struct timeval *, void *);
	if (!real)
		real = dlsym(RTLD_NEXT, "gettimeofday");
	const int result = real(time, zone);
	if (result == 0 && offset)
		time->tv_sec += *offset;
	return result;
}
