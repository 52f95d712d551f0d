import { connect } from 'node:net'

/** Resolves when a connection to a unix socket ends or cannot be made: whoever accepted it has closed it or died. Never rejects. */
export function untilClosed(path: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const socket = connect(path)
    const end = (): void => {
      signal.removeEventListener('abort', end)
      socket.destroy()
      resolve()
    }
    signal.addEventListener('abort', end, { once: true })
    socket.on('data', () => undefined) // a greeting; unread it would hide the end
    socket.once('error', end)
    socket.once('close', end)
  })
}
