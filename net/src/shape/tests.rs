use proptest::prelude::*;

use super::*;

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

#[test]
fn rates_are_read_as_tc_reads_them() {
    for (text, bits) in [
        ("10mbit", 10_000_000),
        ("1.5Mbit", 1_500_000),
        ("512kbit", 512_000),
        ("1mibit", 1_048_576),
        ("100kbps", 800_000),
        ("1mibps", 8_388_608),
        (" 8bit ", 8),
    ] {
        assert_eq!(rate(text).bits(), bits, "{text}");
    }
    for text in [
        "",
        "10",
        "mbit",
        "-1mbit",
        "0mbit",
        "10 m",
        "1e9bit",
        "1..2bit",
        "nanbit",
        "99999999999tbit",
    ] {
        assert!(text.parse::<Rate>().is_err(), "{text}");
    }
}

#[test]
fn percentages_are_of_a_hundred() {
    for text in ["0%", "1%", "0.5 %", "100%"] {
        assert!(text.parse::<Percent>().is_ok(), "{text}");
    }
    for text in [
        "", "1", "%", "101%", "-1%", "1e1%", "NaN%", "inf%", "1.1.1%",
    ] {
        assert!(text.parse::<Percent>().is_err(), "{text}");
    }
}

#[test]
fn a_rate_alone_is_a_bucket_and_all_else_is_netem() {
    let alone = Shape {
        rate: Some(rate("10mbit")),
        ..Shape::default()
    };
    insta::assert_snapshot!(alone.discipline(), @"tbf rate 10000000bit burst 65550b latency 100ms");
    let all = Shape {
        delay: Some(Duration::from_millis(20)),
        jitter: Some(Duration::from_micros(500)),
        loss: Some("0.5%".parse().unwrap()),
        ..alone
    };
    insta::assert_snapshot!(all.discipline(), @"netem limit 10000 delay 20000us 500us loss 0.5% rate 10000000bit");
    let json = serde_json::to_string(&all).unwrap();
    assert_eq!(serde_json::from_str::<Shape>(&json).unwrap(), all);
    assert!(Shape::default().is_plain() && !alone.is_plain());
}

#[test]
fn a_kernel_without_the_module_is_told_by_its_name() {
    let shaped = |container: &str, delay| Shaped {
        interface: format!("v{container}"),
        container: container.to_owned(),
        shape: Shape {
            rate: Some(rate("1mbit")),
            delay,
            ..Shape::default()
        },
    };
    let interfaces = [
        shaped("web", None),
        shaped("db", Some(Duration::from_millis(1))),
    ];
    let error = refused(
        &interfaces,
        "Error: Specified qdisc kind is unknown.\nCommand failed -:2\n",
    );
    insta::assert_snapshot!(error, @r"
    shape link vdb of container db: tc failed: Error: Specified qdisc kind is unknown.
      help: the kernel has no sch_netem: modprobe sch_netem, which may be in the package linux-modules-extra-$(uname -r) or kernel-modules-extra
    ");
    let error = refused(
        &interfaces,
        "Cannot find device \"vweb\"\nCommand failed -:1\n",
    );
    insta::assert_snapshot!(error, @"shape link vweb of container web: tc failed: Cannot find device \"vweb\"");
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(bits in 1_u64..1_000_000_000_000_000) {
        let text = Rate(bits).to_string();
        prop_assert_eq!(rate(&text), Rate(bits), "{}", text);
    }

    #[test]
    fn no_text_is_a_surprise(text in "\\PC{0,20}") {
        let _ = (text.parse::<Rate>(), text.parse::<Percent>());
    }
}
