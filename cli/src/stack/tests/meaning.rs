//! What a file that is right means.

use super::*;
use insta::assert_snapshot;

#[test]
fn config_prints_the_canonical_form() {
    let loaded = load_text(FULL).unwrap_or_else(|error| panic!("{error}"));
    assert_snapshot!(to_yaml(&loaded.stack).unwrap());
    let warnings: Vec<String> = loaded
        .warnings
        .iter()
        .map(|w| w.render(&loaded.source))
        .collect();
    assert_snapshot!("config_warnings", warnings.join("\n\n"));
}

#[test]
fn the_canonical_form_reads_back_as_itself() {
    let first = load_text(FULL).unwrap().stack;
    let text = to_yaml(&first).unwrap();
    let second = load_text(&text)
        .unwrap_or_else(|error| panic!("{error}"))
        .stack;
    assert_eq!(to_yaml(&second).unwrap(), text);
    // JSON is YAML, too.
    let third = load_text(&to_json(&first).unwrap()).unwrap().stack;
    assert_eq!(to_yaml(&third).unwrap(), text);
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
    assert_eq!(
        limits.cpu,
        Some(CpuQuota {
            quota_us: Some(50_000),
            period_us: 100_000
        })
    );
    assert_eq!(limits.pids, Some(value::PidsLimit::Max(5)));
    let limits = web("cpu_quota: 5000\ncpu_period: 10000").limits();
    assert_eq!(
        limits.cpu,
        Some(CpuQuota {
            quota_us: Some(5_000),
            period_us: 10_000
        })
    );
    let limits = web("cpu_quota: -1").limits();
    assert_eq!(
        limits.cpu,
        Some(CpuQuota {
            quota_us: None,
            period_us: 100_000
        })
    );
}

#[test]
fn health_tests_in_every_form() {
    let test = |text: &str| {
        web(&format!("healthcheck: {{test: {text}}}"))
            .healthcheck
            .unwrap()
            .test
    };
    assert_eq!(test("curl x"), Some(HealthTest::Shell("curl x".into())));
    assert_eq!(
        test("[CMD-SHELL, a b]"),
        Some(HealthTest::Shell("a b".into()))
    );
    assert_eq!(
        test("[CMD, a, b]"),
        Some(HealthTest::Exec(vec!["a".into(), "b".into()]))
    );
    assert_eq!(test("[NONE]"), Some(HealthTest::None));
}

#[test]
fn a_size_of_nothing_is_no_limit() {
    let none = web("mem_limit: 0\nmemswap_limit: 0\ndeploy: {resources: {limits: {memory: 0b}}}");
    assert_eq!(none.limits(), Limits::default());
}

#[test]
fn a_byte_order_mark_and_dos_lines_are_read() {
    let text = "\u{feff}services:\r\n  web:\r\n    image: x\r\n";
    assert_eq!(service(text).image.as_deref(), Some("x"));
    let shown = errors("\u{feff}services:\r\n  web:\r\n    imgae: x\r\n");
    assert!(
        shown.contains("stack.yaml:3:5\n    |\n  3 |     imgae: x\n    |     ^^^^^"),
        "{shown}"
    );
}

#[test]
fn a_variable_without_a_value_comes_from_the_host_or_the_dot_env_file() {
    let loaded = load_text("services: {web: {image: x, environment: [TAG, NONE, A=1]}}").unwrap();
    let variables = loaded.stack.services[0]
        .variables(&loaded.variables)
        .unwrap();
    let variables: Vec<_> = variables.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(variables, ["TAG=1.2", "A=1"]);
}
