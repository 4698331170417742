/* A file system for power cuts: what was written and not synced is gone after one.

   usage: powercut DURABLE MOUNT COUNTS

   One flat folder. Every file is kept twice: as it was last synced, in the folder DURABLE, and
   as it stands now, in memory. fsync and fdatasync copy the pages that changed. SIGUSR1 is a power
   cut: what stands in memory is forgotten. In every second cut each page that was not synced
   reaches the disk all the same with a chance of one half, as the order in which a disk writes
   is its own. COUNTS grows by one byte for each cut.
*/
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define MOST_FILES 64

struct file {
    char name[256];
    char *data;
    unsigned char *dirty; /* one for each page */
    size_t size, room;
    int resized;
};

static struct file files[MOST_FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *durable, *counts;
static unsigned cuts;

static int backing(const char *name, int flags)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", durable, name);
    return open(path, flags, 0644);
}

static struct file *find(const char *path)
{
    for (int i = 0; i < MOST_FILES; i++)
        if (files[i].name[0] && !strcmp(files[i].name, path + 1))
            return &files[i];
    return NULL;
}

static struct file *add(const char *name)
{
    for (int i = 0; i < MOST_FILES; i++)
        if (!files[i].name[0]) {
            memset(&files[i], 0, sizeof files[i]);
            snprintf(files[i].name, sizeof files[i].name, "%s", name);
            return &files[i];
        }
    return NULL;
}

static void forget(struct file *f)
{
    free(f->data);
    free(f->dirty);
    memset(f, 0, sizeof *f);
}

static void grow(struct file *f, size_t size)
{
    if (size > f->room) {
        size_t room = (size * 2 + PAGE - 1) / PAGE * PAGE;
        f->data = realloc(f->data, room);
        f->dirty = realloc(f->dirty, room / PAGE);
        memset(f->data + f->room, 0, room - f->room);
        memset(f->dirty + f->room / PAGE, 0, (room - f->room) / PAGE);
        f->room = room;
    }
    if (size > f->size)
        f->size = size;
}

static int store(struct file *f, int by_chance)
{
    int fd = backing(f->name, O_RDWR | O_CREAT);
    if (fd < 0)
        return -errno;
    for (size_t page = 0; page * PAGE < f->size; page++) {
        size_t at = page * PAGE, length = f->size - at < PAGE ? f->size - at : PAGE;
        if (!f->dirty[page] || (by_chance && rand() % 2))
            continue;
        if (pwrite(fd, f->data + at, length, at) != (ssize_t)length) {
            close(fd);
            return -EIO;
        }
        f->dirty[page] = 0;
    }
    if (!by_chance && ftruncate(fd, f->size)) {
        close(fd);
        return -EIO;
    }
    f->resized = 0;
    close(fd);
    return 0;
}

static void load(void)
{
    DIR *folder = opendir(durable);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        struct file *f = add(entry->d_name);
        int fd = backing(entry->d_name, O_RDONLY);
        struct stat st;
        fstat(fd, &st);
        grow(f, st.st_size);
        if (pread(fd, f->data, st.st_size, 0) != st.st_size)
            abort();
        close(fd);
    }
    closedir(folder);
}

