export { readConfig, type ExecutorConfig } from './config.js'
export { createExecutor, type Executor, type ExecutorPorts } from './executor.js'
export { ControllerClient } from './sync/controller-client.js'
