/*
 * hang.c - stops nginx's workers where a test wants them: preloaded, built with
 * -DDIR_='"folder"'.
 *
 *     DIR_/hang-write   as long as it is there, write() to an open segment waits
 *     DIR_/hang-look    so does closedir(), after a folder was listed
 *     DIR_/hung         grows by a byte with each write() that waits
 *     DIR_/looks        grows by a byte with each closedir()
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REAL(name)  ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

static void
grow(const char *file)
{
    int  fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);

    if (fd != -1) {
        (void) !REAL(write)(fd, ".", 1);
        close(fd);
    }
}

static void
hang(const char *file)
{
    while (access(file, F_OK) == 0) {
        usleep(1000);
    }
}

static int
is_open_segment(int fd)
{
    char     link[64], path[4096];
    ssize_t  n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path));

    return n > 12 && memcmp(path + n - 12, ".ndjson.open", 12) == 0;
}

ssize_t
write(int fd, const void *data, size_t len)
{
    if (access(DIR_ "/hang-write", F_OK) == 0 && is_open_segment(fd)) {
        grow(DIR_ "/hung");
        hang(DIR_ "/hang-write");
    }

    return REAL(write)(fd, data, len);
}

int
closedir(DIR *d)
{
    int  rc = REAL(closedir)(d);

    grow(DIR_ "/looks");
    hang(DIR_ "/hang-look");

    return rc;
}
