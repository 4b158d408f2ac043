# SPDX-License-Identifier: LGPL-2.1-or-later
"""nginx as the front web server of all other sites, a site itself. Its servers are the example that ships."""
import pathlib

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "units" / "examples" / "nginx-front.conf"
SITE = """\
[Site]
Description=The front web server of all others

[Socket]
ListenStream={address}

[Container]
User=www-data
ExecStart=/usr/sbin/nginx -e stderr -c /front/nginx.conf
Environment="NGINX=3;"
BindReadOnlyPaths={folder}:/front %t/listen {www}:/srv/www /etc/nginx/fastcgi_params
NonBlocking=yes
KillSignal=SIGQUIT

[Hibernate]
StopAfterSec=infinity
"""
CONF = """\
daemon off;
worker_processes 1;
pid /tmp/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
	access_log off;
	client_body_temp_path /tmp/body;
	proxy_temp_path /tmp/proxy;
	fastcgi_temp_path /tmp/fastcgi;
	uwsgi_temp_path /tmp/uwsgi;
	scgi_temp_path /tmp/scgi;
	server_names_hash_bucket_size 128;
{servers}
}}
"""


def files(address, run, folder, www, php_sites=()):
    """The text of folder/nginx.conf, and that of the site, for a torpord whose run directory and sites' folders lie
    elsewhere. address: 127.0.0.1:8080."""
    servers = (EXAMPLE.read_text().replace("/run/torpor/", f"{run}/").replace("listen 80", f"listen {address}")
               .replace("php.example.com", " ".join(php_sites) or "php.example.com"))
    return CONF.format(servers=servers), SITE.format(address=address, folder=folder, www=www)
