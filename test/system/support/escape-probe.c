/*
 * What somebody who has become root in a container would try. `escape-probe NAME [ARG...]` makes one attempt and prints
 * `allowed`, or the name of the error it was refused with. Compiled statically by escape.spec.ts and run inside a container.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/perf_event.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char **args;
static const char *arg(int n) {
  if (args[n] == NULL) exit(64);
  return args[n];
}

static long write_to(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  return fd < 0 ? -1 : write(fd, text, strlen(text));
}
static long read_from(const char *path) {
  char byte;
  int fd = open(path, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return -1;
  long n = read(fd, &byte, 1);
  if (n == 0) errno = ENODATA;
  return n == 1 ? 0 : -1;
}
static long mount_fs(void) { return mount("none", "/mnt", "tmpfs", 0, NULL); }
static long mount_proc(void) { return mount("proc", "/mnt", "proc", 0, NULL); }
static long remount_proc_sys(void) { return mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL); }
static long bind_host(void) { return mount("/proc", "/mnt", NULL, MS_BIND, NULL); }
static long unmask(void) { return umount2("/proc/kcore", MNT_DETACH); }
static long new_mount_calls(void) {
  long fd = syscall(SYS_fsopen, "tmpfs", 0);
  return fd >= 0 ? fd : syscall(SYS_open_tree, AT_FDCWD, "/", 1);
}
static long pivot(void) { return syscall(SYS_pivot_root, "/mnt", "/mnt"); }
static long user_namespace(void) { return unshare(CLONE_NEWUSER); }
static long mount_namespace(void) { return unshare(CLONE_NEWNS); }
static long network_namespace(void) { return unshare(CLONE_NEWNET); }
static long clone_namespace(void) {
  long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) _exit(0);
  return pid;
}
static long clone3_namespace(void) {
  struct { uint64_t flags, a, b, c, exit_signal, d, e, f; } how = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
  long pid = syscall(SYS_clone3, &how, sizeof how);
  if (pid == 0) _exit(0);
  return pid;
}
static long join_namespace(void) {
  int fd = open("/proc/1/ns/mnt", O_RDONLY);
  if (fd < 0) fd = open("/proc/self/ns/mnt", O_RDONLY);
  return fd < 0 ? -1 : setns(fd, 0);
}
static long trace_init(void) { return ptrace(PTRACE_SEIZE, 1, 0, 0); }
static long init_memory(void) {
  int fd = open("/proc/1/mem", O_RDWR);
  return fd;
}
static long init_read(void) {
  char byte;
  struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};
  return process_vm_readv(1, &here, 1, &there, 1, 0);
}
static long init_descriptors(void) {
  char target[64];
  return readlink("/proc/1/fd/3", target, sizeof target);
}
static long init_root(void) { return open("/proc/1/root/etc", O_RDONLY); }
static long init_program(void) { return open("/tmp/garden-init", O_WRONLY | O_TRUNC); }
static long kill_init(void) {
  kill(1, SIGKILL);
  usleep(50000);
  errno = ECANCELED; /* we are still here, and so is it */
  return kill(1, 0) == 0 ? -1 : 0;
}
static long core_pattern(void) { return write_to("/proc/sys/kernel/core_pattern", "|/tmp/x"); }
static long ip_forward(void) { return write_to("/proc/sys/net/ipv4/ip_forward", "1"); }
static long sysrq(void) { return write_to("/proc/sysrq-trigger", "h"); }
static long modprobe_path(void) { return write_to("/proc/sys/kernel/modprobe", "/tmp/x"); }
static long binfmt(void) { return write_to("/proc/sys/fs/binfmt_misc/register", ":x:M::x::/tmp/x:"); }
static long uevent_helper(void) { return write_to("/sys/kernel/uevent_helper", "/tmp/x"); }
static long sys_write(void) { return write_to("/sys/kernel/mm/transparent_hugepage/enabled", "never"); }
static long sys_firmware(void) { return open("/sys/firmware/acpi", O_RDONLY); }
static long release_agent(void) {
  long fd = open("/sys/fs/cgroup/release_agent", O_WRONLY);
  return fd >= 0 ? fd : open("/sys/fs/cgroup/memory/release_agent", O_WRONLY);
}
static long cgroup_write(void) {
  int is_v1 = access("/sys/fs/cgroup/memory", F_OK) == 0; /* there the folder above is a tmpfs of the container's own */
  long made = mkdir(is_v1 ? "/sys/fs/cgroup/memory/x" : "/sys/fs/cgroup/x", 0755);
  if (made >= 0) return made;
  return is_v1 ? write_to("/sys/fs/cgroup/memory/memory.limit_in_bytes", "-1") : write_to("/sys/fs/cgroup/memory.max", "max");
}
static long kernel_log(void) {
  long n = syscall(SYS_syslog, 3, NULL, 0);
  char text[64];
  return n >= 0 ? n : syscall(SYS_syslog, 2, text, sizeof text);
}
static long kmsg(void) { return open("/dev/kmsg", O_RDONLY | O_NONBLOCK); }
static long kcore(void) { return read_from("/proc/kcore"); }
static long dev_mem(void) {
  long fd = open("/dev/mem", O_RDONLY);
  return fd;
}
static long node(mode_t kind, unsigned big, unsigned small) {
  unlink("/tmp/node");
  if (mknod("/tmp/node", kind | 0666, makedev(big, small)) < 0) return -1;
  return open("/tmp/node", O_RDONLY);
}
static long block_device(void) { return node(S_IFBLK, 254, 0); }
static long char_device(void) { return node(S_IFCHR, 1, 1); }
static long load_bpf(void) {
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.map_type = BPF_MAP_TYPE_ARRAY, attr.key_size = 4, attr.value_size = 4, attr.max_entries = 1;
  return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
}
static long perf(void) {
  struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attr};
  return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}
