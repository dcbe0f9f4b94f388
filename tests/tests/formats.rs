//! `--format`, `--filter` and the shapes of what is listed and inspected.

use coop_tests::{Host, wait_until};

const SHOP: &str = "
name: shop
services:
  web:
    image: coop/host
    command: [sh, -c, 'echo up; exec sleep 1000']
    labels: {tier: front, com.example.note: 'a,b'}
    ports: ['127.0.0.1:18080:80']
    volumes: ['site:/site']
    restart: on-failure:3
    stop_signal: SIGKILL
  job:
    image: coop/host
    command: [sh, -c, 'exit 3']
    labels: {tier: back}
volumes: {site: {}}
";

/// Ids, times and lengths of time as words.
fn redacted(text: &str) -> String {
    let mut shown = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let (bare, end) = match word.char_indices().next_back() {
            Some((at, c)) if !c.is_ascii_alphanumeric() => word.split_at(at),
            _ => (word, ""),
        };
        let is_hex = bare.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        shown += match bare.len() {
            12 if is_hex => "ID",
            64 if is_hex => "LONG_ID",
            _ => bare,
        };
        shown += end;
    }
    shown
}

fn shop(host: &Host) {
    host.stack(SHOP).up();
    wait_until("the job has ended", || {
        host.inspect("shop-job-1")["State"]["Status"] == "exited"
    });
}

#[track_caller]
fn coop(host: &Host, line: &[&str]) -> String {
    let output = host.coop(line).run();
    redacted(&output.success().stdout)
}

#[test]
fn ps_prints_by_template_as_table_and_as_json() {
    let host = Host::new();
    shop(&host);
    assert_eq!(
        coop(
            &host,
            &[
                "ps",
                "-a",
                "--format",
                "{{.ID}} {{.Names}} {{.State}} {{.ExitCode}} {{.Label \"tier\"}}",
                "--filter",
                "name=web"
            ]
        ),
        "ID shop-web-1 running 0 front\n"
    );
    let shown = coop(
        &host,
        &[
            "ps",
            "-a",
            "--format",
            "table {{.Names}}\\t{{.Ports}}\\t{{.Mounts}}\\t{{.LocalVolumes}}\\t{{.Networks}}\\t{{.Label \"com.example.note\"}}",
        ],
    );
    let mut lines: Vec<_> = shown.lines().map(str::trim_end).collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "NAMES        PORTS                     MOUNTS      LOCAL VOLUMES   NETWORKS       note",
            "shop-job-1                                         0               shop_default",
            "shop-web-1   127.0.0.1:18080->80/tcp   shop_site   1               shop_default   a,b",
        ]
    );
    let json: serde_json::Value = serde_json::from_str(
        coop(&host, &["ps", "--format", "json"])
            .lines()
            .next()
            .unwrap(),
    )
    .unwrap();
    assert_eq!(json["Names"], "shop-web-1");
    assert_eq!(json["Project"], "shop");
    assert!(json.get("Label").is_none(), "{json}");
}

