//! Completion in a real shell, and the manual pages.

use coop_tests::{Host, wait_until};

/// What bash would offer for the line, which ends where the cursor is.
fn offered(host: &Host, line: &str) -> Vec<String> {
    let script = host.coop(["completion", "bash"]).run();
    let script = host.file("completion.bash", &script.success().stdout);
    // As bash calls it: the command, the word at the cursor and the one before.
    let ask = r#"
        source "$1"
        read -r -a COMP_WORDS <<< "$2"
        [[ $2 == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )) COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9
        complete -p coop > /dev/null || exit 1
        _clap_complete_coop coop "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = host
        .tool("bash")
        .args(["-c", ask, "bash"])
        .arg(script)
        .arg(line)
        .env("COOP_ROOT", host.coop_root())
        .run();
    let mut words: Vec<_> = output
        .success()
        .lines()
        .iter()
        .map(|line| (*line).to_owned())
        .collect();
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn bash_offers_live_containers_services_images_and_signals() {
    let host = Host::new();
    let stack = host.stack(
        "
name: shop
services:
  web: {image: coop/host, command: [sleep, '1000'], stop_signal: SIGKILL, volumes: ['site:/s']}
  job: {image: coop/host, command: ['true']}
volumes: {site: {}}
",
    );
    stack.up();
    wait_until("the job is done", || {
        host.inspect("shop-job-1")["State"]["Status"] == "exited"
    });
    let file = stack.file().display().to_string();
    assert_eq!(offered(&host, "coop stop "), ["shop-web-1"]);
    assert_eq!(
        offered(&host, "coop rm shop-"),
        ["shop-job-1", "shop-web-1"]
    );
    assert_eq!(offered(&host, "coop start "), ["shop-job-1"]);
    assert_eq!(offered(&host, "coop -p shop exec w"), ["web"]);
    assert_eq!(
        offered(&host, &format!("coop up -f {file} ")),
        ["web", "job"]
    );
    assert_eq!(offered(&host, "coop run coop/h"), ["coop/host:latest"]);
    assert_eq!(offered(&host, "coop kill -s SIGK"), ["SIGKILL"]);
    assert_eq!(offered(&host, "coop volume rm s"), ["shop_site"]);
    assert_eq!(offered(&host, "coop down -p s"), ["shop"]);
    assert_eq!(offered(&host, "coop inspec"), ["inspect"]);
    let id = host.inspect("shop-web-1")["Id"].as_str().unwrap()[..12].to_owned();
    assert_eq!(offered(&host, &format!("coop logs {}", &id[..6])), [id]);
}

#[test]
fn every_shell_gets_a_script() {
    let host = Host::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        host.coop(["completion", shell])
            .run()
            .success()
            .says("COOP_COMPLETE");
    }
    host.coop(["completion", "tcl"]).run().fails(125, &["tcl"]);
}

#[test]
fn an_ordinary_run_completes_nothing() {
    let host = Host::new();
    host.coop(["version"])
        .env("COOP_COMPLETE", "")
        .run()
        .success()
        .says("coop version");
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let host = Host::new();
    let pages = host.work().join("man1");
    host.coop(["man"]).arg(&pages).run().success();
    for page in [
        "coop.1",
        "coop-run.1",
        "coop-image-import.1",
        "coop-events.1",
    ] {
        assert!(pages.join(page).is_file(), "{page}");
    }
    let groff = host.tool("sh").args(["-c", "command -v groff"]).run();
    if groff.text().is_empty() {
        coop_tests::skip!("groff is not installed");
    }
    for page in std::fs::read_dir(&pages).unwrap().flatten() {
        let output = host
            .tool("groff")
            .args(["-man", "-Tutf8", "-ww", "-z"])
            .arg(page.path())
            .run();
        assert_eq!(output.success().text(), "", "{output}");
    }
    let shown = host
        .tool("groff")
        .args(["-man", "-Tascii"])
        .arg(pages.join("coop-ps.1"))
        .run();
    shown.success().says("List containers");
}