static long io_uring(void) {
  char params[120] = {0};
  return syscall(SYS_io_uring_setup, 1, params);
}
static long keyring(void) {
  long n = syscall(SYS_add_key, "user", "x", "y", 1, -3);
  if (n < 0) n = syscall(SYS_keyctl, 0, -3, 0);
  return n >= 0 ? n : syscall(SYS_request_key, "user", "x", NULL, 0);
}
static long page_faults(void) { return syscall(SYS_userfaultfd, 0); }
static long module_load(void) { return syscall(SYS_init_module, "x", 1, ""); }
static long kexec(void) { return syscall(SYS_kexec_load, 0, 0, NULL, 0); }
static long restart(void) { return reboot(RB_ENABLE_CAD); }
static long set_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return clock_settime(CLOCK_REALTIME, &now);
}
static long swap(void) { return swapon("/tmp/node", 0); }
static long by_handle(void) {
  struct { uint32_t bytes; int32_t type; char handle[8]; } handle = {8, 1, {2}};
  return syscall(SYS_open_by_handle_at, AT_FDCWD, &handle, O_RDONLY);
}
static long io_ports(void) {
#ifdef __x86_64__
  return iopl(3);
#else
  errno = ENOSYS;
  return -1;
#endif
}
static long accounting(void) { return syscall(SYS_acct, "/tmp/node"); }
static long quota(void) { return syscall(SYS_quotactl, 0x800002, NULL, 0, NULL); }
static long watch_everything(void) { return syscall(SYS_fanotify_init, 0, 0); }
static long vsock(void) { return socket(40, SOCK_STREAM, 0); }
static long kernel_crypto(void) { return socket(38, SOCK_SEQPACKET, 0); }
static long host_name(void) { return sethostname("pwned", 5); }
static long priority(void) { return setpriority(PRIO_PROCESS, 0, -20); }
static long more_files(void) {
  struct rlimit all = {1u << 30, 1u << 30};
  return setrlimit(RLIMIT_NOFILE, &all);
}
static long own_address(void) {
  struct ifreq request = {0};
  struct sockaddr_in *to = (struct sockaddr_in *)&request.ifr_addr;
  strcpy(request.ifr_name, "eth0");
  to->sin_family = AF_INET;
  inet_pton(AF_INET, arg(0), &to->sin_addr);
  return ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFADDR, &request);
}

/* Sends a UDP packet to ADDRESS PORT from FROM, whoever has that address; 0 when the kernel took it. */
static long forged(void) {
  struct { struct iphdr ip; struct udphdr udp; char text[6]; } __attribute__((packed)) packet = {0};
  struct sockaddr_in to = {.sin_family = AF_INET};
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) return -1;
  inet_pton(AF_INET, arg(0), &to.sin_addr);
  packet.ip.version = 4, packet.ip.ihl = 5, packet.ip.ttl = 64, packet.ip.protocol = IPPROTO_UDP;
  packet.ip.tot_len = htons(sizeof packet), packet.ip.daddr = to.sin_addr.s_addr;
  inet_pton(AF_INET, arg(2), &packet.ip.saddr);
  packet.udp.source = htons(4242), packet.udp.dest = htons((uint16_t)atoi(arg(1)));
  packet.udp.len = htons(sizeof packet - sizeof packet.ip);
  memcpy(packet.text, "forged", 6);
  return sendto(fd, &packet, sizeof packet, 0, (struct sockaddr *)&to, sizeof to) < 0 ? -1 : 0;
}

/* Says on the link, twenty times, that ADDRESS is here. */
static long arp(void) {
  uint8_t frame[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2};
  int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ARP));
  struct ifreq request = {0};
  if (fd < 0) return -1;
  strcpy(request.ifr_name, "eth0");
  if (ioctl(fd, SIOCGIFHWADDR, &request) < 0) return -1;
  memcpy(frame + 6, request.ifr_hwaddr.sa_data, 6), memcpy(frame + 22, request.ifr_hwaddr.sa_data, 6);
  inet_pton(AF_INET, arg(0), frame + 28), inet_pton(AF_INET, arg(0), frame + 38);
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("eth0"), .sll_halen = 6};
  memset(to.sll_addr, 0xff, 6);
  for (int i = 0; i < 20; i++) if (sendto(fd, frame, sizeof frame, 0, (struct sockaddr *)&to, sizeof to) < 0) return -1;
  return 0;
}