#[test]
fn ps_lists_what_the_filters_leave() {
    let host = Host::new();
    shop(&host);
    host.coop([
        "run",
        "-d",
        "--name",
        "alone",
        "--label",
        "tier=front",
        "coop/host",
        "sleep",
        "1000",
    ])
    .run()
    .success();
    let names = |filters: &[&str]| {
        let line = filters.iter().flat_map(|filter| ["--filter", filter]);
        let ps = host.coop(["ps", "--format", "{{.Names}}"]).args(line);
        let output = ps.run();
        let mut names: Vec<_> = output
            .success()
            .lines()
            .iter()
            .map(|line| (*line).to_owned())
            .collect();
        names.sort();
        names.join(" ")
    };
    for (filters, expected) in [
        (&[][..], "alone shop-web-1"),
        (&["stack=shop"], "shop-web-1"),
        (&["status=exited"], "shop-job-1"),
        (&["exited=3"], "shop-job-1"),
        (&["exited=4"], ""),
        (
            &["status=exited", "status=running"],
            "alone shop-job-1 shop-web-1",
        ),
        (&["label=tier=front"], "alone shop-web-1"),
        (
            &["label=tier=front", "label=com.example.note"],
            "shop-web-1",
        ),
        (&["volume=shop_site"], "shop-web-1"),
        (&["volume=/site"], "shop-web-1"),
        (&["network=shop_default"], "shop-web-1"),
        (&["publish=18080"], "shop-web-1"),
        (&["expose=80/tcp"], "shop-web-1"),
        (&["ancestor=coop/host"], "alone shop-web-1"),
        (&["ancestor=other"], ""),
        (&["since=shop-web-1", "stack=alone"], "alone"),
        (&["before=alone"], "shop-web-1"),
        (&["service=web"], "shop-web-1"),
        (&["health=none"], "alone shop-web-1"),
        (&["name=^alone$", "name=web"], "alone shop-web-1"),
    ] {
        assert_eq!(names(filters), expected, "{filters:?}");
    }
    host.coop(["ps", "--filter", "status=up"])
        .run()
        .fails(1, &["no such status", "help: there are"]);
    host.coop(["ps", "--filter", "colour=red"])
        .run()
        .fails(125, &["no such filter"]);
    assert_eq!(
        coop(&host, &["ps", "-l", "--format", "{{.Names}}"]),
        "alone\n"
    );
    assert_eq!(coop(&host, &["ps", "-qn", "2"]), "ID\nID\n");
    let services = host.coop(["-p", "shop", "ps", "-a", "--services"]).run();
    services.success().prints("job\nweb");
}

#[test]
fn sizes_are_what_a_container_has_written() {
    let host = Host::new();
    let run = ["run", "-d", "--name", "writer", "coop/host", "sh", "-c"];
    host.coop(run)
        .arg("head -c 123456 /dev/zero > /file; echo done; exec sleep 1000")
        .run()
        .success();
    wait_until("it has written", || {
        host.coop(["logs", "writer"]).run().stdout.contains("done")
    });
    let size = host.coop(["ps", "-s", "--format", "{{.Size}}"]).run();
    let size = size.success().stdout.clone();
    assert!(size.starts_with("123kB (virtual "), "{size}");
    let inspected = host
        .coop(["inspect", "-s", "-f", "{{.SizeRw}}", "writer"])
        .run();
    inspected.success().prints("123456");
}

#[test]
fn inspect_answers_with_what_a_template_asks() {
    let host = Host::new();
    shop(&host);
    for (template, answer) in [
        (
            "{{.Name}} {{.State.Status}} {{.RestartCount}}",
            "/shop-web-1 running 0",
        ),
        (
            "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
            "com.example.note=a,b;tier=front;",
        ),
        ("{{index .Config.Labels \"tier\"}}", "front"),
        (
            "{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}",
            "18080",
        ),
        (
            "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}}{{end}}",
            "volume shop_site /site",
        ),
        (
            "{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}",
            "on-failure:3",
        ),
        ("{{.HostConfig.LogConfig.Type}}", "json-file"),
        (
            "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}",
            "none",
        ),
        ("{{json .State.ExitCode}}", "0"),
    ] {
        let output = host
            .coop(["inspect", "--format", template, "shop-web-1"])
            .run();
        output.success().prints(answer);
    }
    let output = host.coop(["inspect", "-f", "{{.Nme}}", "shop-web-1"]).run();
    output.fails(
        1,
        &[
            "template execution error: 1:3: no field \"Nme\"",
            "help: there are",
        ],
    );
    let output = host.coop(["inspect", "-f", "{{.Name", "shop-web-1"]).run();
    output.fails(125, &["template parsing error: 1:1: unclosed action"]);
}

