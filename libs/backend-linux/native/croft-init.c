/*
 * croft-init: one static binary, three roles.
 *
 * As the *shim* (host side, one for each container; root) it makes a private mount namespace, mounts the container's root
 * there, runs runc once, and then serves a unix socket: start a process, attach, signal, resize. It keeps what processes
 * write in log files of bounded size and how they ended in exit files, so whoever started it may die and come back.
 *
 * As *init* (process 1 of the container, chosen by the name garden-init) it forks the processes the shim asks for. Users,
 * working directories and tar streams are handled there, inside every restriction runc has set up; the host never enters
 * a container again after it was built. What init says is untrusted: the shim bounds-checks every message and takes
 * process ids only from the kernel (SCM_CREDENTIALS).
 *
 * As the *starter* (one for each daemon) it starts shims for a daemon whose own memory makes that slow.
 *
 * When init dies the shim records it and ends; when the shim dies init ends, and with it every process of the container.
 * All mounts live in the shim's namespace and vanish with it. Policy lives in TypeScript; nothing is decided here.
 *
 * Frames on the socket: u32 length of the rest, u8 type, payload; integers are little-endian. See src/shim/frames.ts.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif

#define MAX_FRAME (4u << 20)      /* of one frame from a client: a process's whole argv and environment */
#define MAX_CLIENTS 2048
#define MAX_PROCS 2048
#define OUT_HIGH (256u << 10)     /* bytes waiting for a client before we read no more on its behalf */
#define STDIN_HIGH (256u << 10)   /* bytes waiting for a process's standard input */
#define CHUNK 65536
#define OUTPUT_CHUNK (128u << 10)  /* of a stream: one write to its log, one frame */
#define CHUNKS_AT_ONCE 8
#define PIPE_BYTES (256 << 10)    /* asked for; a host that gives less is fine */
#define SOCKET_BYTES (1 << 20)
#define STALL_MS 30000            /* a lossless reader that takes nothing for this long becomes a lossy one */
#define MAX_LIMITS 32
#define INIT_FD 3
#define OOM_RECENT_MS 1500        /* whoever is killed this soon after the kernel wanted memory back was killed for it */

enum { KIND_EXEC = 0, KIND_TAR_IN = 1, KIND_TAR_OUT = 2 };
enum { F_STDIN = 1, F_STDOUT = 2, F_STDERR = 4, F_LOSSLESS = 8, F_TTY = 16, F_TAIL = 32 };
/* Error codes of an 'E' frame. */
enum { E_BAD = 1, E_NO_PROCESS = 2, E_IN_USE = 3, E_EXEC = 4, E_USER = 5, E_DIR = 6, E_LIMIT = 7, E_GONE = 8, E_SYSTEM = 9 };
/* Stages of a start, as init reports a failure. */
enum { ST_FORK = 1, ST_SETUP = 2, ST_USER = 3, ST_DIR = 4, ST_RLIMIT = 5, ST_EXEC = 6 };

/* shim -> init */
enum { TO_RUN = 1, TO_SIGNAL = 2 };
struct to_init { uint32_t type, slot; int32_t arg; uint32_t flags, kind; uint16_t cols, rows; uint32_t blob; };
/* init -> shim */
enum { FROM_HELLO = 1, FROM_TTY = 2, FROM_STARTED = 3, FROM_FAILED = 4, FROM_EXITED = 5 };
struct from_init { uint32_t type, slot; int32_t a, b; };

/* ---------------------------------------------------------------- small things */

static uint64_t now_ms(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int write_all(int fd, const void *data, size_t len) {
  const char *p = data;
  while (len > 0) {
    ssize_t n = write(fd, p, len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return -1;
    p += n, len -= (size_t)n;
  }
  return 0;
}

static int put_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  int rc = write_all(fd, text, strlen(text));
  int saved = errno;
  close(fd);
  errno = saved;
  return rc;
}

/* A reader over untrusted bytes: every take fails for good once something did not fit. */
struct cursor { const uint8_t *p, *end; int bad; };

static const uint8_t *take(struct cursor *c, size_t n) {
  if (c->bad || (size_t)(c->end - c->p) < n) { c->bad = 1; return NULL; }
  const uint8_t *at = c->p;
  c->p += n;
  return at;
}
static uint8_t take_u8(struct cursor *c) { const uint8_t *p = take(c, 1); return p ? *p : 0; }
static uint16_t take_u16(struct cursor *c) { uint16_t v = 0; const uint8_t *p = take(c, 2); if (p) memcpy(&v, p, 2); return v; }
static uint32_t take_u32(struct cursor *c) { uint32_t v = 0; const uint8_t *p = take(c, 4); if (p) memcpy(&v, p, 4); return v; }
static uint64_t take_u64(struct cursor *c) { uint64_t v = 0; const uint8_t *p = take(c, 8); if (p) memcpy(&v, p, 8); return v; }
/* u32 length, bytes without NUL, one NUL (counted): a C string in place. */
static const char *take_str(struct cursor *c) {
  uint32_t n = take_u32(c);
  if (n == 0) { c->bad = 1; return NULL; }
  const uint8_t *p = take(c, n);
  if (p == NULL) return NULL;
  if (p[n - 1] != 0 || memchr(p, 0, n - 1) != NULL) { c->bad = 1; return NULL; }
  return (const char *)p;
}

static int set_nonblock(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

struct buffer { uint8_t *data; size_t start, len, cap; };

static int buffer_add(struct buffer *b, const void *data, size_t n) {
  if (b->start + b->len + n > b->cap) {
    if (b->start > 0) memmove(b->data, b->data + b->start, b->len), b->start = 0;
    if (b->len + n > b->cap) {
      size_t cap = b->cap ? b->cap : 4096;
      while (cap < b->len + n) cap *= 2;
      uint8_t *grown = realloc(b->data, cap);
      if (grown == NULL) return -1;
      b->data = grown, b->cap = cap;
    }
  }
  memcpy(b->data + b->start + b->len, data, n);
  b->len += n;
  return 0;
}
static void buffer_drop(struct buffer *b, size_t n) {
  b->start += n, b->len -= n;
  if (b->len == 0) {
    b->start = 0;
    if (b->cap > 16u << 10) free(b->data), b->data = NULL, b->cap = 0;
  }
}

/* ---------------------------------------------------------------- init: tar
 * ustar with GNU long names and pax path, linkpath, size and extended attributes, both ways. Runs as the asked user inside
 * the container, so a hostile archive reaches only what that user reaches anyway; it may not climb out of where it is
 * unpacked either. Bytes and entries are counted against the limits it was started with. */

struct tar_header {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6], version[2];
  char uname[32], gname[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct tar_header) == 512, "a tar header is one block");

#define MAX_RECORD (1u << 20)     /* bytes of a long name or of one entry's pax records */
#define ATTRIBUTE_BYTES 65536     /* the kernel keeps no longer value, and no longer list of names */
#define ATTRIBUTE_KEY "SCHILY.xattr."

static struct { uint64_t bytes, entries, max_bytes, max_entries; } tar;

static void tar_fail(const char *what, const char *path) {
  dprintf(2, "%s%s%s: %s\n", what, path ? " " : "", path ? path : "", strerror(errno));
  _exit(2);
}
static void tar_bad(const char *why) {
  dprintf(2, "tar: %s\n", why);
  _exit(2);
}

static void tar_count(uint64_t entries, uint64_t bytes) {
  if ((tar.entries += entries) > tar.max_entries) {
    dprintf(2, "tar: more than %llu entries\n", (unsigned long long)tar.max_entries);
    _exit(3);
  }
  if (bytes > tar.max_bytes - tar.bytes) {
    dprintf(2, "tar: more than %llu bytes\n", (unsigned long long)tar.max_bytes);
    _exit(3);
  }
  tar.bytes += bytes;
}

/* Attributes that travel: those of users, and what a program may do when it is started. */
static int is_kept_attribute(const char *name) {
  return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0;
}

/* Reads exactly n bytes; 0 at a clean end before the first byte. */
static int read_full(int fd, void *data, size_t n) {
  char *p = data;
  size_t got = 0;
  while (got < n) {
    ssize_t r = read(fd, p + got, n - got);
    if (r < 0 && errno == EINTR) continue;
    if (r < 0) tar_fail("read", NULL);
    if (r == 0) {
      if (got == 0) return 0;
      tar_bad("unexpected end of archive");
    }
    got += (size_t)r;
  }
  return 1;
}

static void read_all(int fd, void *data, size_t n) {
  if (n > 0 && !read_full(fd, data, n)) tar_bad("unexpected end of archive");
}

static uint64_t tar_number(const char *field, size_t n) {
  uint64_t v = 0;
  if ((uint8_t)field[0] & 0x80) {
    for (size_t i = 1; i < n; i++) v = v << 8 | (uint8_t)field[i];
    return v;
  }
  for (size_t i = 0; i < n && field[i]; i++) {
    if (field[i] == ' ') continue;
    if (field[i] < '0' || field[i] > '7') tar_bad("bad number in a header");
    v = v << 3 | (uint64_t)(field[i] - '0');
  }
  return v;
}

/* A decimal number that `stop` follows; moves past both. */
static uint64_t decimal(char **at, char stop) {
  uint64_t v = 0;
  char *p = *at;
  if (*p < '0' || *p > '9') tar_bad("bad pax record");
  for (; *p >= '0' && *p <= '9'; p++) {
    if (v > (UINT64_MAX - 9) / 10) tar_bad("bad pax record");
    v = v * 10 + (uint64_t)(*p - '0');
  }
  if (*p != stop) tar_bad("bad pax record");
  *at = p + 1;
  return v;
}

/* Makes the parents of a path; those that exist are left alone. */
static void make_parents(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (mkdir(path, 0777) < 0 && errno != EEXIST) tar_fail("mkdir", path);
    *slash = '/';
  }
}

static void remove_old(const char *path) {
  if (unlink(path) < 0 && errno != ENOENT) tar_fail("unlink", path);
}

static char *tar_text(int fd, uint64_t size) {
  if (size > MAX_RECORD) tar_bad("a header record is too long");
  char *text = calloc(1, (size_t)((size + 511) / 512 * 512) + 1);
  if (text == NULL) tar_fail("memory", NULL);
  read_all(fd, text, (size_t)((size + 511) / 512 * 512));
  text[size] = 0;
  return text;
}

/* What comes before an entry and belongs to it. */
struct tar_extra {
  char *path, *link, *records;       /* owned; attributes lie in records */
  uint64_t size, records_size;
  int has_size, has_attributes;
};

static void extra_free(struct tar_extra *e) {
  free(e->path), free(e->link), free(e->records);
  memset(e, 0, sizeof *e);
}

/* The next of the pax records `LEN key=value\n`: its key, NUL-terminated in place, and its value. 0 at the end. */
static int pax_next(char **at, char *end, char **key, char **value, size_t *n) {
  if (*at >= end) return 0;
  char *start = *at, *p = start;
  uint64_t len = decimal(&p, ' ');
  if (len > (uint64_t)(end - start) || p >= start + len || start[len - 1] != '\n') tar_bad("bad pax record");
  char *equals = memchr(p, '=', (size_t)(start + len - p));
  if (equals == NULL) tar_bad("bad pax record");
  *equals = 0;
  *key = p, *value = equals + 1, *n = (size_t)(start + len - 1 - *value);
  *at = start + len;
  return 1;
}

static void pax_read(struct tar_extra *e, char *text, uint64_t size) {
  char *copy = malloc((size_t)size + 1), *key, *value;
  if (copy == NULL) tar_fail("memory", NULL);
  memcpy(copy, text, (size_t)size + 1); /* kept as it came: the attributes are read when their file is there */
  free(e->records);
  e->records = copy, e->records_size = size;
  for (char *at = text; pax_next(&at, text + size, &key, &value, &(size_t){0});) {
    at[-1] = 0;
    if (strcmp(key, "path") == 0) free(e->path), e->path = strdup(value);
    else if (strcmp(key, "linkpath") == 0) free(e->link), e->link = strdup(value);
    else if (strcmp(key, "size") == 0) e->size = decimal(&value, 0), e->has_size = 1;
    else if (strncmp(key, "GNU.sparse.", 11) == 0) tar_bad("sparse files are not supported");
    else if (strncmp(key, ATTRIBUTE_KEY, strlen(ATTRIBUTE_KEY)) == 0) e->has_attributes = 1;
  }
}

/* Sets the attributes of an entry. One that this user may not set, or this file system not keep, is left out, as tar does. */
static void set_attributes(const struct tar_extra *e, const char *path, int fd) {
  char *at = e->records, *key, *value;
  size_t n;
  while (e->has_attributes && pax_next(&at, e->records + e->records_size, &key, &value, &n)) {
    const char *name = key + strlen(ATTRIBUTE_KEY);
    if (strncmp(key, ATTRIBUTE_KEY, strlen(ATTRIBUTE_KEY)) != 0 || !is_kept_attribute(name)) continue;
    int rc = fd >= 0 ? fsetxattr(fd, name, value, n, 0) : setxattr(path, name, value, n, 0);
    if (rc < 0 && errno != ENOTSUP && errno != EPERM) tar_fail("attribute of", path);
  }
}

