import type { Command } from 'commander'
import { register as appsCreate } from './apps-create.js'
import { register as appsDestroy } from './apps-destroy.js'
import { register as appsInfo } from './apps-info.js'
import { register as appsSet } from './apps-set.js'
import { register as apps } from './apps.js'
import { register as buildsCacheClear } from './builds-cache-clear.js'
import { register as buildsCancel } from './builds-cancel.js'
import { register as buildsCreate } from './builds-create.js'
import { register as buildsInfo } from './builds-info.js'
import { register as buildsLogs } from './builds-logs.js'
import { register as builds } from './builds.js'
import { register as configGet } from './config-get.js'
import { register as configSet } from './config-set.js'
import { register as configUnset } from './config-unset.js'
import { register as config } from './config.js'
import { register as deploy } from './deploy.js'
import { register as gitCredential } from './git-credential.js'
import { register as gitRemote } from './git-remote.js'
import { register as logs } from './logs.js'
import { register as psRestart } from './ps-restart.js'
import { register as psScale } from './ps-scale.js'
import { register as psStart } from './ps-start.js'
import { register as psStop } from './ps-stop.js'
import { register as ps } from './ps.js'
import { register as rebase } from './rebase.js'
import { register as registryLogin } from './registry-login.js'
import { register as releasesInfo } from './releases-info.js'
import { register as releases } from './releases.js'
import { register as rollback } from './rollback.js'
import { register as sbom } from './sbom.js'
import { register as settings } from './settings.js'
import { register as stackBuild } from './stack-build.js'
import { register as stackUpgrade } from './stack-upgrade.js'
import { register as stackSet } from './stack-set.js'
import { register as stack } from './stack.js'

/** The verbs that ask a platform, wherever it runs. */
export const platformVerbs: readonly ((program: Command) => void)[] = [
  apps,
  appsCreate,
  appsInfo,
  appsSet,
  appsDestroy,
  builds,
  buildsInfo,
  buildsLogs,
  buildsCreate,
  buildsCancel,
  buildsCacheClear,
  config,
  configGet,
  configSet,
  configUnset,
  deploy,
  gitRemote,
  gitCredential,
  logs,
  ps,
  psScale,
  psRestart,
  psStop,
  psStart,
  rebase,
  registryLogin,
  releases,
  releasesInfo,
  rollback,
  sbom,
  settings,
  stack,
  stackSet,
  stackBuild,
  stackUpgrade,
]
