//! The whole way from text to a stack, and what the user reads when it fails.

use super::*;
use insta::assert_snapshot;
use proptest::prelude::*;
use std::path::PathBuf;

fn load_text(text: &str) -> Result<Loaded, LoadError> {
    let variables =
        [("TAG", "1.2"), ("HOME", "/home/me"), ("EMPTY", "")].map(|(k, v)| (k.into(), v.into()));
    parse(Source::new("stack.yaml", text), PathBuf::from("/srv/shop"), variables.into(), None)
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
    service(&format!("services:\n  web:\n    image: x\n{}\n", lines.join("\n")))
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
    labels: [a=b]
  other:
    external: true
    name: shared
"#;

#[test]
fn config_prints_the_canonical_form() {
    let loaded = load_text(FULL).unwrap_or_else(|error| panic!("{error}"));
    assert_snapshot!(to_yaml(&loaded.stack).unwrap());
    let warnings: Vec<String> = loaded.warnings.iter().map(|w| w.render(&loaded.source)).collect();
    assert_snapshot!("config_warnings", warnings.join("\n\n"));
}

#[test]
fn the_canonical_form_reads_back_as_itself() {
    let first = load_text(FULL).unwrap().stack;
    let text = to_yaml(&first).unwrap();
    let second = load_text(&text).unwrap_or_else(|error| panic!("{error}")).stack;
    assert_eq!(to_yaml(&second).unwrap(), text);
    // JSON is YAML, too.
    let third = load_text(&to_json(&first).unwrap()).unwrap().stack;
    assert_eq!(to_yaml(&third).unwrap(), text);
}

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    assert_snapshot!(errors(
        "servces: {}
services:
  web:
    imgae: nginx
    helthcheck: {}
    deploy:
      resources:
        limits: {cpu: 1}
    healthcheck:
      tets: x
    ports:
      - {target: 80, publish: 8080}
    volumes:
      - {type: bind, source: /a, target: /b, readonly: true, bind: {propogation: shared}}
    zzzzz: 1
volumes:
  data: {lables: {}}
"
    ));
}

#[test]
fn keys_of_compose_that_coop_has_not_yet_say_so() {
    assert_snapshot!(errors(
        "networks: {front: }
services:
  web:
    image: nginx
    networks: [front]
    restart: always
    privileged: true
    deploy:
      replicas: 3
      resources:
        reservations: {devices: []}
    volumes:
      - {type: volume, source: data, target: /d, volume: {subpath: x}}
volumes: {data: {driver_opts: {}}}
"
    ));
}

#[test]
fn wrong_types_say_what_was_expected_and_found() {
    assert_snapshot!(errors(
        "name: [a]
services:
  a: nginx
  b:
    image: 5
    command: {x: 1}
    environment: text
    ports: 8080
    read_only: maybe
    cpu_shares: many
    depends_on: 5
    healthcheck: [CMD, x]
    cap_add: NET_ADMIN
    labels: [1, [2]]
    volumes: [{type: tmpfs, target: /x, tmpfs: {mode: 9}}]
    mem_limit: []
volumes: [data]
"
    ));
}

#[test]
fn wrong_values_say_how_they_are_written() {
    assert_snapshot!(errors(
        "services:
  web:
    image: nginx
    mem_limit: 64q
    cpus: none
    stop_grace_period: 10
    stop_signal: SIGFOO
    user: 'a b'
    hostname: -x-
    ports: ['80:http', {published: 80}]
    volumes: ['data', './a:b', {type: npipe, source: a, target: /b}, {target: /x}]
    tmpfs: /run:suid
    environment: ['A B=1']
    command: sh -c 'exit
    healthcheck: {test: [CMD], interval: soon}
    network_mode: service:db
    userns_mode: keep-id
    cpuset: all
    pids_limit: -5
    rootfs: {path: '', mode: rx}
    depends_on: {db: {condition: healthy}, x: {}}
"
    ));
}

