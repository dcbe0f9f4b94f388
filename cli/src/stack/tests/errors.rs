//! What the user reads when the file is wrong.

use super::*;
use insta::assert_snapshot;

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
        "models: {smart: }
services:
  web:
    image: nginx
    build: .
    develop: {watch: []}
    provider: {type: x}
    deploy:
      placement: {}
      restart_policy: {delay: 5s}
      resources:
        reservations: {devices: []}
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
    network_mode: task:db
    userns_mode: private
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
fn capabilities_have_the_kernels_names() {
    assert_snapshot!(errors(
        "services:\n  web:\n    image: nginx\n    cap_add: [cap_net_admin, all, NET_ADNIM]\n    \
         cap_drop:\n      - ROOT\n"
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
    let warnings: Vec<String> = loaded
        .warnings
        .iter()
        .map(|w| w.render(&loaded.source))
        .collect();
    assert_snapshot!(warnings.join("\n\n"));
}

#[test]
fn syntax_errors_show_the_line() {
    assert_snapshot!(errors("services:\n  web:\n\timage: x\n"));
    assert_snapshot!(
        "syntax_bracket",
        errors("services:\n  web: [a\nvolumes: {}\n")
    );
    assert_snapshot!(
        "syntax_indent",
        errors("services:\n  web:\n    image: x\n   user: y\n")
    );
    assert_snapshot!("syntax_alias", errors("services:\n  web: *base\n"));
    assert_snapshot!(
        "duplicate_key",
        errors("services:\n  web:\n    image: x\n    user: a\n    image: y\n")
    );
    assert_snapshot!(
        "merge_scalar",
        errors("x-a: &a 5\nservices:\n  web:\n    <<: *a\n    image: x\n")
    );
    assert_snapshot!("key_number", errors("services:\n  1: {image: x}\n"));
}

#[test]
fn a_file_without_services_says_so() {
    assert_snapshot!(errors(""));
    assert_snapshot!("services_empty", errors("services: {}\n"));
    assert_snapshot!("not_a_mapping", errors("- a\n- b\n"));
    assert_snapshot!(
        "names",
        errors("name: My Shop\nservices:\n  ../x: {image: a}\nvolumes: {'a b': }\n")
    );
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
    let text =
        format!("{{\"x-a\": \"{padding}\", \"services\": {{\"a\": {{\"imge\": \"{padding}\"}}}}}}");
    assert_snapshot!(errors(&text));
    let shown = errors("services:\n  web:\n    \"im\\e[31mge\": 1\n");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn the_planner_reports_in_the_same_way() {
    let source = Source::new(
        "stack.yaml",
        "services:\n  web:\n    ports:\n      - \"8080:80\"\n",
    );
    let problem = Diagnostic::at(
        NodePath::service("web").key("ports").index(0),
        "web: cannot publish port 8080: address already in use",
    )
    .note("held by nginx (pid 812), listening on 0.0.0.0:8080")
    .help("stop it, or publish another port: \"8081:80\"");
    assert_snapshot!(format!("error: {}", problem.into_report(&source)));
}

#[test]
fn many_problems_are_cut_short() {
    let keys = (0..1000)
        .map(|n| format!("    zz{n}: 1"))
        .collect::<Vec<_>>()
        .join("\n");
    let shown = errors(&format!("services:\n  a:\n    image: x\n{keys}"));
    assert!(
        shown.ends_with("error: and 150 more problems, at least"),
        "{shown}"
    );
}
