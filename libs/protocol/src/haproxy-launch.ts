/**
 * How the data plane is started: the contract of the root supervisor, which starts HAProxy as its own user, and the router's
 * control plane, which writes its configuration and programs it. Pure.
 */
export interface HaproxyLaunch {
  /** Absolute path of the program. */
  command: string
  args: string[]
  /** HAProxy is started as soon as all of these exist; the router writes them, the last one last. */
  needs: string[]
  /** The master's command socket: answers while HAProxy is alive, and takes `reload`. */
  masterSocket: string
  /** The worker's command socket, for the router only. */
  statsSocket: string
  /** Holds the master's pid. */
  pidFile: string
}

/** Where Debian's package puts it. */
const HAPROXY = '/usr/sbin/haproxy'

/** Folder the router's control plane writes for HAProxy: configuration, maps, script. */
export function routerFolder(run: string): string {
  return `${run}/router`
}

/** Folder HAProxy writes: its sockets and its pid file. */
export function haproxyFolder(run: string): string {
  return `${run}/haproxy`
}

/**
 * How to start HAProxy in the run directory `run`: in the foreground of its own session, as user `croft-haproxy`, in
 * master-worker mode (so that a reload drops nothing), with `CAP_NET_BIND_SERVICE` as an ambient capability when a port is below
 * 1024. It is alive exactly while `masterSocket` accepts a connection; when a worker dies the master ends too, and all of it is
 * started anew.
 */
export function haproxyLaunch(run: string): HaproxyLaunch {
  const config = `${routerFolder(run)}/haproxy.cfg`
  const masterSocket = `${haproxyFolder(run)}/master.sock`
  const pidFile = `${haproxyFolder(run)}/haproxy.pid`
  return {
    command: HAPROXY,
    args: ['-W', '-S', `${masterSocket},mode,666,level,admin`, '-p', pidFile, '-f', config],
    needs: [config],
    masterSocket,
    statsSocket: `${haproxyFolder(run)}/stats.sock`,
    pidFile,
  }
}
