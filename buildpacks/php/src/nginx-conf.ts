import { BUILD_FILES, PROXIES } from './httpd-conf.js'

/** The configuration of nginx in front of php-fpm. Pure. */

const COMPRESSED =
  'text/plain text/css text/xml text/javascript application/javascript application/json application/xml application/rss+xml application/manifest+json image/svg+xml'

/**
 * nginx.conf over the packages unpacked at `server`. \`serve\` puts in what stands between at signs: RUN, a folder of this instance,
 * PORT, DOCUMENT_ROOT, RELEASE, which changes with every release, and INCLUDE, the directives of the server block: a file of the app's, else how an index is found.
 * `@heroku-fcgi` is what a file written for Heroku calls the way to PHP.
 */
export function nginxConf(server: string): string {
  return `worker_processes 2;
pid @RUN@/nginx.pid;
error_log stderr warn;
daemon off;
events { worker_connections 1024; }

http {
  include "${server}/etc/nginx/mime.types";
  default_type application/octet-stream;
  access_log /proc/self/fd/1 combined;
  server_tokens off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 75;
  client_max_body_size 0;
  types_hash_max_size 2048;
${['client_body', 'fastcgi', 'proxy', 'scgi', 'uwsgi'].map((name) => `  ${name}_temp_path @RUN@/${name};\n`).join('')}
  gzip on;
  gzip_vary on;
  gzip_proxied any;
  gzip_types ${COMPRESSED};

  # The router says where a request came from; whatever a client said of it before never gets here.
${PROXIES.map((range) => `  set_real_ip_from ${range};\n`).join('')}  real_ip_header X-Forwarded-For;
  map $http_x_forwarded_proto $croft_https { default ""; https on; }

  # The date of a file in an image says nothing: an answer is known by its release. Pages that PHP makes keep what they say.
  map $upstream_addr $croft_etag { "" 'W/"@RELEASE@"'; default $upstream_http_etag; }
  map $upstream_addr $croft_modified { "" ""; default $upstream_http_last_modified; }

  upstream heroku-fcgi { server "unix:@RUN@/php.sock"; }

  server {
    listen @PORT@ backlog=511;
    server_name _;
    port_in_redirect off;
    absolute_redirect off;
    root "@DOCUMENT_ROOT@";
    etag off;
    if_modified_since off;
    add_header ETag $croft_etag;
    add_header Last-Modified $croft_modified;
    if ($http_if_none_match ~ '"@RELEASE@"') { return 304; }

    location ~ "/\\.(?!well-known(?:/|$))" { return 404; }
    location ~ "^/(?:${BUILD_FILES})$" { return 404; }

    include "@INCLUDE@";

    location @heroku-fcgi {
      fastcgi_split_path_info "^(.+?\\.php)(/.*)$";
      if (!-f "$document_root$fastcgi_script_name") { return 404; }
      include "${server}/etc/nginx/fastcgi_params";
      fastcgi_param SCRIPT_FILENAME "$document_root$fastcgi_script_name";
      fastcgi_param PATH_INFO "$fastcgi_path_info";
      fastcgi_param HTTPS "$croft_https" if_not_empty;
      fastcgi_param SERVER_NAME "$host";
      fastcgi_param HTTP_PROXY "";
      fastcgi_read_timeout 3600s;
      fastcgi_buffers 16 16k;
      fastcgi_buffer_size 32k;
      fastcgi_pass heroku-fcgi;
    }
    location ~ "\\.php(?:/|$)" { try_files @heroku-fcgi @heroku-fcgi; }
  }
}
`
}

/** What is served when the app brings no directives of its own. */
export const NGINX_DEFAULT = `location / {
  index index.php index.html index.htm;
}
`
