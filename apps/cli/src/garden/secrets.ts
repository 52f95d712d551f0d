import { readFile, stat } from 'node:fs/promises'
import { CroftError, messageOf } from '@croft/kit'

const MIN_TOKEN_CHARACTERS = 16

/** A file that an option names cannot be used. */
export class UnusableFile extends CroftError {
  constructor(title: string, suggestion: string) {
    super({ code: 'unusable-file', status: 400, title, suggestion })
  }
}

/** The token in a file only its owner may read. @throws UnusableFile */
export async function readToken(path: string): Promise<string> {
  const token = (await readSecret(path)).trim()
  if (token.length < MIN_TOKEN_CHARACTERS || /\s/.test(token)) {
    throw new UnusableFile(`${path} holds no token`, `openssl rand -hex 32 > ${path}`)
  }
  return token
}

/** A file that others may not read. @throws UnusableFile */
export async function readSecret(path: string): Promise<string> {
  const text = await readPlain(path)
  if (((await stat(path)).mode & 0o077) !== 0) throw new UnusableFile(`others may read ${path}`, `chmod 600 ${path}`)
  return text
}

/** @throws UnusableFile */
export async function readPlain(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new UnusableFile(`cannot read ${path}: ${messageOf(error)}`, 'check the path')
  }
}

/** The number of a group, by its name or as it is. @throws UnusableFile */
export async function groupId(group: string): Promise<number> {
  if (/^\d+$/.test(group)) return Number(group)
  const line = (await readPlain('/etc/group')).split('\n').find((one) => one.startsWith(`${group}:`))
  const id = line?.split(':')[2]
  if (id === undefined) throw new UnusableFile(`there is no group ${group}`, `groupadd --system ${group}`)
  return Number(id)
}
