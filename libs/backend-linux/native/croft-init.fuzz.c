/*
 * Feeds mutated input to everything in croft-init.c that reads what others wrote: frames of clients, messages of init, what a
 * process is to become, and archives. Built with sanitizers, which end the run at the first wrong step; needs root.
 *
 *   fuzz SEED ROUNDS CORPUS WORK     CORPUS: a folder of archives; WORK: an empty one, which becomes the root directory
 */
#define main croft_main
#define _exit(code) fuzz_exit(code)
#include "croft-init.c"
#undef main
#undef _exit
#include <ftw.h>
#include <sanitizer/common_interface_defs.h>
#include <setjmp.h>

static jmp_buf after_exit;

void fuzz_exit(int code) { longjmp(after_exit, code + 1); }

static uint64_t state;

static uint32_t any(uint32_t below) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return (uint32_t)(state >> 20) % below;
}

struct input { uint8_t data[256 << 10]; size_t len; };

/* Changes some bytes, moves or doubles a piece, or cuts the end off. */
static void mutate(struct input *in) {
  static const uint8_t edge[] = {0, 1, 4, '/', '.', '0', '7', 0x7f, 0x80, 0xff};
  for (uint32_t n = any(6); n > 0 && in->len > 0; n--) {
    uint32_t at = any((uint32_t)in->len);
    switch (any(5)) {
      case 0: in->data[at] ^= (uint8_t)(1u << any(8)); break;
      case 1: in->data[at] = edge[any(sizeof edge)]; break;
      case 2: in->data[at] = (uint8_t)any(256); break;
      case 3: if (any(4) == 0) in->len = at; break;
      default: {
        uint32_t size = any(600);
        if (at + size <= in->len && in->len + size <= sizeof in->data) {
          memmove(in->data + at + size, in->data + at, in->len - at);
          in->len += size;
        }
      }
    }
  }
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
  (void)st, (void)kind;
  return at->level > 0 ? remove(path) : 0;
}