/* Whether a path from an archive would climb out of where it is unpacked. */
static int climbs(const char *path) {
  for (const char *p = path; *p; p += *p == '/') {
    const char *end = strchrnul(p, '/');
    if (end - p == 2 && p[0] == '.' && p[1] == '.') return 1;
    p = end;
  }
  return 0;
}

static char tar_buffer[CHUNK];

static void skip_padding(int in, uint64_t size) {
  read_all(in, tar_buffer, (size_t)((512 - size % 512) % 512));
}

static void extract_file(int in, char *path, uint64_t size, mode_t mode, time_t mtime, const struct tar_extra *e) {
  struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = mtime}};
  make_parents(path);
  remove_old(path);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, e->has_attributes ? 0600 : mode & 0777);
  if (fd < 0) tar_fail("open", path);
  for (uint64_t left = size; left > 0;) {
    size_t want = left < sizeof tar_buffer ? (size_t)left : sizeof tar_buffer;
    read_all(in, tar_buffer, want);
    if (write_all(fd, tar_buffer, want) < 0) tar_fail("write", path);
    left -= want;
  }
  set_attributes(e, path, fd); /* before the mode, which may forbid it, and after the contents, which would clear some */
  if ((mode & 07000 || e->has_attributes) && fchmod(fd, mode & ~022u) < 0) tar_fail("chmod", path);
  futimens(fd, times);
  if (close(fd) < 0) tar_fail("close", path);
  skip_padding(in, size);
}

static void extract_directory(char *path, mode_t mode, const struct tar_extra *e) {
  struct stat st;
  make_parents(path);
  if (mkdir(path, mode & 0777) < 0) {
    int why = errno;
    if (why != EEXIST || stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) errno = why, tar_fail("mkdir", path);
  }
  set_attributes(e, path, -1);
}

static void extract_link(char type, char *path, const char *target) {
  make_parents(path);
  if (type == '1') {
    while (*target == '/') target++;
    if (climbs(target)) tar_bad("a link leads out of where it is unpacked");
    struct stat old, new;
    if (lstat(path, &old) == 0 && lstat(target, &new) == 0 && old.st_dev == new.st_dev && old.st_ino == new.st_ino) return; /* a link to itself */
  }
  if (*target == 0) errno = EINVAL, tar_fail("link", path);
  remove_old(path);
  if ((type == '2' ? symlink(target, path) : linkat(AT_FDCWD, target, AT_FDCWD, path, 0)) < 0) tar_fail("link", path);
}

/* One entry whose header is read; takes what comes before it. */
static void extract_entry(int in, const struct tar_header *h, struct tar_extra *e) {
  char name[PATH_MAX], link[PATH_MAX], *path = name;
  uint64_t size = e->has_size ? e->size : tar_number(h->size, 12);
  int n, is_ustar = memcmp(h->magic, "ustar", 6) == 0;
  if (e->path) n = snprintf(name, sizeof name, "%s", e->path);
  else if (is_ustar && h->prefix[0]) n = snprintf(name, sizeof name, "%.155s/%.100s", h->prefix, h->name);
  else n = snprintf(name, sizeof name, "%.100s", h->name);
  if (n < 0 || n >= (int)sizeof name) tar_bad("a path is too long");
  n = e->link ? snprintf(link, sizeof link, "%s", e->link) : snprintf(link, sizeof link, "%.100s", h->link);
  if (n < 0 || n >= (int)sizeof link) tar_bad("a link is too long");
  while (*path == '/') path++;
  if (climbs(path)) tar_bad("a path leads out of where it is unpacked");
  size_t len = strlen(path);
  while (len > 0 && path[len - 1] == '/') path[--len] = 0;
  mode_t mode = (mode_t)tar_number(h->mode, 8) & 07777;
  char type = h->type == 0 || h->type == '7' ? '0' : h->type;
  tar_count(1, type == '0' ? size : 0);
  int is_here = len == 0 || strcmp(path, ".") == 0;
  switch (type) {
    case '0':
      if (is_here) tar_bad("a file without a name");
      extract_file(in, path, size, mode, (time_t)tar_number(h->mtime, 12), e);
      return;
    case '5':
      if (!is_here) extract_directory(path, mode, e);
      return;
    case '1': case '2':
      if (is_here) tar_bad("a link without a name");
      extract_link(type, path, link);
      return;
    case '6':
      if (is_here) tar_bad("a pipe without a name");
      make_parents(path);
      remove_old(path);
      if (mkfifo(path, mode & 0777) < 0) tar_fail("mkfifo", path);
      return;
    case '3': case '4': tar_bad("device nodes are not allowed"); break;
    case 'S': tar_bad("sparse files are not supported"); break;
    default: tar_bad("an entry of unknown type");
  }
}

static void tar_extract(int in) {
  struct tar_header h;
  struct tar_extra extra = {0};
  static const struct tar_header end;
  for (int is_first = 1;; is_first = 0) {
    if (!read_full(in, &h, sizeof h)) {
      if (is_first) _exit(0);
      tar_bad("unexpected end of archive");
    }
    if (memcmp(&h, &end, sizeof h) == 0) break;
    unsigned sum = 0;
    for (size_t i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? ' ' : ((uint8_t *)&h)[i];
    if (tar_number(h.sum, 8) != sum) tar_bad("this does not look like a tar archive");
    if (h.type == 'L' || h.type == 'K' || h.type == 'x' || h.type == 'g') {
      uint64_t size = tar_number(h.size, 12);
      char *text = tar_text(in, size), **name = h.type == 'L' ? &extra.path : &extra.link;
      tar_count(0, size);
      if (h.type == 'x') pax_read(&extra, text, size);
      if (h.type == 'x' || h.type == 'g') free(text);
      else free(*name), *name = text;
      continue;
    }
    extract_entry(in, &h, &extra);
    extra_free(&extra);
  }
  for (ssize_t n; (n = read(in, tar_buffer, sizeof tar_buffer)) > 0; tar.bytes += (uint64_t)n) /* padding after the end marks */
    if ((uint64_t)n > tar.max_bytes - tar.bytes) tar_bad("the archive does not end");
  _exit(0);
}

static void octal(char *field, size_t n, uint64_t v) {
  if (v >> (3 * (n - 1))) {
    memset(field, 0, n);
    for (size_t i = n; i-- > 1; v >>= 8) field[i] = (char)(v & 0xff);
    field[0] = (char)0x80;
    return;
  }
  snprintf(field, n, "%0*llo", (int)n - 1, (unsigned long long)v);
}

static void tar_block(const char *name, const char *link, char type, const struct stat *st, uint64_t size) {
  struct tar_header h;
  memset(&h, 0, sizeof h);
  memcpy(h.name, name, strnlen(name, sizeof h.name));
  memcpy(h.link, link, strnlen(link, sizeof h.link));
  octal(h.mode, 8, st->st_mode & 07777);
  octal(h.uid, 8, st->st_uid);
  octal(h.gid, 8, st->st_gid);
  octal(h.size, 12, size);
  octal(h.mtime, 12, st->st_mtim.tv_sec < 0 ? 0 : (uint64_t)st->st_mtim.tv_sec);
  h.type = type;
  memcpy(h.magic, "ustar", 6);
  memcpy(h.version, "00", 2);
  memset(h.sum, ' ', 8);
  unsigned sum = 0;
  for (size_t i = 0; i < 512; i++) sum += ((uint8_t *)&h)[i];
  snprintf(h.sum, 8, "%06o", sum);
  if (write_all(1, &h, 512) < 0) _exit(2);
}

static void write_padding(uint64_t size) {
  static const char zeros[512];
  if (write_all(1, zeros, (512 - size % 512) % 512) < 0) _exit(2);
}

static void pax_add(struct buffer *out, const char *key, const void *value, size_t n) {
  char head[320];
  size_t body = strlen(key) + n + 3, digits = 1;
  while (snprintf(NULL, 0, "%zu", body + digits) > (int)digits) digits++;
  int k = snprintf(head, sizeof head, "%zu %s=", body + digits, key);
  if (buffer_add(out, head, (size_t)k) < 0 || buffer_add(out, value, n) < 0 || buffer_add(out, "\n", 1) < 0) tar_fail("memory", NULL);
}

static void pax_add_attributes(struct buffer *out, int fd) {
  static char names[ATTRIBUTE_BYTES], value[ATTRIBUTE_BYTES];
  char key[256 + sizeof ATTRIBUTE_KEY];
  ssize_t n = flistxattr(fd, names, sizeof names);
  for (char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
    ssize_t size = is_kept_attribute(name) ? fgetxattr(fd, name, value, sizeof value) : -1;
    if (size < 0) continue;
    snprintf(key, sizeof key, "%s%.255s", ATTRIBUTE_KEY, name);
    pax_add(out, key, value, (size_t)size);
  }
}

/* The header of an entry, after records of what does not fit into it; fd tells its attributes, or is -1. */
static void tar_entry(const char *name, const char *link, char type, const struct stat *st, uint64_t size, int fd) {
  static struct buffer records;
  struct stat plain = {.st_mode = 0644};
  tar_count(1, size);
  if (strlen(name) > 100) pax_add(&records, "path", name, strlen(name));
  if (strlen(link) > 100) pax_add(&records, "linkpath", link, strlen(link));
  if (fd >= 0) pax_add_attributes(&records, fd);
  if (records.len > 0) {
    tar_block("././@PaxHeader", "", 'x', &plain, records.len);
    if (write_all(1, records.data + records.start, records.len) < 0) _exit(2);
    write_padding(records.len);
    buffer_drop(&records, records.len);
  }
  tar_block(name, link, type, st, size);
}

static char tar_name[PATH_MAX]; /* of the entry that is being added */

static void tar_add(int at, const char *base);

static void add_file(int at, const char *base) {
  struct stat st;
  int fd = openat(at, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) tar_fail("open", tar_name);
  uint64_t size = (uint64_t)st.st_size;
  tar_entry(tar_name, "", '0', &st, size, fd);
  for (uint64_t left = size; left > 0;) {
    ssize_t n = read(fd, tar_buffer, left < sizeof tar_buffer ? (size_t)left : sizeof tar_buffer);
    if (n < 0) tar_fail("read", tar_name);
    if (n == 0) { errno = EIO; tar_fail("file shrank", tar_name); }
    if (write_all(1, tar_buffer, (size_t)n) < 0) _exit(2);
    left -= (uint64_t)n;
  }
  close(fd);
  write_padding(size);
}

static void add_directory(int at, const char *base, const struct stat *st) {
  size_t len = strlen(tar_name);
  int fd = openat(at, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (dir == NULL) tar_fail("open", tar_name);
  if (len + 2 > sizeof tar_name) tar_bad("a path is too long");
  strcpy(tar_name + len, "/");
  tar_entry(tar_name, "", '5', st, 0, fd);
  for (struct dirent *e; (e = readdir(dir)) != NULL;) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    int n = snprintf(tar_name + len, sizeof tar_name - len, "/%s", e->d_name);
    if (n < 0 || n >= (int)(sizeof tar_name - len)) tar_bad("a path is too long");
    tar_add(dirfd(dir), e->d_name);
  }
  tar_name[len] = 0;
  closedir(dir);
}

/* Adds what `at/base` is, as tar_name; directories with all that lies in them. Never follows a link. */
static void tar_add(int at, const char *base) {
  static char target[PATH_MAX];
  struct stat st;
  if (fstatat(at, base, &st, AT_SYMLINK_NOFOLLOW) < 0) tar_fail("stat", tar_name);
  if (S_ISDIR(st.st_mode)) add_directory(at, base, &st);
  else if (S_ISREG(st.st_mode)) add_file(at, base);
  else if (S_ISFIFO(st.st_mode)) tar_entry(tar_name, "", '6', &st, 0, -1);
  else if (S_ISLNK(st.st_mode)) {
    ssize_t n = readlinkat(at, base, target, sizeof target - 1);
    if (n < 0) tar_fail("readlink", tar_name);
    target[n] = 0;
    tar_entry(tar_name, target, '2', &st, 0, -1);
  } /* sockets and devices carry nothing */
}

static void tar_create(const char *path) {
  char copy[PATH_MAX];
  size_t n = strlen(path);
  if (n == 0 || n >= sizeof copy) tar_bad("bad path");
  memcpy(copy, path, n + 1);
  int is_inner = copy[n - 1] == '/';
  while (n > 1 && copy[n - 1] == '/') copy[--n] = 0;
  char *slash = strrchr(copy, '/'), *base = slash ? slash + 1 : copy;
  if (is_inner || strcmp(base, ".") == 0 || strcmp(base, "..") == 0) {
    if (chdir(copy) < 0) tar_fail("chdir", path);
    base = strcpy(copy, ".");
  } else if (slash != NULL) {
    *slash = 0;
    if (chdir(slash == copy ? "/" : copy) < 0) tar_fail("chdir", path);
  }
  snprintf(tar_name, sizeof tar_name, "%s", base);
  tar_add(AT_FDCWD, base);
  static const char end[1024];
  _exit(write_all(1, end, sizeof end) < 0 ? 2 : 0);
}

/* Unpacks standard input here, or packs a path to standard output. Never returns. */
static void tar_main(int kind, const char *path, const char *max_bytes, const char *max_entries) {
  tar.max_bytes = strtoull(max_bytes, NULL, 10);
  tar.max_entries = strtoull(max_entries, NULL, 10);
  if (kind == KIND_TAR_IN) tar_extract(0);
  tar_create(path);
}

/* ---------------------------------------------------------------- init: users, directories, exec */

struct identity { uid_t uid; gid_t gid; gid_t groups[64]; int ngroups; char name[64], home[PATH_MAX]; };

/* A small file of the container, read without trusting it to be one. */
static char *read_small(const char *path) {
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  struct stat st;
  if (fd < 0) return NULL;
  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > 4 << 20) { close(fd); return NULL; }
  char *text = calloc(1, (size_t)st.st_size + 1);
  size_t got = 0;
  while (text && got < (size_t)st.st_size) {
    ssize_t n = read(fd, text + got, (size_t)st.st_size - got);
    if (n <= 0) break;
    got += (size_t)n;
  }
  close(fd);
  return text;
}

