//! The whole way from text to a stack, and what the user reads when it fails.

mod errors;
mod fuzz;
mod load;
mod meaning;
mod refused;

use super::limits::{CpuQuota, Limits};
use super::load::Loaded;
use super::*;
use std::path::Path;

fn load_text(text: &str) -> Result<Loaded, LoadError> {
    let variables =
        [("TAG", "1.2"), ("HOME", "/home/me"), ("EMPTY", "")].map(|(k, v)| (k.into(), v.into()));
    parse(
        Source::new("stack.yaml", text),
        Path::new("/srv/shop"),
        variables.into(),
        None,
    )
}

fn errors(text: &str) -> String {
    match load_text(text) {
        Ok(_) => panic!("no error in {text}"),
        Err(error) => format!("error: {error}"),
    }
}

fn service(text: &str) -> Service {
    let loaded = load_text(text).unwrap_or_else(|error| panic!("{error}"));
    loaded.stack.services[0].clone()
}

/// A service named `web` with the given lines.
fn web(lines: &str) -> Service {
    let lines: Vec<String> = lines.lines().map(|line| format!("    {line}")).collect();
    service(&format!(
        "services:\n  web:\n    image: x\n{}\n",
        lines.join("\n")
    ))
}

const FULL: &str = r#"
version: "3.8"
name: shop
x-common: &common
  stop_grace_period: 1m30s
  labels: {team: core}
services:
  web:
    <<: *common
    image: nginx:${TAG:-latest}
    command: ["httpd", "-f", "$$PORT"]
    entrypoint: /bin/sh -c 'exec "$$@"'
    environment:
      - MODE=prod
      - HOST_ONLY
    env_file: web.env
    working_dir: /srv
    user: 1000:www
    hostname: web-1
    ports:
      - "8080:80"
      - 9000
      - target: 53
        published: "5353"
        host_ip: 127.0.0.1
        protocol: udp
      - 3000-3001:4000-4001
    volumes:
      - ./site:/srv/www:ro,z
      - data:/data
      - ~/cache:/cache
      - /anonymous
      - type: tmpfs
        target: /scratch
        tmpfs: {size: 64m, mode: 01777}
      - type: bind
        source: ../conf
        target: /conf
        read_only: true
        bind: {propagation: rslave, create_host_path: false}
    tmpfs:
      - /run:size=1m,mode=755
    depends_on:
      db:
        condition: service_healthy
      job:
        condition: service_completed_successfully
        required: false
    stop_signal: SIGUSR1
    cap_add: [NET_ADMIN]
    cap_drop: [ALL]
    read_only: true
    mem_limit: 64m
    memswap_limit: -1
    mem_reservation: 32M
    cpus: 0.5
    cpu_shares: 512
    cpuset: 0-1
    pids_limit: 64
    network_mode: bridge
    x-note: [a, {b: 1}]
  db:
    rootfs: {path: ./db, mode: ro}
    healthcheck:
      test: [CMD, "pg_isready"]
      interval: 5s
      timeout: 500ms
      retries: 3
      start_period: 1m
      start_interval: 1s
    deploy:
      resources:
        limits: {cpus: "1.5", memory: 1g, pids: 100}
        reservations: {memory: 512m}
    userns_mode: host
  job:
    rootfs: ./job
    command: run "a b"
    env_file:
      - path: ./one.env
        required: false
    healthcheck: {disable: true}
    environment: {A: 1, B: 1.5, C: true, D: "", E: }
volumes:
  data:
  other:
    external: true
    name: shared
"#;