static void clear(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* ---------------------------------------------------------------- archives */

static struct input corpus[32];
static int ncorpus;

static void read_corpus(const char *path) {
  DIR *dir = opendir(path);
  for (struct dirent *e; dir && ncorpus < 32 && (e = readdir(dir)) != NULL;) {
    int fd = openat(dirfd(dir), e->d_name, O_RDONLY);
    ssize_t n = e->d_name[0] == '.' || fd < 0 ? -1 : read(fd, corpus[ncorpus].data, sizeof corpus[0].data / 2);
    if (n > 0) corpus[ncorpus++].len = (size_t)n;
    if (fd >= 0) close(fd);
  }
  if (dir) closedir(dir);
}

/* A header whose sum is wrong says nothing about what comes after the check. */
static void fix_sums(struct input *in) {
  for (size_t at = 0; at + 512 <= in->len; at += 512) {
    struct tar_header *h = (struct tar_header *)(in->data + at);
    if (memcmp(h->magic, "ustar", 5) != 0) continue;
    unsigned sum = 8 * ' ';
    for (size_t i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? 0 : in->data[at + i];
    snprintf(h->sum, 8, "%06o", sum);
  }
}

static int fuzz_archive(void) {
  static struct input in;
  in = corpus[any((uint32_t)ncorpus)];
  mutate(&in);
  if (any(8) > 0) fix_sums(&in);
  int fd = memfd_create("archive", 0), is_whole = 0;
  if (fd < 0 || write_all(fd, in.data, in.len) < 0 || lseek(fd, 0, SEEK_SET) < 0 || chdir("/tar") < 0) return -1;
  tar.bytes = tar.entries = 0, tar.max_bytes = 1 << 20, tar.max_entries = 200;
  int code = setjmp(after_exit);
  if (code == 0) tar_extract(fd);
  is_whole = code == 1;
  syscall(SYS_close_range, 4u, ~0u, 0u);
  if (chdir("/") < 0) return -1;
  clear("/tar");
  return is_whole;
}

/* ---------------------------------------------------------------- frames and messages */

static void put(struct input *in, const void *data, size_t n) {
  if (in->len + n > sizeof in->data) return;
  memcpy(in->data + in->len, data, n);
  in->len += n;
}
static void put_number(struct input *in, uint64_t v, size_t n) { put(in, &v, n); }
static void put_text(struct input *in, const char *text) {
  put_number(in, strlen(text) + 1, 4);
  put(in, text, strlen(text) + 1);
}

static const char *any_id(void) {
  static const char *ids[] = {"a", "b", "c.d", "..", "e/f", ""};
  return ids[any(6)];
}
static void put_id(struct input *in) {
  const char *id = any_id();
  put_number(in, strlen(id), 2);
  put(in, id, strlen(id));
}

static void put_spec(struct input *in) {
  put_text(in, any(2) ? "root" : ""), put_text(in, "/"), put_text(in, "true");
  uint32_t limits = any(4);
  put_number(in, limits, 4);
  for (uint32_t i = 0; i < limits; i++) put_number(in, any(20), 1), put_number(in, any(1000), 8);
  for (int list = 0; list < 2; list++) {
    uint32_t count = any(5);
    put_number(in, count, 4);
    for (uint32_t i = 0; i < count; i++) put_text(in, "K=v");
  }
}

/* A few frames as a client sends them. */
static void put_frames(struct input *in) {
  for (uint32_t n = 1 + any(6); n > 0; n--) {
    size_t start = in->len;
    char type = "RRRAISWHNZ"[any(10)];
    put_number(in, 0, 4), put(in, &type, 1);
    switch (type) {
      case 'R': put_number(in, any(4), 1), put_number(in, any(64), 1), put_number(in, 80, 2), put_number(in, 24, 2), put_id(in), put_spec(in); break;
      case 'A': put_number(in, any(64), 1), put_number(in, any(300), 8), put_number(in, any(300), 8), put_id(in); break;
      case 'I': put(in, "input", any(6)); break;
      case 'N': put_number(in, any(300), 4), put_number(in, any(300), any(2) ? 4 : 3); break; /* there is no container: refused */
      case 'S': put_number(in, any(70), 4), put_id(in); break;
      case 'W': put_number(in, any(200), 2), put_number(in, any(200), 2), put_id(in); break;
      default: break;
    }
    uint32_t len = (uint32_t)(in->len - start - 4);
    memcpy(in->data + start, &len, 4);
  }
}

static void fuzz_spec(void) {
  static struct input in;
  in.len = 0;
  put_spec(&in);
  mutate(&in);
  struct cursor c = {in.data, in.data + in.len, 0};
  struct spec spec;
  size_t seen = 0;
  if (take_spec(&c, &spec) == 0)
    for (char **list = spec.argv; list; list = list == spec.argv ? spec.env : NULL)
      for (char **text = list; *text; text++) seen += strlen(*text);
  state += seen & 1;
  free(spec.argv), free(spec.env);
}

static void fuzz_program(void) {
  static struct input in;
  in.len = 0;
  uint32_t count = any(5);
  put_text(&in, any(2) ? "/log" : ""), put_number(&in, count, 4);
  for (uint32_t i = 0; i < count; i++) put_text(&in, "argument");
  mutate(&in);
  struct cursor c = {in.data, in.data + in.len, 0};
  const char *log;
  char **argv = take_program(&c, &log);
  size_t seen = argv ? strlen(log) : 0;
  for (char **text = argv; text && *text; text++) seen += strlen(*text);
  state += seen & 1;
  free(argv);
}

/* Whatever init has been sent is thrown away; sometimes it says something, mostly of processes that are there. */
static void play_init(int fd) {
  char trash[64];
  union { char buf[256]; struct cmsghdr align; } control;
  for (;;) {
    struct iovec iov = {trash, sizeof trash};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf, .msg_controllen = sizeof control.buf};
    if (recvmsg(fd, &msg, MSG_DONTWAIT) <= 0) break;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
      int fds[8];
      size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      memcpy(fds, CMSG_DATA(c), n * sizeof(int));
      for (size_t i = 0; i < n; i++) {
        if (any(2)) (void)!write(fds[i], "output", 6);
        close(fds[i]);
      }
    }
  }
  for (uint32_t n = any(5); n > 0; n--) {
    struct from_init m = {1 + any(6), S.nprocs && any(4) ? S.procs[any((uint32_t)S.nprocs)]->slot : any(10), (int32_t)any(70000) - 100, (int32_t)any(300) - 100};
    int extra = any(4) == 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    send_pair(fd, &m, any(8) ? sizeof m : any(sizeof m), &extra, extra >= 0, MSG_DONTWAIT);
    if (extra >= 0) close(extra);
  }
  for (int i = 0; i < 50 && from_init() > 0; i++) continue;
}

