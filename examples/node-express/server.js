const express = require('express')

const app = express()
const port = process.env.PORT || 8080

app.get('/', (request, response) => {
  response.type('text/plain').send('Hello from Express on Croft\n')
})

app.get('/healthz', (request, response) => {
  response.json({ ok: true, instance: process.env.CROFT_INSTANCE, release: process.env.CROFT_RELEASE })
})

const server = app.listen(port, (error) => {
  if (error) throw error
  console.log(`listening on ${port}`)
})

process.on('SIGTERM', () => server.close(() => process.exit(0)))
