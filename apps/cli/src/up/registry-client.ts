/** What speaks to registries, as a module of its own: it is loaded when one is asked, and most starts ask none. */
export { ExternalRegistry, parseCredentials, proxySettings } from '@croft/oci'
