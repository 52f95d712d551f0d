import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { errnoOf } from '@croft/kit'
import { buildConnector } from 'undici'

/** Certificates in PEM, of those who may sign for registries; empty: none. */
export type Certificates = () => Promise<string>

/** Made of the same certificates for all registries, and large. */
let latest: { pem: string; context: SecureContext } | undefined

/** Of those that Node trusts, and these. */
export function contextOf(pem: string): SecureContext {
  if (latest?.pem !== pem) latest = { pem, context: createSecureContext({ ca: [...getCACertificates(), pem] }) }
  return latest.context
}

/** Connects as undici does; over TLS it trusts besides Node's own certificates those that there are at that moment. */
export function trustingConnector(
  options: buildConnector.BuildOptions,
  certificates: Certificates = () => Promise.resolve(''),
): buildConnector.connector {
  const usual = buildConnector(options)
  let trusting: { context: SecureContext; connect: buildConnector.connector } | undefined
  const connectorNow = async (): Promise<buildConnector.connector> => {
    const pem = await certificates()
    if (!pem.includes('-----BEGIN CERTIFICATE-----')) return usual
    const context = contextOf(pem)
    if (trusting?.context !== context) {
      trusting = { context, connect: buildConnector({ ...options, secureContext: context }) }
    }
    return trusting.connect
  }
  return (target, done) => {
    if (target.protocol !== 'https:') return usual(target, done)
    connectorNow()
      .then((connect) => connect(target, done))
      .catch((error: Error) => done(error, null))
  }
}

const UNTRUSTED = new Set([
  'CERT_SIGNATURE_FAILURE', // of one with the name of another
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])

/** Whether a connection failed because nobody who is trusted signed the certificate. Pure. */
export function isUntrusted(error: unknown): boolean {
  return UNTRUSTED.has(errnoOf(error) ?? '')
}
