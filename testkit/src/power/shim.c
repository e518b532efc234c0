/* Notes what a process changes below one folder, so that what was never synced can be taken back.
 *
 * Preloaded into the process under test. Before every change one record goes to a journal outside of the
 * folder: what was there before, and how long the file was. fsync and fdatasync leave a record that names
 * the point up to which their file (or folder) is safe. The journal is a plain file, so it outlives SIGKILL;
 * its reader is replay.rs, which knows the same layout.
 *
 *   SO_POWER_FOLDER   the folder that is watched, absolute and without links
 *   SO_POWER_JOURNAL  the journal; what is unlinked is kept beside it as hard links, so it must lie on the
 *                     same file system
 *   SO_POWER_CUT_AT   dies by SIGKILL before the n-th write or sync below the folder
 *   SO_POWER_FULL     while a file of this name exists, no write below the folder finds space, except to
 *                     files named *.spill
 *
 * Files named *-shm are not watched: SQLite's wal index is shared memory and is made anew after a cut.
 * Not seen: memory maps, raw system calls, and opening without the C library. Nothing that the store or the
 * engine writes goes these ways.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, TRUNCATE, CREATE, UNLINK, RENAME, SYNC };

/* Followed by the name and then the bytes. Native byte order: the reader runs on the same machine. */
struct record { uint32_t kind, name; uint64_t file, folder, offset, size, length, bytes; };

#define NEXT(name) ({ static __typeof__(&name) next; \
    next = next ? next : (__typeof__(&name))dlsym(RTLD_NEXT, #name); next; })
#define LOCKED(type, work) ({ pthread_mutex_lock(&lock); type result = (work); \
    int kept = errno; pthread_mutex_unlock(&lock); errno = kept; result; })