static int is_number(const char *s, uint32_t *v) {
  if (*s == 0) return 0;
  uint64_t n = 0;
  for (; *s; s++) {
    if (*s < '0' || *s > '9' || n > UINT32_MAX) return 0;
    n = n * 10 + (uint64_t)(*s - '0');
  }
  if (n >= UINT32_MAX) return 0;
  *v = (uint32_t)n;
  return 1;
}

/* Splits a line of passwd or group in place; the number of fields. */
static int split(char *line, char **field, int max) {
  int n = 0;
  for (char *p = line; n < max;) {
    field[n++] = p;
    p = strchr(p, ':');
    if (p == NULL) break;
    *p++ = 0;
  }
  return n;
}

static void add_group(struct identity *who, gid_t gid) {
  for (int i = 0; i < who->ngroups; i++) if (who->groups[i] == gid) return;
  if (who->ngroups < 64) who->groups[who->ngroups++] = gid;
}

/* `name`, `uid`, `uid:gid`, `name:group`; 0, or -1 when there is no such user or group. */
static int look_up(const char *user, struct identity *who) {
  char want[256];
  uint32_t number = 0;
  memset(who, 0, sizeof *who);
  strcpy(who->home, "/");
  if (*user == 0) user = "root";
  if (strlen(user) >= sizeof want) return -1;
  strcpy(want, user);
  char *group = strchr(want, ':');
  if (group) *group++ = 0;
  int numeric = is_number(want, &number), found = 0, explicit_group = 0;
  char *text = read_small("/etc/passwd"), *save = NULL, *f[7];
  for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
    uint32_t uid, gid;
    if (split(line, f, 7) < 6 || !is_number(f[2], &uid) || !is_number(f[3], &gid)) continue;
    if (strcmp(f[0], want) != 0 && !(numeric && uid == number)) continue;
    who->uid = uid, who->gid = gid, found = 1;
    snprintf(who->name, sizeof who->name, "%s", f[0]);
    if (f[5][0] == '/') snprintf(who->home, sizeof who->home, "%s", f[5]);
    break;
  }
  free(text);
  if (!found && numeric) who->uid = number, snprintf(who->name, sizeof who->name, "%u", number);
  else if (!found && strcmp(want, "root") == 0) strcpy(who->name, "root"), strcpy(who->home, "/root"); /* a root without passwd */
  else if (!found) return -1;
  if (group && is_number(group, &number)) who->gid = number, explicit_group = 1;
  text = read_small("/etc/group");
  for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
    uint32_t gid;
    int n = split(line, f, 4);
    if (n < 3 || !is_number(f[2], &gid)) continue;
    if (group && !explicit_group && strcmp(f[0], group) == 0) who->gid = gid, explicit_group = 1;
    if (n == 4 && !group) {
      char *inner = NULL;
      for (char *m = strtok_r(f[3], ",", &inner); m; m = strtok_r(NULL, ",", &inner))
        if (strcmp(m, who->name) == 0) add_group(who, gid);
    }
  }
  free(text);
  if (group && !explicit_group) return -1;
  if (found) add_group(who, who->gid); /* a number nobody knows has no groups */
  return 0;
}

/* Makes a directory and its missing parents, owned by the user. */
static int make_dir(const char *path, uid_t uid, gid_t gid) {
  char copy[PATH_MAX];
  struct stat st;
  size_t n = strlen(path);
  if (n == 0 || n >= sizeof copy) { errno = ENAMETOOLONG; return -1; }
  if (stat(path, &st) == 0) {
    if (S_ISDIR(st.st_mode)) return 0;
    errno = ENOTDIR;
    return -1;
  }
  memcpy(copy, path, n + 1);
  for (char *p = copy + 1;; p++) {
    if (*p != '/' && *p != 0) continue;
    char c = *p;
    *p = 0;
    if (mkdir(copy, 0755) == 0) {
      if (lchown(copy, uid, gid) < 0) return -1;
    } else if (errno != EEXIST) return -1;
    *p = c;
    if (c == 0) return 0;
  }
}

static void child_fail(int errfd, int stage) {
  int32_t message[2] = {stage, errno};
  write_all(errfd, message, sizeof message);
  _exit(127);
}

/* One message of the pair between shim and init, with descriptors. Init may block in it; the shim passes MSG_DONTWAIT. */
static int send_pair(int fd, const void *message, size_t len, const int *fds, int nfds, int flags) {
  union { char buf[CMSG_SPACE(4 * sizeof(int))]; struct cmsghdr align; } control;
  struct iovec iov = {.iov_base = (void *)(uintptr_t)message, .iov_len = len};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  if (nfds > 0) {
    memset(&control, 0, sizeof control);
    msg.msg_control = control.buf;
    msg.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN((size_t)nfds * sizeof(int));
    memcpy(CMSG_DATA(c), fds, (size_t)nfds * sizeof(int));
  }
  ssize_t n;
  do n = sendmsg(fd, &msg, MSG_NOSIGNAL | flags); while (n < 0 && errno == EINTR);
  return n == (ssize_t)len ? 0 : -1;
}

static const char *env_get(char **env, const char *key) {
  size_t n = strlen(key);
  for (; *env; env++) if (strncmp(*env, key, n) == 0 && (*env)[n] == '=') return *env + n + 1;
  return NULL;
}

static void find_and_exec(const char *path, char **argv, char **env) {
  if (strchr(path, '/') != NULL) {
    execve(path, argv, env);
    return;
  }
  const char *dirs = env_get(env, "PATH");
  int seen = ENOENT;
  for (const char *p = dirs; p && *p;) {
    const char *end = strchrnul(p, ':');
    char full[PATH_MAX];
    int n = end == p ? snprintf(full, sizeof full, "./%s", path) : snprintf(full, sizeof full, "%.*s/%s", (int)(end - p), p, path);
    if (n > 0 && n < (int)sizeof full) {
      execve(full, argv, env);
      if (errno != ENOENT && errno != ENOTDIR) seen = errno;
    }
    p = *end ? end + 1 : end;
  }
  errno = seen;
}

/* What to become; the strings lie where they came from. */
struct spec {
  const char *user, *dir;
  uint32_t nlimits, nargs, nenv;
  struct { uint8_t resource; uint64_t value; } limits[MAX_LIMITS];
  char **argv, **env; /* argv[0] is the path; env has room for three more */
};

/* count strings after the first `from` of a list that ends with NULL and has room for `more`; NULL with errno. */
static char **take_list(struct cursor *c, uint32_t from, uint32_t *count, uint32_t more) {
  *count = take_u32(c);
  if (c->bad || *count > (size_t)(c->end - c->p) / 5) { errno = EINVAL; return NULL; } /* each takes five bytes at least */
  char **list = calloc((size_t)from + *count + more + 1, sizeof *list);
  for (uint32_t i = 0; list && i < *count; i++) list[from + i] = (char *)(uintptr_t)take_str(c);
  if (list && !c->bad) return list;
  if (list) errno = EINVAL;
  free(list);
  return NULL;
}

static int take_spec(struct cursor *c, struct spec *s) {
  memset(s, 0, sizeof *s);
  s->user = take_str(c), s->dir = take_str(c);
  const char *path = take_str(c);
  s->nlimits = take_u32(c);
  if (s->nlimits > MAX_LIMITS) c->bad = 1;
  for (uint32_t i = 0; i < s->nlimits && !c->bad; i++) s->limits[i].resource = take_u8(c), s->limits[i].value = take_u64(c);
  s->argv = take_list(c, 1, &s->nargs, 0);
  if (s->argv == NULL) return -1;
  s->argv[0] = (char *)(uintptr_t)path;
  s->env = take_list(c, 0, &s->nenv, 3);
  return s->env == NULL ? -1 : 0;
}

/* The forked child: becomes the process, or says through errfd at which stage it failed. Never returns. */
static void become(const struct to_init *m, int *fds, int nfds, int errfd, int ctl) {
  struct from_init hello = {.type = FROM_HELLO, .slot = m->slot};
  int io[3] = {-1, -1, -1}, next = 1, master = -1;
  pid_t init = getppid();
  setsid();
  if (m->flags & F_TTY) {
    int unlock = 0;
    struct winsize size = {.ws_row = m->rows, .ws_col = m->cols};
    master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0) child_fail(errfd, ST_SETUP);
    if (m->cols && m->rows) ioctl(master, TIOCSWINSZ, &size);
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) < 0) child_fail(errfd, ST_SETUP);
    hello.type = FROM_TTY;
    if (send_pair(ctl, &hello, sizeof hello, &master, 1, 0) < 0) child_fail(errfd, ST_SETUP);
    close(master);
    io[0] = io[1] = io[2] = slave;
  } else {
    if (send_pair(ctl, &hello, sizeof hello, NULL, 0, 0) < 0) child_fail(errfd, ST_SETUP);
    if (m->flags & F_STDIN) io[0] = next < nfds ? fds[next++] : -1;
    else io[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (next + 1 < nfds) io[1] = fds[next], io[2] = fds[next + 1];
    if (io[0] < 0 || io[1] < 0 || io[2] < 0) child_fail(errfd, ST_SETUP);
  }
  uint8_t *blob = mmap(NULL, m->blob, PROT_READ, MAP_PRIVATE, fds[0], 0);
  if (blob == MAP_FAILED) child_fail(errfd, ST_SETUP);
  struct cursor c = {blob, blob + m->blob, 0};
  struct spec spec;
  if (take_spec(&c, &spec) < 0) child_fail(errfd, ST_SETUP);
  char **env = spec.env;
  const char *user = spec.user, *dir = spec.dir, *path = spec.argv[0];

  static struct identity who;
  if (look_up(user, &who) < 0) { errno = ENOENT; child_fail(errfd, ST_USER); }
  static char extra[3][PATH_MAX + 16];
  uint32_t n = spec.nenv;
  const char *default_path = who.uid == 0 ? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" : "/usr/local/bin:/usr/bin:/bin";
  if (!env_get(env, "PATH")) snprintf(extra[0], sizeof extra[0], "PATH=%s", default_path), env[n++] = extra[0];
  if (!env_get(env, "USER")) snprintf(extra[1], sizeof extra[1], "USER=%s", who.name), env[n++] = extra[1];
  if (!env_get(env, "HOME")) snprintf(extra[2], sizeof extra[2], "HOME=%s", who.home), env[n++] = extra[2];

  char target[PATH_MAX];
  if (m->kind == KIND_EXEC) snprintf(target, sizeof target, "%s", *dir ? dir : who.home);
  else if (path[0] == '/') snprintf(target, sizeof target, "%s", path);
  else if (snprintf(target, sizeof target, "%s/%s", who.home, path) >= (int)sizeof target) { errno = ENAMETOOLONG; child_fail(errfd, ST_DIR); }
  umask(022);
  if (m->kind != KIND_TAR_OUT && make_dir(target, who.uid, who.gid) < 0) child_fail(errfd, ST_DIR);

  for (uint32_t i = 0; i < spec.nlimits; i++) {
    struct rlimit r = {spec.limits[i].value, spec.limits[i].value};
    if (spec.limits[i].resource >= RLIM_NLIMITS) { errno = EINVAL; child_fail(errfd, ST_RLIMIT); }
    if (setrlimit(spec.limits[i].resource, &r) < 0) child_fail(errfd, ST_RLIMIT);
  }
  for (int i = 0; i < 3; i++) if (i == 0 || io[i] != io[i - 1]) (void)!fchown(io[i], who.uid, who.gid);
  for (int i = 0; i < 3; i++) io[i] = fcntl(io[i], F_DUPFD_CLOEXEC, 10);
  errfd = fcntl(errfd, F_DUPFD_CLOEXEC, 10);
  for (int i = 0; i < 3; i++) if (io[i] < 0 || dup2(io[i], i) < 0) child_fail(errfd, ST_SETUP);
  syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
  if (setgroups((size_t)who.ngroups, who.groups) < 0 || setresgid(who.gid, who.gid, who.gid) < 0 || setresuid(who.uid, who.uid, who.uid) < 0)
    child_fail(errfd, ST_SETUP);
  if (m->kind != KIND_TAR_OUT && chdir(target) < 0) child_fail(errfd, ST_DIR);
  if (init != 1 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != init)) child_fail(errfd, ST_SETUP);
  sigset_t none;
  sigemptyset(&none);
  for (int s = 1; s < NSIG; s++) signal(s, SIG_DFL);
  if (m->kind != KIND_EXEC) {
    if (prctl(PR_SET_NAME, "croft-tar") < 0) child_fail(errfd, ST_SETUP);
    close(errfd);
    syscall(SYS_close_range, 3u, ~0u, 0u);
    sigprocmask(SIG_SETMASK, &none, NULL);
    tar_main(m->kind, target, spec.nargs > 0 ? spec.argv[1] : "0", spec.nargs > 1 ? spec.argv[2] : "0");
  }
  sigprocmask(SIG_SETMASK, &none, NULL);
  find_and_exec(path, spec.argv, env);
  child_fail(errfd, ST_EXEC);
}

