import { describe, expect, it } from 'vitest'
import { credentialAnswer, credentialHelper, parseAttributes } from './credential.js'

const platform = { url: 'http://croft.localhost:8080', token: 'croft_secret' }

describe('the credential helper', () => {
  it('answers with the token for its own platform', () => {
    const asked = parseAttributes(
      'capability[]=authtype\nprotocol=http\nhost=croft.localhost:8080\nwwwauth[]=Basic realm="a=b"\n\n',
    )
    expect(credentialAnswer(asked, platform)).toBe('username=croft\npassword=croft_secret\n')
  })
  it.each([
    ['another host', 'protocol=http\nhost=evil.example'],
    ['another port', 'protocol=http\nhost=croft.localhost:9090'],
    ['another protocol', 'protocol=https\nhost=croft.localhost:8080'],
    ['nothing said', ''],
  ])('says nothing for %s', (_what, text) => {
    expect(credentialAnswer(parseAttributes(text), platform)).toBe('')
  })
  it('is a shell command whose words are quoted', () => {
    expect(credentialHelper('/opt/croft/croft', ['--home', '/var/lib/croft'])).toBe(
      '!/opt/croft/croft git:credential --home /var/lib/croft',
    )
    expect(credentialHelper("/it's here/croft", ['--home', '/$(id)'])).toBe(
      `!'/it'\\''s here/croft' git:credential --home '/$(id)'`,
    )
  })
})
