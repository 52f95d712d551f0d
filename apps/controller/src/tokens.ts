/** Injection tokens of what is not a class of ours: `@Inject(DATA_SOURCE) dataSource: DataSource`. */
export const CONFIG = Symbol('CONFIG')
export const DATA_SOURCE = Symbol('DATA_SOURCE')
export const LOGGER = Symbol('LOGGER')
export const CLOCK = Symbol('CLOCK')
/** The internal HTTP server of the executors (RUN/node/node.sock), an InternalServer. */
export const NODE_SERVER = Symbol('NODE_SERVER')
/** The internal HTTP server of the routers (RUN/control/control.sock), an InternalServer. */
export const CONTROL_SERVER = Symbol('CONTROL_SERVER')
/** A shared ioredis connection for short commands (health). Queues and workers make their own with `redisOptions(config.redisUrl)`. */
export const REDIS = Symbol('REDIS')
