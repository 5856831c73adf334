//! A web server of Debian's.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Result, ensure};
use e2e::programs;

use super::{Context, daemon, finished, over};

/// The server as its own image: what is served comes later, by the images that are built on it.
const SERVER: &str = "FROM debian-base
ARG PACKAGE=nginx
RUN apt-get update && apt-get install -y $PACKAGE
LABEL org.example.server=$PACKAGE
EXPOSE 8080
ONBUILD COPY site /srv/site
ONBUILD RUN chmod -R a+rX /srv/site && echo \"of $(id -un)\" >> /srv/site/index.html
";

const SITE: &str = "ARG FROM=server
FROM $FROM
ENV KIND=site
VOLUME /srv/data
WORKDIR /srv/site
COPY --chown=www-data nginx.conf /etc/nginx/nginx.conf
USER www-data
ENTRYPOINT [\"nginx\", \"-e\", \"stderr\"]
CMD [\"-g\", \"daemon off;\"]
";

const CONFIGURATION: &str = "pid /tmp/pid;
events {}
http {
  access_log off;
  client_body_temp_path /tmp/1; proxy_temp_path /tmp/2; fastcgi_temp_path /tmp/3; uwsgi_temp_path /tmp/4; scgi_temp_path /tmp/5;
  server { listen 8080; root /srv/site; }
}
";

fn get(address: &str) -> Result<String> {
    let mut stream = programs::eventually("the server listens", || Ok(TcpStream::connect(address).ok()))?;
    stream.set_read_timeout(Some(programs::PATIENCE))?;
    write!(stream, "GET / HTTP/1.0\r\nHost: site\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn nginx_answers_where_it_is_published_and_where_it_is() -> Result<()> {
    let berth = daemon()?;
    let server = Context::new(&berth, "server", &[("Dockerfile", SERVER)])?;
    finished(&mut server.buildkit_command(&["-t", "server"])?)?;
    let site = Context::new(
        &berth,
        "site",
        &[("Dockerfile", SITE), ("nginx.conf", CONFIGURATION), ("site/index.html", "a site\n")],
    )?;
    finished(&mut site.own_command(&["-t", "site"])?)?;
    let format = "{{.Config.User}} {{.Config.WorkingDir}} {{.Config.Volumes}} {{.Config.ExposedPorts}} {{.Config.Labels}} {{.Config.Cmd}}";
    let is = berth.docker(["image", "inspect", "--format", format, "site"])?.ok()?;
    ensure!(
        is.trim()
            == "www-data /srv/site map[/srv/data:{}] map[8080/tcp:{}] map[org.example.server:nginx] [-g daemon off;]",
        "{is}"
    );
    let run = ["run", "-d", "--name", "site", "-p", "127.0.0.1::8080", "site"];
    berth.docker(run)?.ok()?;
    let published = berth.docker(["port", "site", "8080"])?.ok()?;
    let address = "{{.NetworkSettings.Networks.bridge.IPAddress}}";
    let own = berth.docker(["inspect", "--format", address, "site"])?.ok()?;
    for address in [published.trim().to_owned(), format!("{}:8080", own.trim())] {
        let answer = get(&address)?;
        ensure!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("a site\nof root\n"), "{answer}");
    }
    berth.docker(["rm", "-f", "-v", "site"])?.ok()?;
    over(berth)
}