/* ---------------------------------------------------------------- init: the loop */

struct child { uint32_t slot; pid_t pid; int errfd; };

/* Kills every child until there is none; a subreaper's grandchildren become its children on the way. */
static void end_children(void) {
  for (;;) {
    DIR *proc = opendir("/proc");
    for (struct dirent *e; proc && (e = readdir(proc)) != NULL;) {
      char path[64], text[512];
      uint32_t pid;
      if (!is_number(e->d_name, &pid)) continue;
      snprintf(path, sizeof path, "/proc/%u/stat", pid);
      int fd = open(path, O_RDONLY | O_CLOEXEC);
      ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
      if (fd >= 0) close(fd);
      if (n <= 0) continue;
      text[n] = 0;
      char *after = strrchr(text, ')'); /* then a state and the parent's number */
      if (after && strlen(after) > 4 && strtol(after + 4, NULL, 10) == getpid()) kill((pid_t)pid, SIGKILL);
    }
    if (proc) closedir(proc);
    if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD) return;
  }
}

static int serve_shim(void);

/* The first process of a container, whose end is the container's; or of a sidecar, whose end must be made so. */
static int init_main(void) {
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_NAME, "garden-init");
  if (getpid() == 1) return serve_shim();
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) return 1;
  int rc = serve_shim();
  end_children();
  return rc;
}

static int serve_shim(void) {
  static struct child children[MAX_PROCS];
  static struct pollfd polls[MAX_PROCS + 2];
  int nchildren = 0;
  sigset_t all, chld;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  sigemptyset(&chld);
  sigaddset(&chld, SIGCHLD);
  int sfd = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
  fcntl(INIT_FD, F_SETFD, FD_CLOEXEC);
  if (sfd < 0 || chdir("/") < 0) return 1;
  for (;;) {
    polls[0] = (struct pollfd){.fd = INIT_FD, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = sfd, .events = POLLIN};
    for (int i = 0; i < nchildren; i++) polls[i + 2] = (struct pollfd){.fd = children[i].errfd, .events = POLLIN};
    int polled = nchildren;
    if (poll(polls, (nfds_t)polled + 2, -1) < 0 && errno != EINTR) return 1;

    /* Has the program started? The pipe closes with its exec, or says what failed. */
    for (int i = 0; i < polled; i++) {
      if (children[i].errfd < 0 || !(polls[i + 2].revents & (POLLIN | POLLHUP | POLLERR))) continue;
      int32_t why[2] = {0, 0};
      ssize_t n = read(children[i].errfd, why, sizeof why);
      struct from_init m = {.type = n == sizeof why ? FROM_FAILED : FROM_STARTED, .slot = children[i].slot, .a = why[0], .b = why[1]};
      close(children[i].errfd);
      children[i].errfd = -1;
      if (send_pair(INIT_FD, &m, sizeof m, NULL, 0, 0) < 0) return 1;
    }
    if (polls[1].revents & POLLIN) {
      struct signalfd_siginfo info;
      while (read(sfd, &info, sizeof info) > 0) continue;
      for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0) break;
        for (int i = 0; i < nchildren; i++) {
          if (children[i].pid != pid) continue;
          if (children[i].errfd >= 0) {
            int32_t why[2] = {0, 0};
            ssize_t n = read(children[i].errfd, why, sizeof why);
            struct from_init m = {.type = n == sizeof why ? FROM_FAILED : FROM_STARTED, .slot = children[i].slot, .a = why[0], .b = why[1]};
            close(children[i].errfd);
            if (send_pair(INIT_FD, &m, sizeof m, NULL, 0, 0) < 0) return 1;
          }
          struct from_init m = {.type = FROM_EXITED, .slot = children[i].slot, .a = status};
          if (send_pair(INIT_FD, &m, sizeof m, NULL, 0, 0) < 0) return 1;
          children[i] = children[--nchildren];
          break;
        }
      }
    }
    if (polls[0].revents & (POLLIN | POLLHUP | POLLERR)) {
      struct to_init m;
      union { char buf[CMSG_SPACE(8 * sizeof(int))]; struct cmsghdr align; } control;
      struct iovec iov = {.iov_base = &m, .iov_len = sizeof m};
      struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof control.buf};
      ssize_t n = recvmsg(INIT_FD, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return 0; /* the shim is gone: so is the container */
      if (n != (ssize_t)sizeof m) continue;
      int fds[8], nfds = 0;
      for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        nfds = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), (size_t)nfds * sizeof(int));
      }
      if (m.type == TO_RUN) {
        int pipefd[2] = {-1, -1};
        pid_t pid = -1;
        errno = EAGAIN;
        if (nchildren < MAX_PROCS && nfds >= 1 && pipe2(pipefd, O_CLOEXEC) == 0) pid = fork();
        if (pid == 0) {
          close(pipefd[0]);
          become(&m, fds, nfds, pipefd[1], INIT_FD);
        }
        if (pid > 0) {
          close(pipefd[1]);
          children[nchildren++] = (struct child){.slot = m.slot, .pid = pid, .errfd = pipefd[0]};
        } else {
          struct from_init f = {.type = FROM_FAILED, .slot = m.slot, .a = ST_FORK, .b = errno};
          if (pipefd[0] >= 0) close(pipefd[0]), close(pipefd[1]);
          if (send_pair(INIT_FD, &f, sizeof f, NULL, 0, 0) < 0) return 1;
        }
      } else if (m.type == TO_SIGNAL) {
        for (int i = 0; i < nchildren; i++) if (children[i].slot == m.slot) kill(children[i].pid, m.arg);
      }
      for (int i = 0; i < nfds; i++) close(fds[i]);
    }
  }
}

/* ---------------------------------------------------------------- shim: what it keeps */

/*
 * What one stream of a process wrote: files of a head (the absolute offsets of the first byte and of the end) and then the
 * bytes; the present one and the one before it. When the present one is full the older is written over from its start: that
 * makes no new pages, and a disk hears little of it. Readers elsewhere read the same files, and look at the head again.
 */
struct log { int fd, prev; uint64_t base, end, prev_base, prev_end; const char *name; };
#define LOG_HEAD 16

struct proc {
  uint32_t slot;
  char id[132];
  int kind, flags, is_tty;
  enum { STARTING, RUNNING, EXITED } state;
  pid_t pid;               /* as the host sees it */
  int in, out[2];          /* our ends; a terminal's master is out[0] and in */
  struct buffer input;
  int input_ended;
  struct log log[2];
  uint64_t started_at, oom_before, exited_at;
  int status, is_drained, is_reported, out_of_memory, was_killed;
  struct client *runner;   /* who waits for the start, and feeds a raw stream */
};

struct client {
  int fd, flags, is_dead, is_exit_sent, is_behind;
  struct buffer in, out;
  struct proc *proc;       /* what it is attached to */
  uint64_t at[2], last_progress;
};

static struct {
  const char *sock, *stage, *oom_file, *log_dir;
  int oom_watch, is_oom_file;  /* tells when memory runs out: an event, or the file itself */
  uint64_t oom_seen, oom_at;
  uid_t base;
  uint64_t log_bytes;
  int depot, listener, pair, init_pidfd, proc_dir;
  pid_t init_pid;
  uint32_t next_slot;
  struct proc *procs[MAX_PROCS];
  int nprocs;
  struct client *clients[MAX_CLIENTS];
  int nclients;
} S;

static void frame(struct client *c, uint8_t type, const void *a, size_t na, const void *b, size_t nb) {
  uint32_t len = (uint32_t)(1 + na + nb);
  if (buffer_add(&c->out, &len, 4) < 0 || buffer_add(&c->out, &type, 1) < 0 || (na && buffer_add(&c->out, a, na) < 0) ||
      (nb && buffer_add(&c->out, b, nb) < 0))
    c->is_dead = 1;
}

static void frame_error(struct client *c, uint8_t code, int32_t number, const char *text) {
  uint8_t head[5] = {code};
  memcpy(head + 1, &number, 4);
  frame(c, 'E', head, sizeof head, text, strlen(text));
}

/* An 'O' frame, given to the socket at once when nothing waits before it: most output is copied no further. */
static void frame_output(struct client *c, int stream, uint64_t at, uint64_t dropped, const uint8_t *data, size_t n) {
  uint8_t head[22];
  uint32_t len = (uint32_t)(sizeof head - 4 + n);
  memcpy(head, &len, 4), head[4] = 'O', head[5] = (uint8_t)(stream + 1), memcpy(head + 6, &at, 8), memcpy(head + 14, &dropped, 8);
  size_t sent = 0;
  if (c->out.len == 0) {
    struct iovec parts[2] = {{head, sizeof head}, {(void *)(uintptr_t)data, n}};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t k = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (k < 0 && errno != EAGAIN && errno != EINTR) c->is_dead = 1;
    if (k > 0) sent = (size_t)k, c->last_progress = now_ms(CLOCK_MONOTONIC);
  }
  if (sent < sizeof head && buffer_add(&c->out, head + sent, sizeof head - sent) < 0) c->is_dead = 1;
  size_t skip = sent > sizeof head ? sent - sizeof head : 0;
  if (skip < n && buffer_add(&c->out, data + skip, n - skip) < 0) c->is_dead = 1;
}

