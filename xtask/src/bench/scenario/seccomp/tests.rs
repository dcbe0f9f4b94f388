use super::*;

/// What the bench promises, wherever libseccomp is at hand.
#[test]
fn coop_needs_fewer_instructions_than_libseccomp_and_means_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let exporter = match Exporter::build(directory.path()).unwrap() {
        Ok(exporter) => exporter,
        Err(why) => {
            eprintln!("libseccomp is {why}");
            return;
        }
    };
    for (name, policy) in policies().unwrap() {
        let compared = Compared::new(policy, Arch::native(), &exporter).unwrap();
        let (rows, goals) = compared.report(name);
        for row in rows {
            println!("{}: {}: {:?}", row.step, row.contender, row.median());
        }
        for goal in goals {
            println!("{}: {:.3}", goal.text, goal.measured);
            assert!(goal.is_met(), "{}: {:.3}", goal.text, goal.measured);
        }
    }
}