/* The way out of a chroot that works when one's root lies below the real one. */
static long out_of_root(void) {
  struct stat before, after;
  if (stat("/", &before) < 0 || mkdir("/tmp/jail", 0755) < 0 || chroot("/tmp/jail") < 0) return -1;
  for (int i = 0; i < 64; i++) if (chdir("..") < 0) return -1;
  if (chroot(".") < 0 || stat("/", &after) < 0) return -1;
  errno = EXDEV; /* it ends where it began */
  return before.st_dev == after.st_dev && before.st_ino == after.st_ino ? -1 : 0;
}

static long memory_bomb(void) {
  for (int i = 0; i < 100000; i++) {
    char *more = malloc(1 << 20);
    if (more == NULL) return -1;
    memset(more, 1, 1 << 20);
  }
  return 0;
}
static long fork_bomb(void) {
  int made = 0;
  for (; made < 100000; made++) {
    pid_t pid = fork();
    if (pid < 0) break;
    if (pid == 0) for (;;) pause();
  }
  return made < 100000 ? -1 : 0;
}
static long shared_memory(void) {
  static char block[1 << 20];
  int fd = open("/dev/shm/fill", O_WRONLY | O_CREAT, 0600);
  for (int i = 0; i < 4096; i++) if (fd < 0 || write(fd, block, sizeof block) < 0) return unlink("/dev/shm/fill"), errno = ENOSPC, -1L;
  return 0;
}
static long disk(void) {
  static char block[1 << 20];
  memset(block, 1, sizeof block);
  int fd = open("/root/fill", O_WRONLY | O_CREAT, 0600);
  for (int i = 0; i < 4096; i++)
    if (fd < 0 || write(fd, block, sizeof block) < (ssize_t)sizeof block) {
      unlink("/root/fill");
      errno = ENOSPC;
      return -1;
    }
  return 0;
}
static long inodes(void) {
  char path[64];
  mkdir("/root/many", 0755);
  for (int i = 0; i < 100000; i++) {
    snprintf(path, sizeof path, "/root/many/%d", i);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    if (fd < 0) return -1;
    close(fd);
  }
  return 0;
}
static long become_root(void) {
  errno = EPERM;
  return geteuid() == 0 ? 0 : -1;
}

static const struct { const char *name; long (*make)(void); } attempts[] = {
  {"mount", mount_fs}, {"mount-proc", mount_proc}, {"remount-proc-sys", remount_proc_sys}, {"bind", bind_host}, {"unmask", unmask},
  {"new-mount-calls", new_mount_calls}, {"pivot-root", pivot}, {"user-namespace", user_namespace},
  {"mount-namespace", mount_namespace}, {"network-namespace", network_namespace}, {"clone-namespace", clone_namespace},
  {"clone3-namespace", clone3_namespace}, {"join-namespace", join_namespace}, {"ptrace", trace_init}, {"init-memory", init_memory},
  {"init-read", init_read}, {"init-descriptors", init_descriptors}, {"init-root", init_root}, {"init-program", init_program},
  {"kill-init", kill_init}, {"core-pattern", core_pattern}, {"ip-forward", ip_forward}, {"sysrq", sysrq},
  {"modprobe-path", modprobe_path}, {"binfmt", binfmt}, {"uevent-helper", uevent_helper}, {"sys-write", sys_write},
  {"sys-firmware", sys_firmware}, {"release-agent", release_agent}, {"cgroup-write", cgroup_write}, {"kernel-log", kernel_log},
  {"kmsg", kmsg}, {"kcore", kcore}, {"dev-mem", dev_mem}, {"block-device", block_device}, {"char-device", char_device},
  {"bpf", load_bpf}, {"perf", perf}, {"io-uring", io_uring}, {"keyring", keyring}, {"userfaultfd", page_faults},
  {"module", module_load}, {"kexec", kexec}, {"reboot", restart}, {"set-clock", set_clock}, {"swap", swap},
  {"by-handle", by_handle}, {"io-ports", io_ports}, {"accounting", accounting}, {"quota", quota}, {"fanotify", watch_everything},
  {"vsock", vsock}, {"kernel-crypto", kernel_crypto}, {"host-name", host_name}, {"priority", priority}, {"more-files", more_files},
  {"own-address", own_address}, {"forged", forged}, {"arp", arp}, {"out-of-root", out_of_root}, {"memory", memory_bomb},
  {"forks", fork_bomb}, {"shared-memory", shared_memory}, {"disk", disk}, {"inodes", inodes}, {"become-root", become_root},
};

int main(int argc, char **argv) {
  args = argv + (argc < 2 ? 1 : 2);
  for (size_t i = 0; argc > 1 && i < sizeof attempts / sizeof *attempts; i++) {
    if (strcmp(argv[1], attempts[i].name) != 0) continue;
    errno = 0;
    long made = attempts[i].make();
    printf("%s\n", made >= 0 ? "allowed" : strerrorname_np(errno));
    return 0;
  }
  fprintf(stderr, "escape-probe: no such attempt\n");
  return 64;
}
