//! Whole plans: names, order, what is waited for.

use coop_launcher::supervisor::Condition;
use insta::assert_snapshot;

use super::*;

#[test]
fn a_plan_has_every_default_in_it() {
    let fixture = Fixture::new();
    let mut draft = fixture
        .web("depends_on: [db]\nports: ['8080:80']\nmem_limit: 64m\nworking_dir: /srv")
        .unwrap();
    draft.plan.config_hash = "HASH".into();
    let json = serde_json::to_string_pretty(&draft.plan).unwrap();
    let json_value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let program = &json_value["seccomp"]["filtered"]["program"];
    let shown = json.replace(&fixture.path().display().to_string(), "DIR");
    assert_snapshot!(shown.replace(program.as_str().unwrap(), "PROGRAM"));
    assert_eq!(
        serde_json::from_str::<ContainerPlan>(&json).unwrap(),
        draft.plan
    );
}

#[test]
fn containers_come_after_what_they_wait_for() {
    let fixture = Fixture::new();
    let plan = fixture
        .plan(&web(
            "depends_on: {db: {condition: service_healthy, required: false}}",
        ))
        .unwrap();
    let names: Vec<_> = plan
        .drafts
        .iter()
        .map(|draft| &draft.plan.unit.name)
        .collect();
    assert_eq!(names, ["shop-db-1", "shop-web-1"]);
    let [db, web] = plan.drafts.as_slice() else {
        panic!()
    };
    let [waits] = web.plan.unit.depends_on.as_slice() else {
        panic!()
    };
    assert_eq!(waits.id, db.plan.unit.id);
    assert_eq!(
        (waits.name.as_str(), waits.condition, waits.required),
        ("db", Condition::ServiceHealthy, false)
    );
}

#[test]
fn waiting_for_the_health_of_what_is_not_checked_is_an_error() {
    let file = web("depends_on: {db: {condition: service_healthy}}");
    let file = file.replace(", healthcheck: {test: 'true'}", "");
    assert_snapshot!(format!("{:#}", Fixture::new().plan(&file).unwrap_err()));
}

#[test]
fn a_changed_service_has_another_digest() {
    let fixture = Fixture::new();
    let hash = |keys: &str| fixture.web(keys).unwrap().plan.config_hash;
    assert_eq!(hash("environment: {A: b}"), hash("environment: {A: b}"));
    assert_ne!(hash("environment: {A: b}"), hash("environment: {A: c}"));
}

#[test]
fn what_cannot_be_run_says_why() {
    let fixture = Fixture::new();
    let refused = |file: &str| format!("{:#}", fixture.plan(file).unwrap_err());
    let file = web("");
    assert!(refused(&file.replace("    command: serve\n", "")).contains("no command"));
    let missing = refused(&web("rootfs: ./no"));
    assert!(
        missing.contains("/no: No such file or directory"),
        "{missing}"
    );
    std::fs::write(fixture.path().join("file"), "").unwrap();
    assert!(refused(&web("rootfs: ./file")).ends_with("file: not a directory"));
}
