import { hkdfSync, randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { CroftError, errnoOf, type AppId } from '@croft/kit'
import { KEY_BYTES, seal, unseal } from './seal.js'
import type { SealedValue } from './sealed-value.js'

const SUFFIX = '.key'

/**
 * The keys that wrap the data keys of the apps: `<home>/controller/keys/<id>.key`, mode 0600, never in the database and never in
 * its backups. The key with the greatest id seals; all of them open.
 */
export class Keyring {
  private constructor(private readonly keys: ReadonlyMap<string, Buffer>) {}

  /**
   * Reads the keys of a home, and makes the first one when `mayCreate`.
   * @throws CroftError `keys-missing` when there is none although sealed rows exist, `key-corrupt` for a file that is no key.
   */
  static async open(home: string, mayCreate: boolean): Promise<Keyring> {
    const folder = join(home, 'controller', 'keys')
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const names = (await readdir(folder)).filter((name) => name.endsWith(SUFFIX))
    if (names.length === 0) {
      if (!mayCreate) throw keysMissing(folder)
      names.push(await createKey(folder))
    }
    const keys = new Map<string, Buffer>()
    for (const name of names.toSorted()) {
      const key = Buffer.from((await readFile(join(folder, name), 'utf8')).trim(), 'base64')
      if (key.length !== KEY_BYTES) throw keyCorrupt(join(folder, name))
      keys.set(name.slice(0, -SUFFIX.length), key)
    }
    return new Keyring(keys)
  }

  has(keyId: string): boolean {
    return this.keys.has(keyId)
  }

  /** A key for one purpose, which follows from the newest key: the same after a restart, another one after a new key. */
  derive(purpose: string): Buffer {
    const key = [...this.keys.values()].at(-1) as Buffer
    return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), `croft/${purpose}`, KEY_BYTES))
  }

  /** Seals bytes for one place with the newest key. */
  seal(plain: Buffer, context: string): SealedValue {
    const [id, key] = [...this.keys.entries()].at(-1) as [string, Buffer]
    return seal(plain, key, id, context)
  }

  /** What was sealed for that place. @throws CroftError `seal-broken`, `keys-missing` */
  open(sealed: SealedValue, context: string, what: string): Buffer {
    const key = this.keys.get(sealed.keyId)
    if (key === undefined) throw keysMissing(`a key ring without ${sealed.keyId}`)
    return unseal(sealed, key, context, what)
  }

  /** A new data key for an app, sealed for that app's row. */
  mintDataKey(appId: AppId): SealedValue {
    return this.seal(randomBytes(KEY_BYTES), dataKeyContext(appId))
  }

  /** An app's data key. @throws CroftError `seal-broken`, `keys-missing` */
  openDataKey(appId: AppId, sealed: SealedValue): Buffer {
    return this.open(sealed, dataKeyContext(appId), `the data key of app ${appId}`)
  }
}

function dataKeyContext(appId: AppId): string {
  return `croft/data-key/${appId}`
}

/** Writes a new key so that it is whole or not there, and on disk before anything is sealed with it. */
async function createKey(folder: string): Promise<string> {
  const name = `${new Date().toISOString().slice(0, 10)}-${randomBytes(4).toString('hex')}${SUFFIX}`
  const temporary = join(folder, `.${name}`)
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(`${randomBytes(KEY_BYTES).toString('base64')}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, join(folder, name))
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error // a file system that syncs no folders
  } finally {
    await handle.close()
  }
  return name
}

function keysMissing(where: string): CroftError {
  return new CroftError({
    code: 'keys-missing',
    status: 500,
    title: 'the keys of the config vars are missing',
    detail: `the database holds sealed values, and there is ${where.startsWith('/') ? `no key in ${where}` : where}`,
    suggestion: 'restore <home>/controller/keys from the backup that belongs to this database',
  })
}

function keyCorrupt(path: string): CroftError {
  return new CroftError({
    code: 'key-corrupt',
    status: 500,
    title: `${path} is not a key`,
    detail: `a key is ${KEY_BYTES} bytes in base64`,
    suggestion: 'restore the file from a backup',
  })
}