#[test]
fn what_only_the_whole_file_shows() {
    assert_snapshot!(errors(
        "services:
  web:
    image: nginx
    rootfs: ./web
    depends_on: [dbb]
    ports: ['8080:80', '8000-8090:1-91']
  db:
    depends_on: {job: {condition: service_healthy}}
    volumes: ['dat:/x', 'new:/x/']
    mem_limit: 10m
    memswap_limit: 5m
    mem_reservation: 20m
    deploy: {resources: {limits: {memory: 11m}}}
  job:
    image: x
    healthcheck: {test: NONE, disable: true}
    network_mode: host
    ports: ['127.0.0.1:8080:80']
    cpus: 1
    cpu_quota: 5
volumes: {data: }
"
    ));
}

#[test]
fn a_circle_of_dependencies_is_spelled_out() {
    assert_snapshot!(errors(
        "services:
  x: {image: i, depends_on: [a]}
  a: {image: i, depends_on: [b]}
  b: {image: i, depends_on: {c: {condition: service_started}}}
  c: {image: i, depends_on: [a]}
"
    ));
}

#[test]
fn variables_that_are_wrong_or_required() {
    assert_snapshot!(errors(
        "services:
  web:
    image: ${IMAGE:?name the image}
    command: ${A!}
    mem_limit: $
    hostname: ${EMPTY:?}
"
    ));
}

#[test]
fn variables_that_are_unset_are_a_warning_each() {
    let loaded = load_text(
        "services: {web: {image: \"a$NO\", hostname: '${NO-x}', labels: [a=$NO, c=$OTHER, b=$TAG]}}",
    )
    .unwrap();
    let warnings: Vec<String> = loaded.warnings.iter().map(|w| w.render(&loaded.source)).collect();
    assert_snapshot!(warnings.join("\n\n"));
}

#[test]
fn syntax_errors_show_the_line() {
    assert_snapshot!(errors("services:\n  web:\n\timage: x\n"));
    assert_snapshot!("syntax_bracket", errors("services:\n  web: [a\nvolumes: {}\n"));
    assert_snapshot!("syntax_indent", errors("services:\n  web:\n    image: x\n   user: y\n"));
    assert_snapshot!("syntax_alias", errors("services:\n  web: *base\n"));
    assert_snapshot!("duplicate_key", errors("services:\n  web:\n    image: x\n    user: a\n    image: y\n"));
    assert_snapshot!("merge_scalar", errors("x-a: &a 5\nservices:\n  web:\n    <<: *a\n    image: x\n"));
    assert_snapshot!("key_number", errors("services:\n  1: {image: x}\n"));
}

#[test]
fn a_file_without_services_says_so() {
    assert_snapshot!(errors(""));
    assert_snapshot!("services_empty", errors("services: {}\n"));
    assert_snapshot!("not_a_mapping", errors("- a\n- b\n"));
    assert_snapshot!("names", errors("name: My Shop\nservices:\n  ../x: {image: a}\nvolumes: {'a b': }\n"));
}

#[test]
fn a_problem_of_an_anchor_is_shown_where_it_is_written() {
    assert_snapshot!(errors(
        "x-base: &base
  mem_limit: lots
services:
  web:
    <<: *base
    image: x
"
    ));
}

