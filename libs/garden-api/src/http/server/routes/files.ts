import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { InvalidSpecError, StreamError } from '../../../errors.js'
import { ANSWERED } from '../answer.js'
import type { Call } from '../call.js'
import type { Route } from '../route.js'

const PATH = '/containers/:handle/files'

export const FILE_ROUTES: readonly Route[] = [
  {
    name: 'StreamIn',
    method: 'PUT',
    path: PATH,
    handle: async (call) => {
      const container = await call.container()
      await container.streamIn({ user: userOf(call), path: pathOf(call, 'destination'), tar: call.req })
      return {}
    },
  },
  {
    name: 'StreamOut',
    method: 'GET',
    path: PATH,
    handle: async (call) => {
      const container = await call.container()
      const tar = await container.streamOut({ user: userOf(call), path: pathOf(call, 'source') })
      await firstByte(tar, call.signal)
      call.res.writeHead(200)
      // from here on only a broken connection can say that the tar is not whole
      await pipeline(tar, call.res)
      return ANSWERED
    },
  },
]

function userOf({ query }: Call): string {
  return query.get('user') || 'root'
}

/** An empty path is the user's home. @throws InvalidSpecError */
function pathOf({ query }: Call, name: 'destination' | 'source'): string {
  const path = query.get(name)
  if (path === null) throw new InvalidSpecError(`the parameter ${name} is missing`, { [name]: 'is missing' })
  if (path.includes('\0'))
    throw new InvalidSpecError(`${name} holds a NUL byte`, { [name]: 'must not hold a NUL byte' })
  return path || '.'
}

/** Resolves when there is something to send, so that a failure before still gets an answer. @throws StreamError */
async function firstByte(tar: Readable, signal: AbortSignal): Promise<void> {
  tar.on('error', () => undefined) // it may fail between two who listen; both look at `errored`
  try {
    if (tar.readableLength === 0 && tar.errored === null) await once(tar, 'readable', { signal })
  } catch (error) {
    tar.destroy()
    throw error
  }
  if (tar.errored !== null) throw tar.errored
  if (tar.readableLength === 0) throw new StreamError('out', 'nothing came')
}