/* Far from the numbers that shells give out. */
enum { JOURNAL_FD_MIN = 700 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder, *journal_name, *full_flag;
static size_t folder_length;
static long cut_at;
static int journal = -1;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("SO_POWER_FOLDER"), *count = getenv("SO_POWER_CUT_AT");
    journal_name = getenv("SO_POWER_JOURNAL");
    full_flag = getenv("SO_POWER_FULL");
    cut_at = count ? atol(count) : 0;
    if (!name || !journal_name) return;
    int first = NEXT(open)(journal_name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    journal = fcntl(first, F_DUPFD_CLOEXEC, JOURNAL_FD_MIN);
    NEXT(close)(first);
    /* A shim that cannot note anything would prove anything. */
    if (journal < 0) { fprintf(stderr, "power shim: cannot open its journal\n"); abort(); }
    folder = name;
    folder_length = strlen(name);
}

static int is_below(const char *path) {
    size_t length = strlen(path);
    if (!folder || strncmp(path, folder, folder_length)) return 0;
    if (path[folder_length] != '/' && path[folder_length] != 0) return 0;
    return length < 4 || strcmp(path + length - 4, "-shm");
}

static int is_watched(int fd, char *path, struct stat *file) {
    char link[40];
    if (!folder || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_below(path) && fstat(fd, file) == 0;
}

static void put(struct record head, const char *name, const void *bytes) {
    head.name = name ? (uint32_t)strlen(name) : 0;
    struct iovec parts[] = {{&head, sizeof head}, {(void *)name, head.name}, {(void *)bytes, head.bytes}};
    size_t total = sizeof head + head.name + head.bytes;
    if (NEXT(writev)(journal, parts, 3) != (ssize_t)total) abort();
}

/* The bytes from `offset` to at most `end`; whoever calls frees them. */
static char *old_bytes(int fd, off_t offset, off_t end, uint64_t *got) {
    *got = 0;
    if (end <= offset) return NULL;
    char *bytes = malloc((size_t)(end - offset)), link[40];
    int is_blind = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY, from = fd;
    /* Only for what was opened to write: closing a second descriptor of a file drops a process's locks. */
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (is_blind) from = NEXT(open)(link, O_RDONLY | O_CLOEXEC);
    ssize_t length = pread(from, bytes, (size_t)(end - offset), offset);
    if (is_blind) NEXT(close)(from);
    if (length != end - offset) abort();
    *got = (uint64_t)length;
    return bytes;
}

static void count(void) {
    if (cut_at && --cut_at == 0) { kill(getpid(), SIGKILL); for (;;) pause(); }
}

static int is_file(int fd) {
    char path[PATH_MAX]; struct stat file;
    return is_watched(fd, path, &file) && S_ISREG(file.st_mode);
}

/* Zero when the disk is played full. */
static int note_write(int fd, off_t offset, size_t size) {
    char path[PATH_MAX]; struct stat file; uint64_t got;
    if (!is_watched(fd, path, &file)) return 1;
    size_t length = strlen(path);
    int is_spill = length > 6 && !strcmp(path + length - 6, ".spill");
    if (full_flag && !is_spill && !access(full_flag, F_OK)) { errno = ENOSPC; return 0; }
    count();
    if (offset < 0) offset = fcntl(fd, F_GETFL) & O_APPEND ? file.st_size : lseek(fd, 0, SEEK_CUR);
    off_t end = offset + (off_t)size < file.st_size ? offset + (off_t)size : file.st_size;
    char *bytes = old_bytes(fd, offset, end, &got);
    put((struct record){WRITE, 0, file.st_ino, 0, offset, size, file.st_size, got}, NULL, bytes);
    free(bytes);
    return 1;
}

static void note_truncate(int fd, off_t size) {
    char path[PATH_MAX]; struct stat file; uint64_t got;
    if (!is_watched(fd, path, &file) || size == file.st_size) return;
    count();
    char *bytes = old_bytes(fd, size, file.st_size, &got);
    put((struct record){TRUNCATE, 0, file.st_ino, 0, size, 0, file.st_size, got}, NULL, bytes);
    free(bytes);
}

static size_t total(const struct iovec *parts, int count) {
    size_t size = 0;
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    return size;
}

/* Nothing but files of ours waits for the lock: a pipe may block for long. */
#define NOTED(note, call) (is_file(fd) ? LOCKED(ssize_t, (note) ? (call) : -1) : (call))

ssize_t write(int fd, const void *bytes, size_t size) {
    return NOTED(note_write(fd, -1, size), NEXT(write)(fd, bytes, size));
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    return NOTED(note_write(fd, -1, total(parts, count)), NEXT(writev)(fd, parts, count));
}
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
    return NOTED(note_write(fd, at, size), NEXT(pwrite)(fd, bytes, size, at));
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return NOTED(note_write(fd, at, total(parts, count)), NEXT(pwritev)(fd, parts, count, at));
}
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) { return pwrite(fd, bytes, size, at); }
ssize_t pwritev64(int fd, const struct iovec *p, int count, off64_t at) { return pwritev(fd, p, count, at); }

