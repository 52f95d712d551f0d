import type { Buildpack, Target } from './buildpack.js'
import { withEnvFiles, withUserEnv, type Env } from './env.js'
import { apiAtLeast } from './formats/buildpack-toml.js'

/** What the programs of a buildpack are told beside the environment: the variables its API has. Pure. */
export function interfaceEnv(
  buildpack: Pick<Buildpack, 'api' | 'directory'>,
  told: { target: Target; execEnv: string; platform: string },
  paths: { plan: string } | { buildpackPlan: string; layers: string },
): Env {
  const { target, execEnv } = told
  return {
    CNB_BUILDPACK_DIR: buildpack.directory,
    ...(apiAtLeast(buildpack.api, 8) && {
      CNB_PLATFORM_DIR: told.platform,
      ...('plan' in paths
        ? { CNB_BUILD_PLAN_PATH: paths.plan }
        : { CNB_BP_PLAN_PATH: paths.buildpackPlan, CNB_LAYERS_DIR: paths.layers }),
    }),
    ...(apiAtLeast(buildpack.api, 10) && {
      CNB_TARGET_OS: target.os,
      CNB_TARGET_ARCH: target.arch,
      ...nonEmpty('CNB_TARGET_ARCH_VARIANT', target.archVariant),
      ...nonEmpty('CNB_TARGET_DISTRO_NAME', target.distroName),
      ...nonEmpty('CNB_TARGET_DISTRO_VERSION', target.distroVersion),
    }),
    ...(apiAtLeast(buildpack.api, 12) && nonEmpty('CNB_EXEC_ENV', execEnv)),
  }
}

function nonEmpty(name: string, value: string | undefined): Env {
  return value === undefined || value === '' ? {} : { [name]: value }
}

/**
 * The environment of a buildpack's programs: what there is, the user's variables unless the buildpack wants none, and the
 * operator's. Pure.
 */
export function buildpackEnv(shared: Env, buildpack: Pick<Buildpack, 'toml'>, user: Env, operator: Env): Env {
  const isClear = buildpack.toml.buildpack['clear-env'] === true
  const withUser = isClear ? shared : withUserEnv(shared, user)
  return withEnvFiles(withUser, new Map(Object.entries(operator)), 'default')
}
