import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'

/** Certificates for specs, made here because node can read them only. */

const tlv = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  const size = body.length
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}
const sequence = (...parts: Buffer[]): Buffer => tlv(0x30, ...parts)
const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, 'hex'))
const ED25519 = sequence(oid('2b6570'))
const name = (text: string): Buffer => sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(text)))))
const time = (date: Date): Buffer => tlv(0x17, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))
const bits = (data: Buffer): Buffer => tlv(0x03, Buffer.from([0]), data)
const extension = (id: string, value: Buffer): Buffer => sequence(oid(id), tlv(0x04, value))
const DAY_MS = 86_400_000

export interface Identity {
  key: string
  cert: string
}

interface Issuer {
  name: string
  key: KeyObject
}

function issue(
  subject: string,
  serial: number,
  isAuthority: boolean,
  issuer?: Issuer,
  hosts: string[] = [],
): Identity & { issuer: Issuer } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const by = issuer ?? { name: subject, key: privateKey }
  const now = Date.now()
  const names = ['localhost', ...hosts].map((host) => tlv(0x82, Buffer.from(host)))
  const alternatives = sequence(...names, tlv(0x87, Buffer.from([127, 0, 0, 1])))
  const extensions = isAuthority
    ? sequence(extension('551d13', sequence(tlv(0x01, Buffer.from([255])))))
    : sequence(extension('551d11', alternatives))
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.from([serial])),
    ED25519,
    name(by.name),
    sequence(time(new Date(now - DAY_MS)), time(new Date(now + DAY_MS))),
    name(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, extensions),
  )
  const der = sequence(body, ED25519, bits(sign(null, body, by.key)))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return {
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    issuer: { name: subject, key: privateKey },
  }
}

/** An authority of that name, and a server (of loopback, and of these hosts) and a client it has signed. */
export function makeCertificates(
  called = 'authority',
  hosts: string[] = [],
): { ca: string; server: Identity; client: Identity } {
  const authority = issue(called, 1, true)
  return {
    ca: authority.cert,
    server: issue('server', 2, false, authority.issuer, hosts),
    client: issue('client', 3, false, authority.issuer),
  }
}
