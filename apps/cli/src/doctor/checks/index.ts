import type { Check } from '../check.js'
import { capacity } from './capacity.js'
import { cgroups } from './cgroups.js'
import { disk } from './disk.js'
import { garden } from './garden.js'
import { home } from './home.js'
import { kernel } from './kernel.js'
import { network } from './network.js'
import { ports } from './ports.js'
import { registries } from './registries.js'
import { registry } from './registry.js'
import { root } from './root.js'
import { runc } from './runc.js'
import { system } from './system.js'
import { tools } from './tools.js'

/** Every check there is, in the order their findings are shown. */
export const checks: readonly Check[] = [
  root,
  system,
  kernel,
  cgroups,
  home,
  garden,
  registry,
  disk,
  ports,
  tools,
  network,
  runc,
  registries,
  capacity,
]