/* How often the kernel has killed for memory in the container, and in S.oom_at when it last did as far as we saw. */
static uint64_t oom_count(void) {
  char text[4096];
  int fd = open(S.oom_file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = 0;
  char *at = strstr(text, "oom_kill ");
  uint64_t count = at ? strtoull(at + 9, NULL, 10) : 0;
  if (count > S.oom_seen) S.oom_seen = count, S.oom_at = now_ms(CLOCK_MONOTONIC);
  return count;
}

/* Has the kernel tell us when memory runs out: version 2 of cgroups by the file, version 1 by an event. Without, we see it later. */
static void oom_open(void) {
  char path[PATH_MAX], line[64];
  const char *name = strrchr(S.oom_file, '/');
  S.oom_watch = open(S.oom_file, O_RDONLY | O_CLOEXEC);
  if (S.oom_watch < 0 || name == NULL) return;
  S.is_oom_file = strcmp(name, "/memory.events") == 0;
  if (S.is_oom_file) {
    (void)!pread(S.oom_watch, line, sizeof line, 0); /* what is there already is no news */
    return;
  }
  int file = S.oom_watch;
  S.oom_watch = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  snprintf(path, sizeof path, "%.*s/cgroup.event_control", (int)(name - S.oom_file), S.oom_file);
  snprintf(line, sizeof line, "%d %d", S.oom_watch, file);
  if (S.oom_watch >= 0 && put_file(path, line) < 0) close(S.oom_watch), S.oom_watch = -1;
  close(file);
}

static void oom_event(void) {
  char text[4096];
  if (!S.is_oom_file) S.oom_at = now_ms(CLOCK_MONOTONIC); /* the kill comes right after it */
  ssize_t n = S.is_oom_file ? pread(S.oom_watch, text, sizeof text, 0) : read(S.oom_watch, text, 8);
  if (n <= 0 && errno != EAGAIN) close(S.oom_watch), S.oom_watch = -1; /* the cgroup is gone */
  oom_count();
}

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static void log_path(char *out, size_t cap, const struct proc *p, const struct log *l, const char *suffix) {
  snprintf(out, cap, "%s/%s%s", p->id, l->name, suffix);
}

static int log_open(struct proc *p, struct log *l) {
  char path[200], old[200];
  log_path(path, sizeof path, p, l, "");
  log_path(old, sizeof old, p, l, ".1");
  int fd = -1;
  if (l->fd >= 0) {
    fd = l->prev;
    l->prev = l->fd, l->prev_base = l->base, l->prev_end = l->end, l->fd = -1;
    if (fd >= 0 && syscall(SYS_renameat2, S.proc_dir, path, S.proc_dir, old, RENAME_EXCHANGE) < 0) close_fd(&fd);
    if (fd < 0) renameat(S.proc_dir, path, S.proc_dir, old);
  }
  if (fd < 0) fd = openat(S.proc_dir, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return -1;
  uint64_t head[2] = {l->end, l->end};
  if (pwrite(fd, head, sizeof head, 0) != sizeof head) {
    close(fd);
    unlinkat(S.proc_dir, path, 0);
    return -1;
  }
  l->fd = fd, l->base = l->end;
  return 0;
}

/* Appends to a log; what does not fit on the disk is lost and shows as a gap in the offsets. */
static void log_write(struct proc *p, struct log *l, const uint8_t *data, size_t n) {
  if (l->fd < 0 || l->end - l->base >= S.log_bytes) {
    if (log_open(p, l) < 0) { l->end += n; return; }
  }
  uint64_t end = l->end + n;
  if (pwrite(l->fd, data, n, (off_t)(LOG_HEAD + l->end - l->base)) != (ssize_t)n || pwrite(l->fd, &end, sizeof end, sizeof end) != sizeof end) {
    if (l->prev >= 0) close(l->prev);
    close(l->fd);
    l->fd = l->prev = -1;
  }
  l->end = end;
}

static struct proc *find_proc(const char *id) {
  for (int i = 0; i < S.nprocs; i++) if (strcmp(S.procs[i]->id, id) == 0) return S.procs[i];
  return NULL;
}

static void proc_free(struct proc *p) {
  for (int i = 0; i < S.nclients; i++) if (S.clients[i]->proc == p) S.clients[i]->proc = NULL;
  if (p->in >= 0 && p->in != p->out[0]) close(p->in);
  for (int i = 0; i < 2; i++) {
    close_fd(&p->out[i]);
    close_fd(&p->log[i].fd);
    close_fd(&p->log[i].prev);
  }
  free(p->input.data);
  for (int i = 0; i < S.nprocs; i++) if (S.procs[i] == p) S.procs[i] = S.procs[--S.nprocs];
  free(p);
}

static void tell_init(uint32_t type, uint32_t slot, int32_t arg) {
  struct to_init m = {.type = type, .slot = slot, .arg = arg};
  send_pair(S.pair, &m, sizeof m, NULL, 0, MSG_DONTWAIT);
}

/* ---------------------------------------------------------------- shim: requests */

static int is_id(const char *s, size_t n) {
  if (n == 0 || n > 128 || s[0] == '.') return 0;
  for (size_t i = 0; i < n; i++) {
    char c = s[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')) return 0;
  }
  return 1;
}

/* u16 length and the bytes of a process id; 0 when malformed. */
static int take_id(struct cursor *c, char id[132]) {
  uint16_t n = take_u16(c);
  const uint8_t *p = take(c, n);
  if (p == NULL || !is_id((const char *)p, n)) return 0;
  memcpy(id, p, n);
  id[n] = 0;
  return 1;
}

static int pipe_for(int fds[2], int ours) {
  if (pipe2(fds, O_CLOEXEC) < 0) return -1;
  fcntl(fds[0], F_SETPIPE_SZ, PIPE_BYTES);
  (void)!fchown(fds[0], S.base, S.base); /* so that the container's root may hand it to the process's user */
  return set_nonblock(fds[ours]);
}

static void request_run(struct client *c, struct cursor *q) {
  char id[132];
  uint8_t kind = take_u8(q), flags = take_u8(q);
  uint16_t cols = take_u16(q), rows = take_u16(q);
  if (!take_id(q, id) || q->bad || kind > KIND_TAR_OUT || c->proc) return frame_error(c, E_BAD, 0, "malformed run request");
  if (S.nprocs >= MAX_PROCS) return frame_error(c, E_LIMIT, EAGAIN, "too many processes");
  int is_raw = kind != KIND_EXEC;
  if (find_proc(id)) return frame_error(c, E_IN_USE, EEXIST, id);
  if (!is_raw && mkdirat(S.proc_dir, id, 0700) < 0)
    return errno == EEXIST ? frame_error(c, E_IN_USE, EEXIST, id) : frame_error(c, E_SYSTEM, errno, "cannot keep the process");
  struct proc *p = calloc(1, sizeof *p);
  int fds[4], nfds = 0, ends[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}, blob = -1, rc = -1;
  size_t len = (size_t)(q->end - q->p);
  if (p == NULL) goto fail;
  *p = (struct proc){.slot = ++S.next_slot, .kind = kind, .flags = flags, .is_tty = !!(flags & F_TTY), .in = -1, .out = {-1, -1}, .runner = c};
  strcpy(p->id, id);
  for (int i = 0; i < 2; i++) p->log[i] = (struct log){.fd = -1, .prev = -1, .name = i ? "err.log" : "out.log"};
  blob = memfd_create("spec", MFD_CLOEXEC);
  if (blob < 0 || write_all(blob, q->p, len) < 0) goto fail;
  fds[nfds++] = blob;
  if (!p->is_tty) {
    if (flags & F_STDIN) {
      if (pipe_for(ends[0], 1) < 0) goto fail;
      fds[nfds++] = ends[0][0];
    }
    if (pipe_for(ends[1], 0) < 0 || pipe_for(ends[2], 0) < 0) goto fail;
    fds[nfds++] = ends[1][1], fds[nfds++] = ends[2][1];
  }
  p->oom_before = oom_count();
  struct to_init m = {.type = TO_RUN, .slot = p->slot, .flags = flags, .kind = kind, .cols = cols, .rows = rows, .blob = (uint32_t)len};
  rc = send_pair(S.pair, &m, sizeof m, fds, nfds, MSG_DONTWAIT);
fail:;
  int saved = errno;
  close_fd(&blob), close_fd(&ends[0][0]), close_fd(&ends[1][1]), close_fd(&ends[2][1]);
  if (rc < 0) {
    close_fd(&ends[0][1]), close_fd(&ends[1][0]), close_fd(&ends[2][0]);
    free(p);
    if (!is_raw) unlinkat(S.proc_dir, id, AT_REMOVEDIR);
    return frame_error(c, E_SYSTEM, saved, "cannot ask the container's init");
  }
  p->in = ends[0][1], p->out[0] = ends[1][0], p->out[1] = ends[2][0];
  S.procs[S.nprocs++] = p;
  c->proc = p;
  c->flags = flags;
  c->last_progress = now_ms(CLOCK_MONOTONIC);
}

static void request_attach(struct client *c, struct cursor *q) {
  char id[132];
  uint8_t flags = take_u8(q);
  uint64_t from[2] = {take_u64(q), take_u64(q)};
  if (!take_id(q, id) || q->bad || c->proc) return frame_error(c, E_BAD, 0, "malformed attach request");
  struct proc *p = find_proc(id);
  if (p == NULL || p->state == STARTING || p->kind != KIND_EXEC || p->is_reported) return frame_error(c, E_NO_PROCESS, ESRCH, id);
  c->proc = p, c->flags = flags, c->last_progress = now_ms(CLOCK_MONOTONIC);
  for (int i = 0; i < 2; i++) {
    uint64_t end = p->log[i].end;
    c->at[i] = from[i] > end ? (flags & F_TAIL ? 0 : end) : flags & F_TAIL ? end - from[i] : from[i];
  }
  uint8_t body[12];
  uint32_t pid = (uint32_t)p->pid;
  memcpy(body, &pid, 4), memcpy(body + 4, &p->started_at, 8);
  frame(c, 'S', body, sizeof body, NULL, 0);
}

static void request_hello(struct client *c) {
  uint8_t head[8];
  uint32_t pid = (uint32_t)S.init_pid, count = 0;
  struct buffer list = {0};
  for (int i = 0; i < S.nprocs; i++) {
    struct proc *p = S.procs[i];
    if (p->kind != KIND_EXEC || p->state == STARTING || p->is_reported) continue;
    uint16_t n = (uint16_t)strlen(p->id);
    uint32_t host = (uint32_t)p->pid;
    if (buffer_add(&list, &n, 2) || buffer_add(&list, p->id, n) || buffer_add(&list, &host, 4) || buffer_add(&list, &p->started_at, 8)) c->is_dead = 1;
    count++;
  }
  memcpy(head, &pid, 4), memcpy(head + 4, &count, 4);
  frame(c, 'P', head, sizeof head, list.data, list.len);
  free(list.data);
}

/* A socket of the container's network; we stay in ours. */
static int container_socket(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/net", S.init_pid);
  int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there = open(path, O_RDONLY | O_CLOEXEC), fd = -1;
  if (here >= 0 && there >= 0 && setns(there, CLONE_NEWNET) == 0) {
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (setns(here, CLONE_NEWNET) < 0) _exit(1);
  }
  int saved = errno;
  close_fd(&here), close_fd(&there);
  errno = saved;
  return fd;
}

static struct sockaddr *inet_of(struct sockaddr *at, in_addr_t address) {
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = address};
  memcpy(at, &in, sizeof in);
  return at;
}

static int link_up(int fd, const char *name) {
  struct ifreq ask = {0};
  strcpy(ask.ifr_name, name);
  if (ioctl(fd, SIOCGIFFLAGS, &ask) < 0) return -1;
  ask.ifr_flags |= IFF_UP;
  return ioctl(fd, SIOCSIFFLAGS, &ask);
}

/* An address alone: no route and no broadcast come with it. */
static int give_address(int fd, const char *name, in_addr_t address) {
  struct ifreq ask = {0};
  strcpy(ask.ifr_name, name);
  inet_of(&ask.ifr_addr, address);
  if (ioctl(fd, SIOCSIFADDR, &ask) < 0) return -1;
  inet_of(&ask.ifr_netmask, INADDR_NONE);
  if (ioctl(fd, SIOCSIFNETMASK, &ask) < 0) return -1;
  inet_of(&ask.ifr_broadaddr, INADDR_ANY);
  return ioctl(fd, SIOCSIFBRDADDR, &ask);
}

static int add_route(int fd, char *name, in_addr_t to, in_addr_t mask, in_addr_t gateway) {
  struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = name};
  inet_of(&route.rt_dst, to), inet_of(&route.rt_genmask, mask), inet_of(&route.rt_gateway, gateway);
  if (gateway != INADDR_ANY) route.rt_flags |= RTF_GATEWAY;
  return ioctl(fd, SIOCADDRT, &route);
}

/* The container's end of its pair: its address, and everything beyond by way of the gateway. */
static void request_network(struct client *c, struct cursor *q) {
  char name[] = "eth0";
  in_addr_t address = take_u32(q), gateway = take_u32(q);
  if (q->bad || q->p != q->end) return frame_error(c, E_BAD, 0, "malformed network request");
  int fd = container_socket();
  if (fd < 0 || link_up(fd, "lo") < 0 || give_address(fd, name, address) < 0 || link_up(fd, name) < 0 ||
      add_route(fd, name, gateway, INADDR_NONE, INADDR_ANY) < 0 || add_route(fd, name, INADDR_ANY, INADDR_ANY, gateway) < 0)
    frame_error(c, E_SYSTEM, errno, strerror(errno));
  else frame(c, 'K', NULL, 0, NULL, 0);
  close_fd(&fd);
}

static void request(struct client *c, const uint8_t *data, size_t len) {
  struct cursor q = {data + 1, data + len, 0};
  char id[132];
  switch (data[0]) {
    case 'H': return request_hello(c);
    case 'R': return request_run(c, &q);
    case 'A': return request_attach(c, &q);
    case 'N': return request_network(c, &q);
    case 'I': {
      struct proc *p = c->proc;
      size_t n = (size_t)(q.end - q.p);
      if (p == NULL || p->input_ended) return;
      if (n == 0) {
        p->input_ended = 1;
        if (p->is_tty && buffer_add(&p->input, "\4", 1) < 0) c->is_dead = 1;
      } else if (buffer_add(&p->input, q.p, n) < 0) c->is_dead = 1;
      return;
    }
    case 'S': {
      int32_t number = (int32_t)take_u32(&q);
      if (!take_id(&q, id) || q.bad || number < 0 || number >= NSIG) return frame_error(c, E_BAD, 0, "malformed signal request");
      struct proc *p = find_proc(id);
      if (p == NULL || p->state != RUNNING) return frame_error(c, E_NO_PROCESS, ESRCH, id);
      if (number == SIGKILL) p->was_killed = 1;
      tell_init(TO_SIGNAL, p->slot, number);
      return frame(c, 'K', NULL, 0, NULL, 0);
    }
    case 'W': {
      struct winsize size = {0};
      size.ws_col = take_u16(&q), size.ws_row = take_u16(&q);
      if (!take_id(&q, id) || q.bad) return frame_error(c, E_BAD, 0, "malformed resize request");
      struct proc *p = find_proc(id);
      if (p == NULL || p->state != RUNNING) return frame_error(c, E_NO_PROCESS, ESRCH, id);
      if (p->is_tty && p->out[0] >= 0) ioctl(p->out[0], TIOCSWINSZ, &size);
      return frame(c, 'K', NULL, 0, NULL, 0);
    }
    default: return frame_error(c, E_BAD, 0, "unknown request");
  }
}

/* ---------------------------------------------------------------- shim: bytes in and out */

static uint8_t chunk[OUTPUT_CHUNK]; /* what one read took; nobody keeps it beyond its turn */

static void client_free(struct client *c) {
  struct proc *p = c->proc;
  for (int i = 0; i < S.nprocs; i++) {
    if (S.procs[i]->runner != c) continue;
    S.procs[i]->runner = NULL;
    /* nobody is left to hear of a start, and nothing else feeds a raw stream */
    if (S.procs[i]->state == STARTING || (S.procs[i]->kind != KIND_EXEC && S.procs[i]->state == RUNNING)) tell_init(TO_SIGNAL, S.procs[i]->slot, SIGKILL);
  }
  if (p && (c->flags & F_STDIN) && !p->is_tty) p->input_ended = 1;
  close(c->fd);
  free(c->in.data);
  free(c->out.data);
  for (int i = 0; i < S.nclients; i++) if (S.clients[i] == c) S.clients[i] = S.clients[--S.nclients];
  free(c);
}

/* Serves every whole frame that has come. */
static void client_frames(struct client *c) {
  while (!c->is_dead && c->in.len >= 4) {
    uint32_t len;
    memcpy(&len, c->in.data + c->in.start, 4);
    if (len < 1 || len > MAX_FRAME) { c->is_dead = 1; return; }
    if (c->in.len < 4 + (size_t)len) return;
    request(c, c->in.data + c->in.start + 4, len);
    buffer_drop(&c->in, 4 + (size_t)len);
  }
}

static void client_read(struct client *c) {
  ssize_t n = recv(c->fd, chunk, sizeof chunk, MSG_DONTWAIT);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) { c->is_dead = 1; return; }
  if (n < 0) return;
  if (buffer_add(&c->in, chunk, (size_t)n) < 0) { c->is_dead = 1; return; }
  client_frames(c);
}

