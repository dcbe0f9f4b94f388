use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Reference {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn short_and_long_names_of_one_image_are_equal() {
    let long = parse("docker.io/library/alpine:latest");
    for same in [
        "alpine",
        "alpine:latest",
        "docker.io/alpine",
        "index.docker.io/alpine",
    ] {
        assert_eq!(parse(same), long);
        assert_eq!(parse(same).to_string(), "alpine:latest");
    }
    assert_eq!(parse("coop/host").to_string(), "coop/host:latest");
    assert_eq!(parse(crate::host::NAME), Reference::host_image());
}

#[test]
fn parts_are_found() {
    let hex = "ab".repeat(32);
    let full = parse(&format!("reg.example:5000/a/b-c__d:1.0@sha256:{hex}"));
    assert_eq!(full.registry(), "reg.example:5000");
    assert_eq!(full.path(), "a/b-c__d");
    assert_eq!(full.tag(), Some("1.0"));
    assert_eq!(full.digest().map(Digest::hex), Some(hex.as_str()));
    assert_eq!(parse(&format!("alpine@sha256:{hex}")).tag(), None);
    assert_eq!(parse("[::1]:5000/x").registry(), "[::1]:5000");
    assert_eq!(parse("localhost/x").registry(), "localhost");
    assert_eq!(parse("UPPER/x").registry(), "UPPER");
}

#[test]
fn a_short_form_never_names_another_image() {
    for text in [
        "docker.io/localhost/x",
        "docker.io/library/a.b/c",
        "docker.io/library/library/x",
    ] {
        let reference = parse(text);
        assert_eq!(parse(&reference.to_string()), reference, "{reference}");
    }
}

#[test]
fn what_docker_refuses_is_refused() {
    let id = "0".repeat(64);
    let long = format!("a/{}", "b".repeat(255));
    let tag = format!("a:{}", "t".repeat(129));
    for bad in [
        "",
        ":tag",
        "@",
        "a:",
        "a:-x",
        "a:b:c/",
        "Alpine",
        "a//b",
        "/a",
        "a/",
        "a/../b",
        "a..b",
        "a___b",
        "_a",
        "a_",
        "-a",
        "a b",
        "a:t ag",
        "a@sha256:1",
        "a@md5:00",
        "host:x/a",
        "[::1/a",
        "[::1]x/a",
        "-h.x/a",
        "ä",
        "a/\n",
        &id,
        &long,
        &tag,
    ] {
        assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
    }
}

#[test]
fn upper_case_is_answered_with_the_lower_case_name() {
    let error = "Alpine".parse::<Reference>().unwrap_err().to_string();
    assert!(error.ends_with("did you mean `alpine`?"), "{error}");
}

#[test]
fn serde_uses_the_string() {
    let json = serde_json::to_string(&parse("alpine")).unwrap();
    assert_eq!(json, "\"alpine:latest\"");
    assert_eq!(
        serde_json::from_str::<Reference>(&json).unwrap(),
        parse("alpine")
    );
    assert!(serde_json::from_str::<Reference>("\"A b\"").is_err());
}

proptest! {
    #[test]
    fn any_string_parses_or_fails_and_display_parses_back(text in "[a-zA-Z0-9./:@_\\[\\]-]{0,40}|\\PC{0,40}") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(&parse(&reference.to_string()), &reference);
            prop_assert!(reference.record_path().components()
                .all(|c| matches!(c, std::path::Component::Normal(_))));
        }
    }

    #[test]
    fn valid_names_round_trip(
        registry in "(|localhost/|[a-z]{1,8}\\.[a-z]{2,3}(:[0-9]{1,5})?/)",
        // A first component with a dot would be a registry.
        path in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}){0,3}",
        tag in "(|:[A-Za-z0-9_][A-Za-z0-9_.-]{0,20})",
    ) {
        let text = format!("{registry}{path}{tag}");
        let reference = parse(&text);
        prop_assert_eq!(&parse(&reference.to_string()), &reference);
        let full = format!("{}/{}", reference.registry(), reference.path());
        prop_assert_eq!(parse(&format!("{full}{tag}")), reference);
    }
}
