import { createServer } from 'node:http'

const server = createServer((request, response) => {
  response.setHeader('content-type', 'text/plain; charset=utf-8')
  response.end(`Hello from ${process.env.CROFT_APP ?? 'node-hello'} (${process.env.CROFT_INSTANCE ?? 'not on Croft'}, release ${process.env.CROFT_RELEASE ?? '-'})\n`)
})
server.listen(process.env.PORT ?? 8080)

process.on('SIGTERM', () => server.close(() => process.exit(0)))
