export { createController, type Controller } from './controller.js'
export { readConfig, type ControllerConfig } from './config.js'
export type { ControllerPorts } from './controller.module.js'