static void frame_exit(struct client *c, const struct proc *p) {
  uint8_t body[17];
  int32_t code = WIFEXITED(p->status) ? WEXITSTATUS(p->status) : 128 + WTERMSIG(p->status);
  int32_t sig = WIFSIGNALED(p->status) ? WTERMSIG(p->status) : 0;
  memcpy(body, &code, 4), memcpy(body + 4, &sig, 4);
  body[8] = (uint8_t)p->out_of_memory;
  memcpy(body + 9, &p->exited_at, 8);
  frame(c, 'X', body, sizeof body, NULL, 0);
  c->is_exit_sent = 1;
}

/* Moves kept output to a client as far as it takes it, then the exit. */
static void client_pump(struct client *c) {
  struct proc *p = c->proc;
  if (p && p->kind == KIND_EXEC && p->state != STARTING && !c->is_exit_sent) {
    c->is_behind = 0;
    for (int i = 0; i < 2; i++) {
      struct log *l = &p->log[i];
      if (!(c->flags & (i ? F_STDERR : F_STDOUT))) continue;
      while (c->at[i] < l->end && c->out.len < OUT_HIGH) {
        uint64_t at = c->at[i], oldest = l->prev >= 0 ? l->prev_base : l->fd >= 0 ? l->base : l->end;
        uint64_t dropped = at < oldest ? oldest - at : 0;
        at += dropped;
        int is_prev = l->prev >= 0 && at < l->base;
        /* a gap between the files is a disk that was full */
        if (is_prev && at >= l->prev_end) dropped += l->base - at, at = l->base, is_prev = 0;
        uint64_t there = (is_prev ? l->prev_end : l->end) - at;
        if (there > sizeof chunk) there = sizeof chunk;
        ssize_t n = there > 0 && l->fd >= 0 ? pread(is_prev ? l->prev : l->fd, chunk, there, (off_t)(LOG_HEAD + at - (is_prev ? l->prev_base : l->base))) : 0;
        if (n < 0) n = 0;
        if (n == 0 && dropped == 0) { c->at[i] = l->end; break; }
        frame_output(c, i, at, dropped, chunk, (size_t)n);
        c->at[i] = at + (uint64_t)n;
      }
      if (c->at[i] < l->end) c->is_behind = 1;
    }
    if (!c->is_behind && p->is_reported) frame_exit(c, p);
  }
  if (c->out.len == 0) {
    c->last_progress = now_ms(CLOCK_MONOTONIC);
    return;
  }
  ssize_t n = send(c->fd, c->out.data + c->out.start, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR) c->is_dead = 1;
  if (n > 0) buffer_drop(&c->out, (size_t)n), c->last_progress = now_ms(CLOCK_MONOTONIC);
}

/* Whether a stream may be read now: not while a lossless reader is far behind. */
static int may_read(const struct proc *p, int stream) {
  if (p->kind != KIND_EXEC) return p->runner == NULL || p->runner->out.len < OUT_HIGH;
  uint64_t now = now_ms(CLOCK_MONOTONIC);
  for (int i = 0; i < S.nclients; i++) {
    struct client *c = S.clients[i];
    if (c->proc != p || c->is_dead || !(c->flags & F_LOSSLESS) || !(c->flags & (stream ? F_STDERR : F_STDOUT))) continue;
    if (now - c->last_progress > STALL_MS) continue;
    if (p->log[stream].end - c->at[stream] > S.log_bytes / 2) return 0;
  }
  return 1;
}

/* Passes what was read on: to the log, and to whoever listens. */
static void proc_output(struct proc *p, int stream, size_t n) {
  if (p->kind != KIND_EXEC) {
    if (p->runner) frame_output(p->runner, stream, 0, 0, chunk, n);
    return;
  }
  uint64_t at = p->log[stream].end;
  log_write(p, &p->log[stream], chunk, n);
  for (int i = 0; i < S.nclients; i++) { /* who has had everything gets this now; the others out of the log */
    struct client *c = S.clients[i];
    if (c->proc != p || c->is_dead || c->is_exit_sent || c->at[stream] != at || c->out.len >= OUT_HIGH || !(c->flags & (stream ? F_STDERR : F_STDOUT))) continue;
    frame_output(c, stream, at, 0, chunk, n);
    c->at[stream] = at + n;
  }
}

/* Reads what there is, a chunk at most; how much, or 0 when there is nothing now or never again. */
static size_t proc_read(struct proc *p, int stream) {
  size_t got = 0, most = S.log_bytes / 8 < CHUNK ? CHUNK : S.log_bytes / 8; /* a log is not much longer than it should be */
  if (most > sizeof chunk) most = sizeof chunk;
  ssize_t n = 1;
  while (got < most && (n = read(p->out[stream], chunk + got, most - got)) > 0) got += (size_t)n;
  int is_over = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR); /* end of a pipe, or EIO of a terminal nobody holds */
  if (got > 0) proc_output(p, stream, got);
  if (is_over) {
    if (p->in == p->out[stream]) p->in = -1;
    close_fd(&p->out[stream]);
  }
  return got;
}

/* Reads what was in a stream when the process ended. Whoever else holds it may write on for ever: that is read as before. */
static void proc_drain(struct proc *p, int stream) {
  int there = PIPE_BYTES;
  if (p->out[stream] < 0 || (!p->is_tty && ioctl(p->out[stream], FIONREAD, &there) < 0)) return;
  for (size_t left = (size_t)there, n; left > 0 && p->out[stream] >= 0 && (n = proc_read(p, stream)) > 0;) left = n < left ? left - n : 0;
}

static void proc_write(struct proc *p) {
  while (p->in >= 0 && p->input.len > 0) {
    ssize_t n = write(p->in, p->input.data + p->input.start, p->input.len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) { /* it reads no more */
      buffer_drop(&p->input, p->input.len);
      p->input_ended = 1;
      break;
    }
    buffer_drop(&p->input, (size_t)n);
  }
  if (p->in < 0) buffer_drop(&p->input, p->input.len);
  if (p->input_ended && p->input.len == 0 && p->in >= 0 && !p->is_tty) close_fd(&p->in);
}

/* Writes a file of the process's folder so that it is there whole or not at all. */
static void proc_note(const struct proc *p, const char *name, const char *text) {
  char path[200], fresh[200];
  snprintf(path, sizeof path, "%s/%s", p->id, name);
  snprintf(fresh, sizeof fresh, "%s/%s.new", p->id, name);
  int fd = openat(S.proc_dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return;
  int rc = write_all(fd, text, strlen(text));
  if (close(fd) == 0 && rc == 0) renameat(S.proc_dir, fresh, S.proc_dir, path);
}

/* The process has ended and what it wrote is read: say so, on disk first. */
static void proc_report(struct proc *p) {
  char text[128];
  p->is_reported = 1;
  /* one that was killed is told from our own kills by the time; one that failed may have lost a child it waited for */
  int is_oom = oom_count() > p->oom_before, is_recent = now_ms(CLOCK_MONOTONIC) - S.oom_at <= OOM_RECENT_MS;
  if (WIFSIGNALED(p->status)) p->out_of_memory = is_oom && WTERMSIG(p->status) == SIGKILL && is_recent && !p->was_killed;
  else p->out_of_memory = is_oom && WEXITSTATUS(p->status) != 0;
  if (p->kind == KIND_EXEC) {
    int code = WIFEXITED(p->status) ? WEXITSTATUS(p->status) : 128 + WTERMSIG(p->status);
    snprintf(text, sizeof text, "%d %d %d %llu\n", code, WIFSIGNALED(p->status) ? WTERMSIG(p->status) : 0, p->out_of_memory, (unsigned long long)p->exited_at);
    proc_note(p, "exit", text);
  } else if (p->runner) frame_exit(p->runner, p);
}

static void proc_exited(struct proc *p, int status) {
  if (p->state == EXITED) return;
  p->state = EXITED, p->status = status, p->exited_at = now_ms(CLOCK_REALTIME);
}

static void proc_failed(struct proc *p, int stage, int number) {
  static const uint8_t code[] = {E_SYSTEM, E_LIMIT, E_SYSTEM, E_USER, E_DIR, E_LIMIT, E_EXEC};
  if (p->runner) {
    p->runner->proc = NULL;
    frame_error(p->runner, stage >= 0 && stage <= ST_EXEC ? code[stage] : E_SYSTEM, number, strerror(number));
  }
  if (p->kind == KIND_EXEC) unlinkat(S.proc_dir, p->id, AT_REMOVEDIR);
  proc_free(p);
}

static void proc_started(struct proc *p) {
  uint8_t body[12];
  char text[64];
  uint32_t pid = (uint32_t)p->pid;
  p->state = RUNNING;
  p->started_at = now_ms(CLOCK_REALTIME);
  snprintf(text, sizeof text, "%u %llu\n", pid, (unsigned long long)p->started_at);
  if (p->kind == KIND_EXEC) proc_note(p, "started", text);
  if (p->runner) {
    memcpy(body, &pid, 4), memcpy(body + 4, &p->started_at, 8);
    frame(p->runner, 'S', body, sizeof body, NULL, 0);
    if (p->kind == KIND_EXEC) p->runner = NULL;
  }
}

/* One message of init: everything in it is checked, the process id is the kernel's word. */
static int from_init(void) {
  struct from_init m;
  union { char buf[CMSG_SPACE(4 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))]; struct cmsghdr align; } control;
  struct iovec iov = {.iov_base = &m, .iov_len = sizeof m};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof control.buf};
  ssize_t n = recvmsg(S.pair, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  if (n == 0) return -1;
  int fds[4], nfds = 0;
  pid_t sender = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
    if (c->cmsg_level != SOL_SOCKET) continue;
    if (c->cmsg_type == SCM_RIGHTS) {
      int count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
      for (int i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(c) + (size_t)i * sizeof fd, sizeof fd);
        if (nfds < 4) fds[nfds++] = fd;
        else close(fd);
      }
    } else if (c->cmsg_type == SCM_CREDENTIALS) {
      struct ucred who;
      memcpy(&who, CMSG_DATA(c), sizeof who);
      sender = who.pid;
    }
  }
  struct proc *p = NULL;
  if (n == (ssize_t)sizeof m && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
    for (int i = 0; i < S.nprocs; i++) if (S.procs[i]->slot == m.slot) p = S.procs[i];
  if (p) switch (m.type) {
    case FROM_HELLO: case FROM_TTY: {
      struct stat st;
      unsigned number;
      if (p->state != STARTING || p->pid != 0 || sender == S.init_pid) break;
      p->pid = sender;
      if (m.type == FROM_TTY && p->is_tty && nfds == 1 && fstat(fds[0], &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) == 5 &&
          ioctl(fds[0], TIOCGPTN, &number) == 0 && set_nonblock(fds[0]) == 0)
        p->in = p->out[0] = fds[0], nfds = 0;
      break;
    }
    case FROM_STARTED: if (p->state == STARTING) proc_started(p); break;
    case FROM_FAILED: if (p->state == STARTING) proc_failed(p, m.a, m.b > 0 && m.b < 4096 ? m.b : EIO); break;
    case FROM_EXITED: if (p->state == RUNNING) proc_exited(p, m.a); break;
    default: break;
  }
  for (int i = 0; i < nfds; i++) close(fds[i]);
  return 1;
}

