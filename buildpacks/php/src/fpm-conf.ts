/**
 * The configuration of php-fpm. Pure. `serve` sets the variables: CROFT_RUN is a folder of this instance, WEB_CONCURRENCY the number
 * of workers, CROFT_FPM_SPARE how many stay when there is nothing to do, CROFT_FPM_INCLUDE a file of the app's for the pool.
 */
export function fpmConf(): string {
  return `[global]
daemonize = no
error_log = /proc/self/fd/2
log_level = warning
log_limit = 8192
process_control_timeout = 25s

[web]
listen = \${CROFT_RUN}/php.sock
listen.backlog = 511
pm = dynamic
pm.max_children = \${WEB_CONCURRENCY}
pm.start_servers = 1
pm.min_spare_servers = 1
pm.max_spare_servers = \${CROFT_FPM_SPARE}
clear_env = no
catch_workers_output = yes
decorate_workers_output = no
php_value[error_log] = /proc/self/fd/2
include = \${CROFT_FPM_INCLUDE}
`
}