#[test]
fn a_long_line_is_cut_and_control_characters_are_not_printed() {
    let padding = "x".repeat(300);
    let text = format!("{{\"x-a\": \"{padding}\", \"services\": {{\"a\": {{\"imge\": \"{padding}\"}}}}}}");
    assert_snapshot!(errors(&text));
    let shown = errors("services:\n  web:\n    \"im\\e[31mge\": 1\n");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn the_planner_reports_in_the_same_way() {
    let source = Source::new("stack.yaml", "services:\n  web:\n    ports:\n      - \"8080:80\"\n");
    let problem = Diagnostic::at(
        NodePath::service("web").key("ports").index(0),
        "web: cannot publish port 8080: address already in use",
    )
    .note("held by nginx (pid 812), listening on 0.0.0.0:8080")
    .help("stop it, or publish another port: \"8081:80\"");
    assert_snapshot!(format!("error: {}", problem.into_report(&source)));
}

#[test]
fn an_empty_command_clears_and_an_absent_one_keeps() {
    assert_eq!(web("").command, None);
    assert_eq!(web("command:").command, None);
    assert_eq!(web("command: ''").command, Some(vec![]));
    assert_eq!(web("command: []").command, Some(vec![]));
    let words = vec!["sh".to_owned(), "-c".to_owned(), "echo a b".to_owned()];
    assert_eq!(web("command: sh -c 'echo a b'").command, Some(words));
}

#[test]
fn variables_make_text_of_everything() {
    let text = "services: {web: {image: x, read_only: \"${NO:-true}\", cpus: '${NO:-0.5}', \
                cpu_shares: \"${NO-12}\", ports: ['${NO:-80}:80'], pids_limit: '${NO:--1}'}}";
    let web = service(text);
    assert!(web.read_only);
    assert_eq!(web.cpu_shares, Some(12));
    assert_eq!(web.cpus.unwrap().to_string(), "0.5");
    assert_eq!(web.ports[0].to_string(), "80:80");
    assert_eq!(web.pids_limit, Some(value::PidsLimit::Unlimited));
}

#[test]
fn limits_come_from_either_place() {
    let limits = web("deploy: {resources: {limits: {cpus: 50%, memory: 1k, pids: 5}}}").limits();
    assert_eq!(limits.memory, Some(value::ByteSize(1024)));
    assert_eq!(limits.cpu, Some(CpuQuota { quota_us: Some(50_000), period_us: 100_000 }));
    assert_eq!(limits.pids, Some(value::PidsLimit::Max(5)));
    let limits = web("cpu_quota: 5000\ncpu_period: 10000").limits();
    assert_eq!(limits.cpu, Some(CpuQuota { quota_us: Some(5_000), period_us: 10_000 }));
    let limits = web("cpu_quota: -1").limits();
    assert_eq!(limits.cpu, Some(CpuQuota { quota_us: None, period_us: 100_000 }));
}

#[test]
fn health_tests_in_every_form() {
    let test = |text: &str| web(&format!("healthcheck: {{test: {text}}}")).healthcheck.unwrap().test;
    assert_eq!(test("curl x"), Some(HealthTest::Shell("curl x".into())));
    assert_eq!(test("[CMD-SHELL, a b]"), Some(HealthTest::Shell("a b".into())));
    assert_eq!(test("[CMD, a, b]"), Some(HealthTest::Exec(vec!["a".into(), "b".into()])));
    assert_eq!(test("[NONE]"), Some(HealthTest::None));
}

#[test]
fn the_name_comes_from_the_nearest_place() {
    let name = |text: &str, project: Option<&str>, env: &[(&str, &str)]| {
        let variables = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        parse(Source::new("s", text), PathBuf::from("/srv/My Shop"), variables, project)
            .map(|loaded| (loaded.stack.name, loaded.stack.services[0].image.clone()))
    };
    let text = "name: ${N:-file}\nservices: {a: {image: $COMPOSE_PROJECT_NAME}}\n";
    let compose = ("COMPOSE_PROJECT_NAME", "compose");
    let own = ("COOP_PROJECT_NAME", "own");
    let both = |name: &str| (name.to_owned(), Some(name.to_owned()));
    assert_eq!(name(text, Some("cli"), &[compose, own]).unwrap(), both("cli"));
    assert_eq!(name(text, None, &[compose, own]).unwrap(), both("own"));
    assert_eq!(name(text, None, &[compose]).unwrap(), both("compose"));
    assert_eq!(name(text, None, &[]).unwrap(), both("file"));
    assert_eq!(name(text, None, &[("N", "var")]).unwrap(), both("var"));
    assert_eq!(name("services: {a: {image: x}}", None, &[]).unwrap().0, "myshop");
    let error = name(text, Some("../x"), &[]).unwrap_err();
    assert_snapshot!(error.to_string());
}

#[test]
fn a_range_of_all_ports_again_and_again_ends() {
    let lines = "- 1-65535\n      ".repeat(20_000);
    let shown = errors(&format!("services:\n  a:\n    image: x\n    ports:\n      {lines}\n"));
    assert!(shown.contains("more ports than the host has"), "{shown}");
}

#[test]
fn many_problems_are_cut_short() {
    let keys: String = (0..200).map(|n| format!("    zz{n}: 1\n")).collect();
    let shown = errors(&format!("services:\n  a:\n    image: x\n{keys}"));
    assert!(shown.ends_with("error: and 150 more problems"), "{shown}");
}

#[test]
fn a_file_on_disk_with_its_dot_env() {
    let dir = tempfile::tempdir().unwrap();
    let environment = Variables::from([("B".to_owned(), "process".to_owned())]);
    let request = Request { file: None, project: None, directory: dir.path(), environment: &environment };
    let missing = load(request).unwrap_err().to_string();
    assert!(missing.starts_with("no stack file in ") && missing.contains("compose.yaml"), "{missing}");

    std::fs::write(dir.path().join("compose.yml"), "name: a\nservices: {a: {image: old}}\n").unwrap();
    std::fs::write(dir.path().join("stack.yaml"), "name: a\nservices: {a: {image: $A$B}}\n").unwrap();
    std::fs::write(dir.path().join(".env"), "A=env\nB=env\n").unwrap();
    let loaded = load(request).unwrap();
    assert_eq!(loaded.stack.services["a"].image.as_deref(), Some("envprocess"));
    assert_eq!(loaded.directory, dir.path());
    assert_eq!(loaded.source.file(), "stack.yaml");

    std::fs::write(dir.path().join(".env"), "A='x\n").unwrap();
    let error = load(request).unwrap_err().to_string();
    assert!(error.ends_with(".env:1: the closing ' is missing"), "{error}");

    let named = Request { file: Some(std::path::Path::new("no.yaml")), ..request };
    assert_eq!(load(named).unwrap_err().to_string(), "cannot read the stack file no.yaml");
    std::fs::write(dir.path().join("bin.yaml"), b"\xff\xfe").unwrap();
    let binary = Request { file: Some(std::path::Path::new("bin.yaml")), ..request };
    std::fs::remove_file(dir.path().join(".env")).unwrap();
    assert!(load(binary).unwrap_err().to_string().contains("not UTF-8"));
}

/// YAML-ish text out of the words that matter.
fn soup() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "services", "web", "image", "ports", "volumes", "depends_on", "<<", "&a", "*a", ":", ": ",
        "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", "\"", "'", "$", "${", "}", "|", ">", "#",
        "!x", "8080:80", "0", "-1", "~", "\t", "---\n", ", ", "healthcheck", "test", "\u{fffd}", "é",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in soup()) {
        if let Err(error) = load_text(&text) {
            let _ = error.to_string();
        }
    }

    #[test]
    fn no_mutation_makes_it_panic(at in 0..FULL.len(), cut in 0usize..12, put in "[\\PC\\n\\t]{0,6}") {
        let mut text = FULL.to_owned();
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &put);
        match load_text(&text) {
            Ok(loaded) => {
                // What loads also prints, and what is printed loads.
                let printed = to_yaml(&loaded.stack).unwrap();
                let again = load_text(&printed);
                prop_assert!(again.is_ok(), "{}\n{}", again.err().map(|e| e.to_string()).unwrap_or_default(), printed);
            }
            Err(error) => {
                let _ = error.to_string();
            }
        }
    }
}
