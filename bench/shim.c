/* Loaded before the C library (LD_PRELOAD), so that a real daemon's syncs fail or take their time, or its disk
 * is small.
 *
 * SYNC_FAIL_AT=n   the n-th sync of the process fails with EIO, and what it was to write stays in doubt
 * SYNC_FAIL_FILE=f the next sync fails once the file f is there, and takes it away
 * SYNC_SLOW_MS=n   every sync takes n milliseconds longer
 * SYNC_COUNT=f     the number of syncs so far is written to the file f, at each
 * DISK_BYTES=n     the files in the directory DISK_DIR have room for n bytes: a write beyond that is cut short,
 *                  and the next one fails with ENOSPC
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
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

/* What is left of DISK_BYTES; -1 where there is no such limit. */
static long long left(void)
{
    const char *limit = getenv("DISK_BYTES"), *name = getenv("DISK_DIR");
    DIR *directory = limit && name ? opendir(name) : NULL;
    long long bytes = limit ? atoll(limit) : 0;

    if (!directory)
        return -1;
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct stat found;
        if (fstatat(dirfd(directory), entry->d_name, &found, 0) == 0 && S_ISREG(found.st_mode))
            bytes -= found.st_size;
    }
    closedir(directory);
    return bytes > 0 ? bytes : 0;
}

/* How many of `length` bytes may be written at `offset`. */
static size_t fitting(int handle, size_t length, long long offset)
{
    struct stat file;
    long long growth, room;

    if (fstat(handle, &file) || !S_ISREG(file.st_mode))
        return length;
    growth = offset + (long long)length - file.st_size;
    if (growth <= 0 || (room = left()) < 0 || growth <= room)
        return length;
    return (long long)length > growth - room ? length - (size_t)(growth - room) : 0;
}

static ssize_t write_what_fits(const char *name, int handle, const void *data, size_t length, off64_t offset)
{
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, name);
    size_t fits = fitting(handle, length, offset);

    if (length && !fits) {
        errno = ENOSPC;
        return -1;
    }
    return real(handle, data, fits, offset);
}

ssize_t pwrite(int handle, const void *data, size_t length, off_t offset)
{
    return write_what_fits("pwrite64", handle, data, length, offset);
}

ssize_t pwrite64(int handle, const void *data, size_t length, off64_t offset)
{
    return write_what_fits("pwrite64", handle, data, length, offset);
}

static int allocate_if_it_fits(int handle, off64_t offset, off64_t length)
{
    int (*real)(int, off64_t, off64_t) = (int (*)(int, off64_t, off64_t))dlsym(RTLD_NEXT, "posix_fallocate64");

    return fitting(handle, (size_t)length, offset) < (size_t)length ? ENOSPC : real(handle, offset, length);
}

int posix_fallocate(int handle, off_t offset, off_t length)
{
    return allocate_if_it_fits(handle, offset, length);
}

int posix_fallocate64(int handle, off64_t offset, off64_t length)
{
    return allocate_if_it_fits(handle, offset, length);
}

int statvfs64(const char *path, struct statvfs64 *found)
{
    int (*real)(const char *, struct statvfs64 *) =
        (int (*)(const char *, struct statvfs64 *))dlsym(RTLD_NEXT, "statvfs64");
    int failed = real(path, found);
    long long room = failed ? -1 : left();

    if (room >= 0)
        found->f_bfree = found->f_bavail = (fsblkcnt64_t)room / found->f_frsize;
    return failed;
}

int statvfs(const char *path, struct statvfs *found)
{
    int (*real)(const char *, struct statvfs *) = (int (*)(const char *, struct statvfs *))dlsym(RTLD_NEXT, "statvfs");
    int failed = real(path, found);
    long long room = failed ? -1 : left();

    if (room >= 0)
        found->f_bfree = found->f_bavail = (fsblkcnt_t)room / found->f_frsize;
    return failed;
}
