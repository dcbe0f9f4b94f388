//! No text makes it panic, and what it prints it reads.

use super::*;
use proptest::prelude::*;

/// YAML-ish text out of the words that matter.
fn soup() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "services",
        "web",
        "image",
        "ports",
        "volumes",
        "depends_on",
        "<<",
        "&a",
        "*a",
        ":",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        "$",
        "${",
        "}",
        "|",
        ">",
        "#",
        "!x",
        "8080:80",
        "0",
        "-1",
        "~",
        "\t",
        "---\n",
        ", ",
        "healthcheck",
        "test",
        "\u{fffd}",
        "é",
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