static void cut(void)
{
    int by_chance = cuts++ % 2;
    for (int i = 0; i < MOST_FILES; i++)
        if (files[i].name[0]) {
            if (by_chance)
                store(&files[i], 1);
            forget(&files[i]);
        }
    load();
    int fd = open(counts, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (write(fd, ".", 1) != 1)
        abort();
    close(fd);
}

static void *wait_for_cuts(void *set)
{
    for (int number;;) {
        sigwait(set, &number);
        pthread_mutex_lock(&lock);
        cut();
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

#define LOCKED(type, body)              \
    pthread_mutex_lock(&lock);          \
    type result = 0;                    \
    body pthread_mutex_unlock(&lock);   \
    return result;

static int do_getattr(const char *path, struct stat *st, struct fuse_file_info *info)
{
    (void)info;
    memset(st, 0, sizeof *st);
    st->st_uid = getuid();
    st->st_gid = getgid();
    if (!strcmp(path, "/")) {
        st->st_mode = S_IFDIR | 0755;
        st->st_nlink = 2;
        return 0;
    }
    LOCKED(int, {
        struct file *f = find(path);
        if (!f)
            result = -ENOENT;
        else {
            st->st_mode = S_IFREG | 0644;
            st->st_nlink = 1;
            st->st_size = f->size;
        }
    })
}

static int do_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
                      struct fuse_file_info *info, enum fuse_readdir_flags flags)
{
    (void)path, (void)offset, (void)info, (void)flags;
    fill(buffer, ".", NULL, 0, 0);
    fill(buffer, "..", NULL, 0, 0);
    LOCKED(int, {
        for (int i = 0; i < MOST_FILES; i++)
            if (files[i].name[0])
                fill(buffer, files[i].name, NULL, 0, 0);
    })
}

static int do_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
    (void)mode, (void)info;
    LOCKED(int, {
        if (strchr(path + 1, '/'))
            result = -EPERM;
        else if (!find(path) && !add(path + 1))
            result = -ENFILE;
    })
}

static int do_open(const char *path, struct fuse_file_info *info)
{
    LOCKED(int, {
        struct file *f = find(path);
        if (!f)
            result = -ENOENT;
        else if (info->flags & O_TRUNC)
            f->size = 0;
    })
}

static int do_read(const char *path, char *to, size_t size, off_t at, struct fuse_file_info *info)
{
    (void)info;
    LOCKED(int, {
        struct file *f = find(path);
        if (!f)
            result = -EIO;
        else if ((size_t)at < f->size) {
            result = f->size - at < size ? f->size - at : size;
            memcpy(to, f->data + at, result);
        }
    })
}

static int do_write(const char *path, const char *from, size_t size, off_t at,
                    struct fuse_file_info *info)
{
    (void)info;
    LOCKED(int, {
        struct file *f = find(path);
        if (!f)
            result = -EIO;
        else {
            grow(f, at + size);
            memcpy(f->data + at, from, size);
            memset(f->dirty + at / PAGE, 1, (at + size - 1) / PAGE - at / PAGE + 1);
            result = size;
        }
    })
}

static int do_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
    (void)info;
    LOCKED(int, {
        struct file *f = find(path);
        if (!f)
            result = -ENOENT;
        else {
            grow(f, size);
            memset(f->data + size, 0, f->room - size);
            f->size = size;
        }
    })
}

static int do_fsync(const char *path, int data_only, struct fuse_file_info *info)
{
    (void)data_only, (void)info;
    LOCKED(int, {
        struct file *f = find(path);
        result = f ? store(f, 0) : -EIO;
    })
}

static int do_fsyncdir(const char *path, int data_only, struct fuse_file_info *info)
{
    (void)path, (void)data_only, (void)info;
    return 0;
}

static int do_unlink(const char *path)
{
    LOCKED(int, {
        struct file *f = find(path);
        char name[4096];
        if (!f)
            result = -ENOENT;
        else {
            snprintf(name, sizeof name, "%s%s", durable, path);
            unlink(name);
            forget(f);
        }
    })
}

static int do_rename(const char *from, const char *to, unsigned flags)
{
    (void)flags;
    LOCKED(int, {
        struct file *f = find(from);
        struct file *old = find(to);
        char before[4096];
        char after[4096];
        if (!f)
            result = -ENOENT;
        else {
            if (old)
                forget(old);
            snprintf(before, sizeof before, "%s%s", durable, from);
            snprintf(after, sizeof after, "%s%s", durable, to);
            if (rename(before, after) && errno == ENOENT)
                unlink(after);
            snprintf(f->name, sizeof f->name, "%s", to + 1);
        }
    })
}

static void *do_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
    static sigset_t set;
    static pthread_t thread;
    (void)connection;
    config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_create(&thread, NULL, wait_for_cuts, &set);
    return NULL;
}

static const struct fuse_operations operations = {
    .init = do_init,
    .getattr = do_getattr,
    .readdir = do_readdir,
    .create = do_create,
    .open = do_open,
    .read = do_read,
    .write = do_write,
    .truncate = do_truncate,
    .fsync = do_fsync,
    .fsyncdir = do_fsyncdir,
    .unlink = do_unlink,
    .rename = do_rename,
};

int main(int count, char **values)
{
    sigset_t set;
    if (count != 4)
        return 2;
    durable = values[1];
    counts = values[3];
    srand(time(NULL));
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    load();
    char *options[] = {values[0], values[2], "-f", "-s"};
    return fuse_main(4, options, &operations, NULL);
}
