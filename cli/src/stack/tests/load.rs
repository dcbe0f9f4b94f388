//! Names, files and bounds.

use super::*;
use insta::assert_snapshot;

#[test]
fn the_name_comes_from_the_nearest_place() {
    let name = |text: &str, project: Option<&str>, env: &[(&str, &str)]| {
        let variables = env
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        parse(
            Source::new("s", text),
            Path::new("/srv/My Shop"),
            variables,
            project,
        )
        .map(|loaded| (loaded.stack.name, loaded.stack.services[0].image.clone()))
    };
    let text = "name: ${N:-file}\nservices: {a: {image: $COMPOSE_PROJECT_NAME}}\n";
    let compose = ("COMPOSE_PROJECT_NAME", "compose");
    let own = ("COOP_PROJECT_NAME", "own");
    let both = |name: &str| (name.to_owned(), Some(name.to_owned()));
    assert_eq!(
        name(text, Some("cli"), &[compose, own]).unwrap(),
        both("cli")
    );
    assert_eq!(name(text, None, &[compose, own]).unwrap(), both("own"));
    assert_eq!(name(text, None, &[compose]).unwrap(), both("compose"));
    assert_eq!(name(text, None, &[]).unwrap(), both("file"));
    assert_eq!(name(text, None, &[("N", "var")]).unwrap(), both("var"));
    assert_eq!(
        name("services: {a: {image: x}}", None, &[]).unwrap().0,
        "myshop"
    );
    let error = name(text, Some("../x"), &[]).unwrap_err();
    assert_snapshot!(error.to_string());
}

#[test]
fn a_range_of_all_ports_again_and_again_ends() {
    let lines = "- 1-65535\n      ".repeat(20_000);
    let shown = errors(&format!(
        "services:\n  a:\n    image: x\n    ports:\n      {lines}\n"
    ));
    assert!(shown.contains("more ports than the host has"), "{shown}");
}

#[test]
fn a_file_on_disk_with_its_dot_env() {
    let dir = tempfile::tempdir().unwrap();
    let environment = Variables::from([("B".to_owned(), "process".to_owned())]);
    let request = Request {
        file: None,
        project: None,
        directory: dir.path(),
        environment: &environment,
    };
    let missing = load(request).unwrap_err().to_string();
    assert!(
        missing.starts_with("no stack file in ") && missing.contains("compose.yaml"),
        "{missing}"
    );

    std::fs::write(
        dir.path().join("compose.yml"),
        "name: a\nservices: {a: {image: old}}\n",
    )
    .unwrap();
    std::fs::write(
        dir.path().join("stack.yaml"),
        "name: a\nservices: {a: {image: $A$B}}\n",
    )
    .unwrap();
    std::fs::write(dir.path().join(".env"), "A=env\nB=env\n").unwrap();
    let loaded = load(request).unwrap();
    assert_eq!(
        loaded.stack.services["a"].image.as_deref(),
        Some("envprocess")
    );
    assert_eq!(loaded.source.name(), "stack.yaml");

    std::fs::write(dir.path().join(".env"), "A='x\n").unwrap();
    let error = load(request).unwrap_err().to_string();
    assert!(
        error.ends_with(".env:1: the closing ' is missing"),
        "{error}"
    );

    let named = Request {
        file: Some(std::path::Path::new("no.yaml")),
        ..request
    };
    assert_eq!(
        load(named).unwrap_err().to_string(),
        "cannot read the stack file no.yaml"
    );
    std::fs::write(dir.path().join("bin.yaml"), b"\xff\xfe").unwrap();
    let binary = Request {
        file: Some(std::path::Path::new("bin.yaml")),
        ..request
    };
    std::fs::remove_file(dir.path().join(".env")).unwrap();
    assert!(load(binary).unwrap_err().to_string().contains("not UTF-8"));
}

#[test]
fn a_file_that_is_wrong_all_over_is_given_up_soon() {
    // Each of these looks for the nearest of all names: too many to do it for each.
    let service = |n: usize| format!("  s{n}: {{image: x, depends_on: [t{n}]}}");
    let services = (0..5000).map(service).collect::<Vec<_>>().join("\n");
    let shown = errors(&format!("services:\n{services}\n"));
    assert!(shown.contains("did you mean"), "{shown}");
}
