import { once } from 'node:events'
import { connect } from 'node:net'
import { expect } from 'vitest'
import { turnOf, TURNS } from './turns.js'

/** Before each file of system specs: waits for its turn, which ends with this process. */
const path = process.env[TURNS]
const file = expect.getState().testPath ?? ''
if (path !== undefined) {
  const socket = connect(path)
  await once(socket, 'connect')
  socket.write(turnOf(file))
  await once(socket, 'data')
  socket.unref()
}