#[test]
fn inspect_finds_images_volumes_and_networks_too() {
    let host = Host::new();
    shop(&host);
    for (name, template, answer) in [
        (
            "coop/host",
            "{{index .RepoTags 0}} {{.Os}}",
            "coop/host:latest linux",
        ),
        ("shop_site", "{{.Name}} {{.Driver}}", "shop_site local"),
        (
            "shop_default",
            "{{.Name}} {{.Driver}} {{len .Containers}}",
            "shop_default bridge 1",
        ),
    ] {
        let output = host.coop(["inspect", "-f", template, name]).run();
        output.success().prints(answer);
    }
    let image = host
        .coop(["image", "inspect", "-f", "{{.Id}}", "coop/host"])
        .run();
    let id = image.success().stdout.trim().to_owned();
    let prefix = &id["sha256:".len()..][..10];
    let again = host
        .coop(["inspect", "--type", "image", "-f", "{{.Id}}", prefix])
        .run();
    again.success().prints(&id);
    host.coop(["inspect", "--type", "container", "coop/host"])
        .run()
        .fails(1, &["coop/host"]);
    let none = host.coop(["inspect", "nothing"]).run();
    assert_eq!(none.stdout, "[]\n");
    none.fails(1, &["nothing"]);
}

#[test]
fn health_is_inspected_and_listed() {
    let host = Host::new();
    host.stack(
        "
name: ill
services:
  a:
    image: coop/host
    command: [sleep, '1000']
    stop_signal: SIGKILL
    healthcheck: {test: [CMD, sh, -c, 'echo not well; exit 4'], interval: 100ms, retries: 2}
",
    )
    .up();
    wait_until("it is unhealthy", || {
        host.inspect("ill-a-1")["State"]["Health"]["Status"] == "unhealthy"
    });
    let health = host.inspect("ill-a-1")["State"]["Health"].clone();
    assert!(
        health["FailingStreak"].is_u64() && health["Log"].is_array(),
        "{health}"
    );
    let listed = coop(
        &host,
        &[
            "ps",
            "--filter",
            "health=unhealthy",
            "--format",
            "{{.Names}} {{.Status}}",
        ],
    );
    assert!(listed.contains("(unhealthy)"), "{listed}");
}

#[test]
fn lists_of_images_and_the_version_have_formats() {
    let host = Host::new();
    host.coop(["run", "--rm", "coop/host", "true"])
        .run()
        .success();
    assert_eq!(
        coop(
            &host,
            &["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]
        ),
        "coop/host:latest ID\n"
    );
    let table = coop(
        &host,
        &["image", "ls", "--format", "table {{.ID}}\\t{{.Repository}}"],
    );
    assert_eq!(table, "IMAGE ID       REPOSITORY\nID   coop/host\n");
    let version = coop(
        &host,
        &["version", "--format", "{{.Client.Os}} {{.Server.Version}}"],
    );
    assert_eq!(version, format!("linux {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn stats_have_dockers_keys_and_columns() {
    let host = Host::new();
    shop(&host);
    let stats = host.coop(["stats", "--no-stream"]).run();
    let heading = stats.success().stdout.lines().next().unwrap().to_owned();
    assert_eq!(
        heading
            .split("  ")
            .map(str::trim)
            .filter(|w| !w.is_empty())
            .collect::<Vec<_>>(),
        [
            "CONTAINER ID",
            "NAME",
            "CPU %",
            "MEM USAGE / LIMIT",
            "MEM %",
            "NET I/O",
            "BLOCK I/O",
            "PIDS"
        ]
    );
    assert_eq!(
        coop(
            &host,
            &[
                "stats",
                "--no-stream",
                "--format",
                "{{.Container}} {{.Name}} {{.PIDs}}"
            ]
        ),
        "ID shop-web-1 1\n"
    );
    let all = host
        .coop([
            "stats",
            "--no-stream",
            "--all",
            "--format",
            "{{.Name}} {{.MemPerc}}",
        ])
        .run();
    assert!(all.success().stdout.contains("shop-job-1 --"), "{all}");
}

#[test]
fn live_stats_are_redrawn_in_place_until_ctrl_c() {
    let host = Host::new();
    shop(&host);
    let mut stats = host.coop(["stats", "shop-web-1"]).pty(200, 24);
    stats.wait_for("shop-web-1");
    stats.wait_for("\x1b[H");
    stats.send("\x03");
    let output = stats.wait();
    // The alternate screen is not used, and the cursor never hidden.
    assert!(!output.stdout.contains("\x1b[?"), "{output}");
}
