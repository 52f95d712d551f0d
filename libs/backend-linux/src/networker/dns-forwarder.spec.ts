import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLogger } from '@croft/kit'
import { DnsForwarder } from './dns-forwarder.js'

describe('the DNS forwarder', () => {
  let udp: Socket
  let tcp: Server
  let forwarder: DnsForwarder

  beforeAll(async () => {
    tcp = createServer((socket) => socket.on('data', (question) => socket.end(`tcp answer to ${question.toString()}`)))
    tcp.listen(0, '127.0.0.1')
    await once(tcp, 'listening')
    const { port } = tcp.address() as AddressInfo
    udp = createSocket('udp4')
    udp.bind(port, '127.0.0.1')
    await once(udp, 'listening')
    udp.on('message', (question, asker) => udp.send(`answer to ${question.toString()}`, asker.port, asker.address))
    forwarder = await DnsForwarder.listen({
      address: '127.0.0.1',
      resolver: '127.0.0.1',
      resolverPort: port,
      logger: silentLogger,
    })
  })
  afterAll(async () => {
    await forwarder.close()
    udp.close()
    tcp.close()
  })

  it('brings each asker its own answer', async () => {
    const ask = async (question: string): Promise<string> => {
      const socket = createSocket('udp4')
      socket.send(question, forwarder.port, '127.0.0.1')
      const [answer] = (await once(socket, 'message')) as [Buffer]
      socket.close()
      return answer.toString()
    }
    const questions = Array.from({ length: 20 }, (_, number) => `q${number}`)
    expect(await Promise.all(questions.map(ask))).toEqual(questions.map((question) => `answer to ${question}`))
  })

  it('relays TCP on the same port', async () => {
    const socket = connect(forwarder.port, '127.0.0.1')
    socket.write('long question')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toBe('tcp answer to long question')
    socket.destroy()
  })
})