/* ---------------------------------------------------------------- shim: the loop */

static int serve(void) {
  static struct pollfd polls[4 + MAX_CLIENTS + 3 * MAX_PROCS];
  int is_init_gone = 0;
  oom_open();
  uint64_t gone_at = 0;
  for (;;) {
    int n = 0, timeout = -1;
    polls[n++] = (struct pollfd){.fd = is_init_gone ? -1 : S.init_pidfd, .events = POLLIN};
    polls[n++] = (struct pollfd){.fd = is_init_gone ? -1 : S.pair, .events = POLLIN};
    polls[n++] = (struct pollfd){.fd = S.nclients < MAX_CLIENTS ? S.listener : -1, .events = POLLIN};
    polls[n++] = (struct pollfd){.fd = S.oom_watch, .events = S.is_oom_file ? POLLPRI : POLLIN};
    int first_client = n, nclients = S.nclients;
    for (int i = 0; i < nclients; i++) {
      struct client *c = S.clients[i];
      int is_full = c->out.len > OUT_HIGH || (c->proc && c->proc->input.len > STDIN_HIGH);
      polls[n++] = (struct pollfd){.fd = c->fd, .events = (short)((is_full ? 0 : POLLIN) | (c->out.len || c->is_behind ? POLLOUT : 0))};
    }
    int first_proc = n, nprocs = S.nprocs;
    for (int i = 0; i < nprocs; i++) {
      struct proc *p = S.procs[i];
      int idle = p->state == STARTING;
      polls[n++] = (struct pollfd){.fd = !idle && p->in >= 0 && p->input.len ? p->in : -1, .events = POLLOUT};
      for (int k = 0; k < 2; k++) {
        int readable = !idle && p->out[k] >= 0;
        if (readable && !may_read(p, k)) readable = 0, timeout = 1000;
        polls[n++] = (struct pollfd){.fd = readable ? p->out[k] : -1, .events = POLLIN};
      }
    }
    if (is_init_gone) timeout = 50;
    if (poll(polls, (nfds_t)n, timeout) < 0 && errno != EINTR) return 1;

    for (int i = 0; i < nclients; i++) {
      short got = polls[first_client + i].revents;
      if (got & POLLIN) client_read(S.clients[i]);
      else if (got & (POLLHUP | POLLERR)) S.clients[i]->is_dead = 1;
    }
    for (int i = 0; i < nprocs; i++) {
      struct proc *p = S.procs[i];
      for (int k = 0; k < 2; k++)
        if (polls[first_proc + 3 * i + 1 + k].revents)
          for (int turn = 0; turn < CHUNKS_AT_ONCE && p->out[k] >= 0 && may_read(p, k) && proc_read(p, k) > 0; turn++) continue;
    }
    if (polls[3].revents) oom_event();
    if (polls[1].revents)
      for (int i = 0; i < 256 && from_init() > 0; i++) continue;
    if (polls[0].revents && !is_init_gone) {
      while (from_init() > 0) continue;
      is_init_gone = 1, gone_at = now_ms(CLOCK_MONOTONIC);
      while (waitpid(-1, NULL, WNOHANG) > 0) continue;
      for (int i = S.nprocs; i-- > 0;) {
        if (S.procs[i]->state == STARTING) proc_failed(S.procs[i], ST_FORK, ESRCH);
        else proc_exited(S.procs[i], SIGKILL);
      }
    }
    if (polls[2].revents & POLLIN) {
      int fd = accept4(S.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), size = SOCKET_BYTES;
      if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
      struct client *c = fd < 0 ? NULL : calloc(1, sizeof *c);
      if (c) c->fd = fd, S.clients[S.nclients++] = c;
      else if (fd >= 0) close(fd);
    }
    for (int i = S.nprocs; i-- > 0;) {
      struct proc *p = S.procs[i];
      if (p->state != STARTING) proc_write(p);
      if (p->state == EXITED && !p->is_reported) {
        proc_drain(p, 0), proc_drain(p, 1);
        proc_report(p);
      }
    }
    int is_pending = 0;
    for (int i = S.nclients; i-- > 0;) {
      client_pump(S.clients[i]);
      if (S.clients[i]->is_dead) client_free(S.clients[i]);
      else if (S.clients[i]->out.len || (S.clients[i]->proc && !S.clients[i]->is_exit_sent)) is_pending = 1;
    }
    for (int i = S.nprocs; i-- > 0;) {
      struct proc *p = S.procs[i];
      int is_used = 0;
      for (int k = 0; k < S.nclients; k++) is_used |= S.clients[k]->proc == p && !S.clients[k]->is_exit_sent;
      if (p->is_reported && !is_used && (p->kind != KIND_EXEC || (p->out[0] < 0 && p->out[1] < 0))) proc_free(p);
    }
    if (is_init_gone && (!is_pending || now_ms(CLOCK_MONOTONIC) - gone_at > 2000)) return 0;
  }
}

/* ---------------------------------------------------------------- shim: building the container */

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Says on standard output why the container could not be made, and ends; what was mounted goes with the namespace. */
static void die(const char *format, ...) {
  char text[512], why[64];
  int saved = errno;
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  snprintf(why, sizeof why, "%s", saved ? strerror(saved) : "failed");
  dprintf(1, "error %s: %s\n", text, why);
  dprintf(2, "croft-init: %s: %s\n", text, why);
  if (S.init_pid > 0) kill(S.init_pid, SIGKILL);
  _exit(1);
}

/* A user namespace that only serves as an id map; nothing runs in it. */
static int idmap_fd(const char *map) {
  int ready[2], hold[2];
  char path[64];
  if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(hold, O_CLOEXEC) < 0) die("pipe");
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    char c = unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
    close(hold[1]);
    (void)!write(ready[1], &c, 1);
    (void)!read(hold[0], &c, 1);
    _exit(0);
  }
  close(ready[1]), close(hold[0]);
  char c = 'n';
  if (read(ready[0], &c, 1) != 1 || c != 'y') errno = EPERM, die("user namespace");
  snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
  if (put_file(path, map) < 0) die("%s", path);
  snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
  if (put_file(path, map) < 0) die("%s", path);
  snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die("%s", path);
  close(hold[1]), close(ready[0]);
  waitpid(pid, NULL, 0);
  return fd;
}

/* A detached copy of the mount at a path that crosses no symbolic link, idmapped and read-only as asked. */
static int tree_of(const char *path, int idmap, uint64_t attributes) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  int at = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
  if (at < 0) die("%s", path);
  int fd = (int)syscall(SYS_open_tree, at, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (fd < 0) die("open_tree %s", path);
  close(at);
  struct mount_attr attr = {.attr_set = attributes | (idmap >= 0 ? MOUNT_ATTR_IDMAP : 0), .userns_fd = idmap >= 0 ? (uint64_t)idmap : 0};
  if (attr.attr_set && syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0) die("map %s", path);
  return fd;
}

static void attach_tree(int fd, const char *at) {
  if (syscall(SYS_move_mount, fd, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0) die("move_mount %s", at);
  close(fd);
}

/*
 * Mounts an overlay; upper and work are named by descriptor, so their paths may hold any character. A volatile one waits for no
 * disk, fsync(2) inside included, and taking it down does not sync the whole file system below: right for a container's own root,
 * for no container outlives the kernel, and wrong for a tree that somebody keeps.
 */
static void mount_overlay(const char *at, const char *lowers, int upper, int work, int is_volatile) {
  static char options[4096];
  int n = snprintf(options, sizeof options, "lowerdir=%s,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d,redirect_dir=off,metacopy=off,index=off%s", lowers, upper, work, is_volatile ? ",volatile" : "");
  if (n < 0 || n >= (int)sizeof options) errno = E2BIG, die("too many layers");
  if (mount("overlay", at, "overlay", 0, options) < 0) die("overlay %s", at);
}

static int open_dir_at(int at, const char *path) {
  int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) die("%s", path);
  return fd;
}

static void make_dir_once(const char *path) {
  if (mkdir(path, 0755) < 0 && errno != EEXIST) die("mkdir %s", path);
}

/* Mounts a disk image through a loop device that frees itself when the mount goes. */
static void mount_image(const char *image, const char *at) {
  int file = open(image, O_RDWR | O_CLOEXEC | O_NOFOLLOW), control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), loop = -1;
  char path[64];
  if (file < 0) die("%s", image);
  if (control < 0) die("/dev/loop-control");
  for (int attempt = 0; attempt < 64; attempt++) {
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) die("no free loop device");
    snprintf(path, sizeof path, "/dev/loop%d", number);
    loop = open(path, O_RDWR | O_CLOEXEC);
    if (loop < 0 && errno == ENOENT) { /* nobody makes device nodes here */
      if (mknod(path, S_IFBLK | 0600, makedev(7, (unsigned)number)) < 0 && errno != EEXIST) die("%s", path);
      loop = open(path, O_RDWR | O_CLOEXEC);
    }
    if (loop < 0) die("%s", path);
    struct loop_config config = {.fd = (uint32_t)file, .block_size = 4096, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
    if (ioctl(loop, LOOP_CONFIGURE, &config) == 0) break;
    if (errno != EBUSY) die("loop device for %s", image);
    close(loop);
    loop = -1;
  }
  if (loop < 0) errno = EBUSY, die("no free loop device");
  /* without barriers: its end would have the host's disk flushed, for an image that is removed right after */
  if (mount(path, at, "ext4", MS_NOSUID | MS_NODEV, "discard,barrier=0") < 0) die("mount of %s", image);
  close(loop), close(file), close(control);
}

/* A copy of a small file on the stage, which belongs to the container's root and takes no room elsewhere. */
static void copy_file(const char *from, const char *to, uid_t owner) {
  char text[4096];
  ssize_t n;
  int in = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (in < 0) die("%s", from);
  if (out < 0 || fchown(out, owner, owner) < 0) die("%s", to);
  while ((n = read(in, text, sizeof text)) > 0) if (write_all(out, text, (size_t)n) < 0) die("%s", to);
  if (n < 0) die("%s", from);
  close(in), close(out);
}

/* runc reads these files of the image while it builds the container: one that is a pipe would hold it for ever. */
static void check_image_file(int root, const char *path) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  struct stat st;
  int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
  if (fd < 0) return;
  if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) errno = EINVAL, die("the image's /%s is no file", path);
  close(fd);
}

/* The last line runc left in its log, for the message. */
static void runc_failed(const char *log) {
  char text[4096] = "", *line = text;
  int fd = open(log, O_RDONLY | O_CLOEXEC);
  off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
  ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof text - 1, size > (off_t)sizeof text - 1 ? size - (off_t)sizeof text + 1 : 0);
  if (n < 0) n = 0;
  while (n > 0 && text[n - 1] == '\n') n--;
  text[n] = 0;
  for (char *p = text; (p = strchr(p, '\n')) != NULL; p++) line = p + 1;
  errno = 0;
  die("runc: %.400s", line);
}

static const char *need(char ***argv) {
  if (**argv == NULL) errno = EINVAL, die("missing argument");
  return *(*argv)++;
}

/* Joins as a thread where that can be (v1): it waits for nobody, while a whole process does (see the move after runc's start). */
static void join_cgroup(const char *dir) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/tasks", dir);
  if (put_file(path, "0") == 0) return;
  if (errno != ENOENT) die("%s", path);
  snprintf(path, sizeof path, "%s/cgroup.procs", dir);
  if (put_file(path, "0") < 0) die("%s", path);
}

/* A socket that only its owner may use; nobody listens yet. */
static int bind_at(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) errno = ENAMETOOLONG, die("%s", path);
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  unlink(path);
  umask(0177);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) die("%s", path);
  umask(022);
  return fd;
}

static uint32_t need_number(char ***argv) {
  uint32_t v;
  const char *text = need(argv);
  if (!is_number(text, &v)) errno = EINVAL, die("not a number: %s", text);
  return v;
}

