/** A listening TCP socket as `/proc/<pid>/net/tcp{,6}` shows it. */
export interface Listener {
  port: number
  /** Whether it is bound to 127.0.0.0/8 or ::1 only. */
  isLoopback: boolean
}

const LISTEN = '0A'
const LOOPBACK_V6 = '00000000000000000000000001000000'

/** Reads the listening sockets out of the kernel's table (proc(5): hex address in network order of 32-bit words, hex port). Pure. */
export function parseListeners(table: string): Listener[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((row) => {
      const [, local = '', , state] = row.trim().split(/\s+/)
      if (state !== LISTEN) return []
      const [address = '', port = ''] = local.split(':')
      const isLoopback =
        address.length === 8 ? address.endsWith('7F') : address === LOOPBACK_V6 || address.endsWith('FFFF00000100007F')
      return [{ port: Number.parseInt(port, 16), isLoopback }]
    })
}

export interface PortDiagnosis {
  reason: 'port-closed' | 'port-on-loopback' | 'port-wrong'
  message: string
}

/** Why nobody answers on `port`, judged by what the container listens on. Pure. */
export function diagnosePort(port: number, listeners: readonly Listener[]): PortDiagnosis {
  const own = listeners.filter((listener) => listener.port === port)
  if (own.length > 0 && own.every(({ isLoopback }) => isLoopback)) {
    return {
      reason: 'port-on-loopback',
      message: `it listens on port ${port}, but only on 127.0.0.1 inside its container; listen on all addresses (0.0.0.0 or ::)`,
    }
  }
  const others = [...new Set(listeners.filter((listener) => listener.port !== port).map((listener) => listener.port))]
  if (own.length === 0 && others.length > 0) {
    return {
      reason: 'port-wrong',
      message: `it listens on port ${others.join(', ')}, not on ${port}; listen on the port in $PORT`,
    }
  }
  return { reason: 'port-closed', message: `nothing in it listens on port ${port}; listen on the port in $PORT` }
}
