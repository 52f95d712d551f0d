import type { ControllerConfig } from './config.js'

/** Printed addresses; the Host header of a request never makes one. Pure. */
export type AddressConfig = Pick<ControllerConfig, 'publicUrl'>

/** An app's address, e.g. `http://shop.localhost:8080`. */
export function appUrl(config: AddressConfig, appName: string): string {
  const url = new URL(config.publicUrl)
  return `${url.protocol}//${appName}.${url.host}`
}

/** The platform's own origin, e.g. `http://croft.localhost:8080`. */
export function platformUrl(config: AddressConfig): string {
  return appUrl(config, 'croft')
}

/** Where an app is pushed to, e.g. `http://croft.localhost:8080/shop.git`. */
export function gitUrl(config: AddressConfig, appName: string): string {
  return `${platformUrl(config)}/${appName}.git`
}