static void fuzz_frames(void) {
  static struct input in;
  int pair[2], ends[2], on = 1;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) abort();
  setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  S.pair = pair[0];
  for (uint32_t turn = 1 + any(4); turn > 0; turn--) {
    struct client *c = calloc(1, sizeof *c);
    if (c == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) abort();
    c->fd = ends[0];
    S.clients[S.nclients++] = c;
    in.len = 0;
    put_frames(&in);
    mutate(&in);
    for (size_t at = 0; at < in.len && !c->is_dead;) {
      size_t n = 1 + any(200);
      if (n > in.len - at) n = in.len - at;
      if (buffer_add(&c->in, in.data + at, n) < 0) abort();
      client_frames(c);
      at += n;
    }
    play_init(pair[1]);
    for (int i = S.nprocs; i-- > 0;) {
      struct proc *p = S.procs[i];
      if (p->state != STARTING) proc_write(p);
      if (p->state == RUNNING && any(2)) proc_read(p, (int)any(2) && p->out[1] >= 0);
      if (p->state == EXITED && !p->is_reported) proc_drain(p, 0), proc_drain(p, 1), proc_report(p);
    }
    for (int i = S.nclients; i-- > 0;) {
      client_pump(S.clients[i]);
      if (S.clients[i]->is_dead || any(4) == 0) client_free(S.clients[i]);
    }
    close(ends[1]);
  }
  while (S.nclients > 0) client_free(S.clients[0]);
  while (S.nprocs > 0) proc_free(S.procs[0]);
  close(pair[0]), close(pair[1]);
  clear("/proc-dir");
}

int main(int argc, char **argv) {
  if (argc != 5) return 64;
  uint64_t seed = strtoull(argv[1], NULL, 10), rounds = strtoull(argv[2], NULL, 10), whole = 0;
  read_corpus(argv[3]);
  int report = dup(2), null = open("/dev/null", O_RDWR);
  if (ncorpus == 0 || chroot(argv[4]) < 0 || chdir("/") < 0 || mkdir("/tar", 0755) < 0 || mkdir("/proc-dir", 0755) < 0) return 1;
  __sanitizer_set_report_fd((void *)(intptr_t)report);
  dup2(null, 2); /* what the readers say of what they refuse */
  dup2(report, 3), __sanitizer_set_report_fd((void *)(intptr_t)3);
  signal(SIGPIPE, SIG_IGN);
  S.log_bytes = 100, S.oom_file = "/absent", S.init_pidfd = -1;
  for (uint64_t round = 0; round < rounds; round++) {
    state = (seed + round) * 0x9e3779b97f4a7c15u | 1;
    for (int i = 0; i < 8; i++) any(2);
    int rc = fuzz_archive();
    if (rc < 0) return 1;
    whole += (uint64_t)rc;
    fuzz_spec();
    fuzz_program();
    S.proc_dir = open("/proc-dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fuzz_frames();
    close(S.proc_dir);
  }
  printf("%llu rounds, %llu archives unpacked whole\n", (unsigned long long)rounds, (unsigned long long)whole);
  return 0;
}
