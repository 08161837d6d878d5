/* Loaded before the C library (LD_PRELOAD), so that a real daemon's syncs fail or take their time.
 *
 * SYNC_FAIL_AT=n   the n-th sync of the process fails with EIO, and what it was to write stays in doubt
 * SYNC_FAIL_FILE=f the next sync fails once the file f is there, and takes it away
 * SYNC_SLOW_MS=n   every sync takes n milliseconds longer
 * SYNC_COUNT=f     the number of syncs so far is written to the file f, at each
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static atomic_long syncs;

static int sync_or_fail(const char *name, int handle)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    long number = atomic_fetch_add(&syncs, 1) + 1;
    const char *at = getenv("SYNC_FAIL_AT"), *file = getenv("SYNC_FAIL_FILE");
    const char *slow = getenv("SYNC_SLOW_MS"), *count = getenv("SYNC_COUNT");

    if (count) {
        char text[32];
        int length = snprintf(text, sizeof text, "%ld", number);
        int out = open(count, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (out >= 0 && write(out, text, (size_t)length) != length)
            abort();
        close(out);
    }
    if (slow) {
        long ms = atol(slow);
        struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
        nanosleep(&pause, NULL);
    }
    if ((at && number == atol(at)) || (file && unlink(file) == 0)) {
        errno = EIO;
        return -1;
    }
    return real(handle);
}

int fsync(int handle)
{
    return sync_or_fail("fsync", handle);
}

int fdatasync(int handle)
{
    return sync_or_fail("fdatasync", handle);
}
