/** A nominal type: a `Brand<string, 'AppId'>` is not any other string. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name }

export type TeamId = Brand<string, 'TeamId'>
export type AppId = Brand<string, 'AppId'>
export type PushId = Brand<string, 'PushId'>
export type BuildId = Brand<string, 'BuildId'>
export type ReleaseId = Brand<string, 'ReleaseId'>
export type DeploymentId = Brand<string, 'DeploymentId'>
export type InstanceId = Brand<string, 'InstanceId'>
export type NodeId = Brand<string, 'NodeId'>
/** `sha256:` and 64 hex digits. */
export type Digest = Brand<string, 'Digest'>

const DIGEST = /^sha256:[a-f0-9]{64}$/

/** Whether a string is a well-formed sha256 digest (the only algorithm Croft stores). */
export function isDigest(value: string): value is Digest {
  return DIGEST.test(value)
}

/** The digest, or a RangeError; call it before a digest becomes part of a path. */
export function parseDigest(value: string): Digest {
  if (!isDigest(value)) throw new RangeError(`not a sha256 digest: ${JSON.stringify(value.slice(0, 80))}`)
  return value
}