/*
 * croft-init shim DEPOT SOCKET STAGE BASE HIGH HIGHSIZE LOGBYTES OOMFILE RUNC RUNCROOT ID, then any of
 *   join PID                 only first: what that shim has mounted is seen here too
 *   cgroup DIR               join this cgroup
 *   proc DIR                 processes are kept there instead of in DEPOT/proc
 *   disk IMAGE               upper and work lie on this ext4 image
 *   upper DIR                a folder to make, and the last of them for upper and work
 *   copy N PATH              STAGE/b/N is a copy of a file, the container root's own
 *   lower DIR                a layer of the root, uppermost first
 *   bind N ro|rw idmap|plain PATH            STAGE/b/N shows a path of the host
 *   over N UPPER WORK COUNT LOWER...         STAGE/b/N is an overlay whose changes land in UPPER
 * DEPOT holds up/, wk/, proc/ and config.json. Answers `ready PID` or `error TEXT` on standard output.
 */
static int shim_main(char **argv) {
  const char *depot = need(&argv), *sock = need(&argv), *stage = need(&argv);
  uint32_t base = need_number(&argv), high = need_number(&argv), high_size = need_number(&argv), log_bytes = need_number(&argv);
  S.oom_file = need(&argv);
  const char *runc = need(&argv), *runc_root = need(&argv), *id = need(&argv), *image = NULL, *upper = NULL;
  const char *cgroup = NULL;
  char map[128], upper_map[128], path[PATH_MAX], log[PATH_MAX], pid_file[PATH_MAX];
  static char lowers[4096];
  S.stage = stage, S.base = base, S.log_bytes = log_bytes;
  signal(SIGPIPE, SIG_IGN), signal(SIGHUP, SIG_IGN), signal(SIGINT, SIG_IGN), signal(SIGQUIT, SIG_IGN);
  umask(022);
  setsid();
  prctl(PR_SET_NAME, "croft-shim");
  mallopt(M_MMAP_THRESHOLD, 32 << 10), mallopt(M_TRIM_THRESHOLD, 32 << 10); /* gives back what it needed for a while */
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0) die("subreaper");
  S.depot = open(depot, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (S.depot < 0) die("%s", depot);
  S.proc_dir = open_dir_at(S.depot, "proc");

  S.listener = bind_at(sock);

  if (*argv && strcmp(*argv, "join") == 0) {
    argv++;
    snprintf(path, sizeof path, "/proc/%s/ns/mnt", need(&argv));
    int other = open(path, O_RDONLY | O_CLOEXEC);
    if (other < 0 || setns(other, CLONE_NEWNS) < 0) die("%s", path);
    close(other);
  }
  if (unshare(CLONE_NEWNS) < 0) die("mount namespace");
  if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) die("mount propagation");
  close(S.depot); /* a descriptor of the old namespace cannot be mounted from */
  S.depot = open(depot, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (S.depot < 0) die("%s", depot);
  snprintf(map, sizeof map, "0 %u 65536\n65536 %u %u\n", base, high, high_size);
  /* overlay makes its work directory as host root: that id needs a place in the map, or the mount is read-only */
  snprintf(upper_map, sizeof upper_map, "0 %u 65536\n65536 0 1\n", base);
  int idmap = idmap_fd(map), upper_idmap = -1;

  if (mount("tmpfs", stage, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=4m") < 0) die("%s", stage);
  if (chdir(stage) < 0) die("%s", stage);
  make_dir_once("root"), make_dir_once("low"), make_dir_once("b"), make_dir_once("disk"), make_dir_once("p");
  if (mount(NULL, stage, NULL, MS_PRIVATE, NULL) < 0) die("%s", stage);
  int nlowers = 0;
  size_t len = 0;
  while (*argv) {
    const char *what = need(&argv);
    if (strcmp(what, "cgroup") == 0) {
      cgroup = need(&argv);
      join_cgroup(cgroup);
    } else if (strcmp(what, "disk") == 0) {
      image = need(&argv);
    } else if (strcmp(what, "upper") == 0) {
      upper = need(&argv);
      make_dir_once(upper);
    } else if (strcmp(what, "proc") == 0) {
      const char *dir = need(&argv);
      close_fd(&S.proc_dir);
      S.proc_dir = open_dir_at(AT_FDCWD, dir);
    } else if (strcmp(what, "copy") == 0) {
      uint32_t n = need_number(&argv);
      snprintf(path, sizeof path, "b/%u", n);
      copy_file(need(&argv), path, base);
    } else if (strcmp(what, "lower") == 0) {
      const char *from = need(&argv);
      snprintf(path, sizeof path, "low/%d", nlowers);
      make_dir_once(path);
      attach_tree(tree_of(from, idmap, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV), path);
      len += (size_t)snprintf(lowers + len, sizeof lowers - len, "%s%s", nlowers++ ? ":" : "", path);
      if (len >= sizeof lowers) errno = E2BIG, die("too many layers");
    } else if (strcmp(what, "bind") == 0) {
      struct stat st;
      uint32_t n = need_number(&argv);
      int is_ro = strcmp(need(&argv), "ro") == 0, is_mapped = strcmp(need(&argv), "idmap") == 0;
      const char *from = need(&argv);
      int fd = tree_of(from, is_mapped ? idmap : -1, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (is_ro ? MOUNT_ATTR_RDONLY : 0));
      snprintf(path, sizeof path, "b/%u", n);
      if (fstat(fd, &st) < 0) die("%s", from);
      if (S_ISDIR(st.st_mode)) make_dir_once(path);
      else {
        int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (file < 0) die("%s", path);
        close(file);
      }
      attach_tree(fd, path);
    } else if (strcmp(what, "over") == 0) {
      static char stack[4096];
      char common[PATH_MAX];
      size_t used = 0, same = 0, cut = 0;
      uint32_t n = need_number(&argv);
      const char *up = need(&argv), *work = need(&argv);
      uint32_t count = need_number(&argv);
      /* upper and work must lie in one mount, so the directory that holds both is mapped */
      for (; up[same] && up[same] == work[same]; same++) if (up[same] == '/') cut = same;
      if (cut == 0 || cut >= sizeof common) errno = EINVAL, die("%s and %s share no directory", up, work);
      memcpy(common, up, cut);
      common[cut] = 0;
      if (upper_idmap < 0) upper_idmap = idmap_fd(upper_map);
      for (uint32_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "low/b%u.%u", n, i);
        make_dir_once(path);
        attach_tree(tree_of(need(&argv), idmap, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV), path);
        used += (size_t)snprintf(stack + used, sizeof stack - used, "%s%s", i ? ":" : "", path);
        if (used >= sizeof stack) errno = E2BIG, die("too many layers");
      }
      snprintf(path, sizeof path, "low/b%u.up", n);
      make_dir_once(path);
      attach_tree(tree_of(common, upper_idmap, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), path);
      int in = open_dir_at(AT_FDCWD, path), upper_fd = open_dir_at(in, up + cut + 1), work_fd = open_dir_at(in, work + cut + 1);
      snprintf(path, sizeof path, "b/%u", n);
      make_dir_once(path);
      mount_overlay(path, stack, upper_fd, work_fd, 0);
      close(in), close(upper_fd), close(work_fd);
    } else errno = EINVAL, die("unknown directive %s", what);
  }
  if (nlowers == 0) strcpy(lowers, "low");
  int where = S.depot;
  if (image) mount_image(image, "disk"), upper = "disk";
  if (upper) {
    where = open_dir_at(AT_FDCWD, upper);
    if ((mkdirat(where, "up", 0755) < 0 || mkdirat(where, "wk", 0755) < 0) && errno != EEXIST) die("%s", upper);
    if (fchownat(where, "up", base, base, AT_SYMLINK_NOFOLLOW) < 0) die("%s", upper);
  }
  int up = open_dir_at(where, "up"), wk = open_dir_at(where, "wk");
  mount_overlay("root", lowers, up, wk, 1);
  close(up), close(wk);
  if (where != S.depot) close(where);
  int root = open_dir_at(AT_FDCWD, "root");
  check_image_file(root, "etc/passwd"), check_image_file(root, "etc/group");
  close(root);
  close(idmap);
  if (upper_idmap >= 0) close(upper_idmap);

  int pair[2], on = 1, size = SOCKET_BYTES;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) die("socketpair");
  setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  snprintf(log, sizeof log, "%s/runc.log", depot);
  snprintf(pid_file, sizeof pid_file, "%s/pid", depot);
  pid_t self = getpid(), pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    int end = fcntl(pair[1], F_DUPFD, 10), null = open("/dev/null", O_RDWR);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a shim killed now must not leave a runc that goes on */
    if (end < 0 || null < 0 || getppid() != self) _exit(126);
    for (int i = 0; i < 3; i++) dup2(null, i);
    dup2(end, INIT_FD);
    syscall(SYS_close_range, 4u, ~0u, 0u);
    execl(runc, "runc", "--root", runc_root, "--log", log, "run", "--detach", "--preserve-fds", "1", "--pid-file", pid_file, "--bundle", depot, id, (char *)NULL);
    _exit(127);
  }
  /* The kernel makes whoever moves a process between cgroups wait for a grace period (some 10 ms), and nobody for a while
   * after that. Moving ourselves to where we are has that done while runc starts, so that runc finds it done. */
  snprintf(path, sizeof path, "%s/cgroup.procs", cgroup ? cgroup : "");
  if (cgroup && put_file(path, "0") < 0) die("%s", path);
  int status;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  close(pair[1]);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) errno = ENOENT, die("%s", runc);
    runc_failed(log);
  }
  char number[32] = "";
  int fd = openat(S.depot, "pid", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 || read(fd, number, sizeof number - 1) <= 0) die("pid file");
  close(fd);
  S.init_pid = (pid_t)strtol(number, NULL, 10);
  S.init_pidfd = (int)syscall(SYS_pidfd_open, S.init_pid, 0);
  if (S.init_pid <= 1 || S.init_pidfd < 0) die("the container's init ended at once");
  S.pair = pair[0];
  if (listen(S.listener, 128) < 0) die("listen");
  dprintf(1, "ready %d\n", S.init_pid);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(null, 0), dup2(null, 1);
  close(null);
  int rc = serve();
  unlink(sock);
  return rc;
}

/* ---------------------------------------------------------------- starter */

/* What a 'P' frame asks for: where errors go ('': with the output), and the program with its arguments. NULL when malformed. */
static char **take_program(struct cursor *q, const char **log) {
  uint32_t count;
  *log = take_str(q);
  char **argv = take_list(q, 0, &count, 0);
  if (argv && count > 0) return argv;
  free(argv);
  return NULL;
}

/* The forked child: becomes the program a 'P' frame asks for, which answers on the connection the frame came by. Never returns. */
static void start_program(int conn) {
  uint32_t len = 0;
  if (recv(conn, &len, 4, MSG_WAITALL) != 4 || len < 1 || len > MAX_FRAME) _exit(64);
  uint8_t *data = malloc(len);
  if (data == NULL || recv(conn, data, len, MSG_WAITALL) != (ssize_t)len || data[0] != 'P') _exit(64);
  struct cursor q = {data + 1, data + len, 0};
  const char *log;
  char **argv = take_program(&q, &log);
  if (argv == NULL) _exit(64);
  dup2(conn, 1);
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int err = *log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600) : 1;
  if (null < 0 || err < 0) die("%s", log);
  dup2(null, 0), dup2(err, 2);
  syscall(SYS_close_range, 3u, ~0u, 0u);
  signal(SIGCHLD, SIG_DFL);
  dprintf(1, "pid %d\n", getpid()); /* nobody is there to hear it any more: that ends us */
  execv(argv[0], argv);
  die("%s", argv[0]);
}

/*
 * croft-init starter SOCKET: has one program started by each connection, for as long as its own standard input is open. Says
 * `listening`. What it has started lives on.
 */
static int starter_main(const char *sock) {
  prctl(PR_SET_NAME, "croft-starter");
  signal(SIGCHLD, SIG_IGN); /* those that end need nobody */
  int listener = bind_at(sock);
  if (listen(listener, 128) < 0) die("listen");
  dprintf(1, "listening\n");
  for (;;) {
    struct pollfd polls[2] = {{.fd = 0, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
    if (poll(polls, 2, -1) < 0) {
      if (errno == EINTR) continue; /* nobody may be there to accept, and standard input has to be heard */
      return 1;
    }
    if (polls[0].revents) return 0;
    int conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (conn < 0) continue;
    if (fork() == 0) start_program(conn);
    close(conn);
  }
}

int main(int argc, char **argv) {
  const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
  name = name ? name + 1 : argc > 0 ? argv[0] : "";
  if (strcmp(name, "garden-init") == 0) return init_main();
  if (argc > 2 && strcmp(argv[1], "shim") == 0) return shim_main(argv + 2);
  if (argc == 3 && strcmp(argv[1], "starter") == 0) return starter_main(argv[2]);
  dprintf(2, "usage: croft-init shim DEPOT ... | starter SOCKET (started by Croft's executor)\n");
  return 64;
}