int ftruncate(int fd, off_t size) {
    return (int)NOTED((note_truncate(fd, size), 1), NEXT(ftruncate)(fd, size));
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }
int truncate(const char *path, off_t size) {
    int fd = NEXT(open)(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int result = ftruncate(fd, size);
    NEXT(close)(fd);
    return result;
}
int truncate64(const char *path, off64_t size) { return truncate(path, size); }

static int synced(int fd, int (*next)(int)) {
    char path[PATH_MAX]; struct stat file, log;
    if (!is_watched(fd, path, &file)) return next(fd);
    /* What is written while the sync is under way may not be part of it. */
    pthread_mutex_lock(&lock);
    count();
    fstat(journal, &log);
    pthread_mutex_unlock(&lock);
    int result = next(fd), kept = errno;
    pthread_mutex_lock(&lock);
    if (result == 0) put((struct record){SYNC, 0, file.st_ino, 0, log.st_size, 0, 0, 0}, NULL, NULL);
    pthread_mutex_unlock(&lock);
    errno = kept;
    return result;
}
int fsync(int fd) { return synced(fd, NEXT(fsync)); }
int fdatasync(int fd) { return synced(fd, NEXT(fdatasync)); }

/* An absolute path; the folder of `at` stands before a relative one. */
static int full_path(int at, const char *path, char *whole) {
    char base[PATH_MAX], link[40];
    if (path[0] == '/') return snprintf(whole, PATH_MAX, "%s", path) < PATH_MAX;
    if (at == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t length = readlink(link, base, sizeof base - 1);
    if (length <= 0) return 0;
    base[length] = 0;
    return snprintf(whole, PATH_MAX, "%s/%s", base, path) < PATH_MAX;
}

static uint64_t folder_of(const char *path) {
    char name[PATH_MAX]; struct stat found;
    snprintf(name, sizeof name, "%s", path);
    *strrchr(name, '/') = 0;
    return stat(name, &found) ? 0 : found.st_ino;
}

static int opened(int at, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX]; struct stat file;
    if (!folder || !(flags & (O_CREAT | O_TRUNC)) || !full_path(at, path, whole) || !is_below(whole))
        return NEXT(openat)(at, path, flags, mode);
    int was_there = stat(whole, &file) == 0;
    if (was_there && flags & O_TRUNC && truncate(whole, 0)) return -1;
    int fd = NEXT(openat)(at, path, flags, mode);
    if (fd < 0 || was_there) return fd;
    pthread_mutex_lock(&lock);
    fstat(fd, &file);
    put((struct record){CREATE, 0, file.st_ino, folder_of(whole), 0, 0, 0, 0}, whole, NULL);
    pthread_mutex_unlock(&lock);
    return fd;
}
#define MODE(flags) ({ mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { \
    va_list rest; va_start(rest, flags); mode = va_arg(rest, int); va_end(rest); } mode; })
int open(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, MODE(flags)); }
int open64(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, MODE(flags)); }
int openat(int at, const char *path, int flags, ...) { return opened(at, path, flags, MODE(flags)); }
int openat64(int at, const char *path, int flags, ...) { return opened(at, path, flags, MODE(flags)); }

/* Keeps what a name stood for as a link beside the journal. */
static const char *keep(const char *path, char *kept, struct stat *file) {
    static int number;
    if (lstat(path, file)) return NULL;
    snprintf(kept, PATH_MAX, "%s.kept.%d.%d", journal_name, getpid(), number++);
    if (link(path, kept)) abort();
    return kept;
}

static int unlinked(int at, const char *path, int flags) {
    char whole[PATH_MAX], kept[PATH_MAX]; struct stat file;
    if (flags & AT_REMOVEDIR || !full_path(at, path, whole) || !is_below(whole))
        return NEXT(unlinkat)(at, path, flags);
    pthread_mutex_lock(&lock);
    if (keep(whole, kept, &file))
        put((struct record){UNLINK, 0, file.st_ino, folder_of(whole), 0, 0, 0, strlen(kept)}, whole, kept);
    int result = NEXT(unlinkat)(at, path, flags), error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int unlink(const char *path) { return unlinked(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return unlinked(at, path, flags); }

static int renamed(int at, const char *from, int to_at, const char *to, unsigned flags) {
    char source[PATH_MAX], target[PATH_MAX], kept[PATH_MAX] = "", both[2 * PATH_MAX + 2];
    struct stat file, replaced;
    if (!full_path(at, from, source) || !full_path(to_at, to, target) || !is_below(source) || flags > 1
        || lstat(source, &file) || (flags && !lstat(target, &replaced)))
        return NEXT(renameat2)(at, from, to_at, to, flags);
    pthread_mutex_lock(&lock);
    keep(target, kept, &replaced);
    int length = snprintf(both, sizeof both, "%s%c%s", target, 0, kept);
    put((struct record){RENAME, 0, file.st_ino, folder_of(source), 0, 0, 0, length}, source, both);
    int result = NEXT(renameat2)(at, from, to_at, to, flags), error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int at, const char *from, int to_at, const char *to) { return renamed(at, from, to_at, to, 0); }
int renameat2(int at, const char *from, int to_at, const char *to, unsigned flags) {
    return renamed(at, from, to_at, to, flags);
}
