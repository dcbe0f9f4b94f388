//! Lines that people type, and what they mean.

use super::*;
use clap::CommandFactory;
use insta::{assert_debug_snapshot, assert_snapshot};
use std::path::Path;

fn parse(line: &str) -> Cli {
    let words = shlex::split(line).expect("a line of words");
    Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}\n{error}"))
}

fn refused(line: &str) -> String {
    let words = shlex::split(line).expect("a line of words");
    match Cli::try_parse_from(words) {
        Ok(cli) => panic!("{line} is accepted as {cli:?}"),
        Err(error) => error.to_string(),
    }
}

fn run(line: &str) -> RunArgs {
    match parse(line).command {
        Command::Run(args) => *args,
        other => panic!("{line} is {other:?}"),
    }
}

fn help(verb: &[&str]) -> String {
    let mut command = Cli::command();
    command.build();
    for word in verb {
        command = command.find_subcommand(word).expect("a verb").clone();
    }
    // What the environment of the test holds must not show.
    command
        .mut_arg("root", |arg| arg.hide_env_values(true))
        .render_help()
        .to_string()
}

#[test]
fn definitions_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_is_grouped_and_has_examples() {
    assert_snapshot!(help(&[]));
    assert_snapshot!("help_run", help(&["run"]));
    assert_snapshot!("help_up", help(&["up"]));
    assert_snapshot!("help_logs", help(&["logs"]));
    assert_snapshot!("help_exec", help(&["exec"]));
    assert_snapshot!("help_image", help(&["image"]));
}

#[test]
fn the_stack_is_named_before_or_after_the_verb() {
    let stack = |line: &str| {
        let StackArgs { file, project, .. } = parse(line).stack();
        (file.map(|f| f.display().to_string()), project)
    };
    let a = (Some("a.yaml".to_owned()), Some("shop".to_owned()));
    assert_eq!(stack("coop -f a.yaml -p shop up"), a);
    assert_eq!(stack("coop up -f a.yaml -p shop"), a);
    assert_eq!(stack("coop up --file=a.yaml --stack shop"), a);
    assert_eq!(stack("coop -f b.yaml -p shop up -f a.yaml"), a);
    assert_eq!(stack("coop -f a.yaml --project-name shop logs -f"), a);
    assert_eq!(stack("coop logs --file a.yaml --stack shop -f"), a);
    assert_eq!(stack("coop -f a.yaml -p shop rm -f x"), a);
    for verb in [
        "down", "ps", "config", "plan", "stop", "start", "kill", "stats",
    ] {
        assert_eq!(
            stack(&format!("coop {verb} -f a.yaml -p shop")),
            a,
            "{verb}"
        );
    }
    assert_eq!(stack("coop exec -f a.yaml -p shop web sh"), a);
    assert_eq!(
        stack("coop inspect --file a.yaml --stack shop -f {{.Id}} x"),
        a
    );
    assert_eq!(stack("coop ps"), (None, None));
}

#[test]
fn a_letter_means_what_docker_says_after_its_verb() {
    let Command::Logs(logs) = parse("coop logs -f -n 5 -t web db").command else {
        panic!()
    };
    assert!(logs.follow && logs.timestamps);
    assert_eq!(logs.tail, Tail::Lines(5));
    assert_eq!(logs.names, ["web", "db"]);
    assert_eq!(
        run("coop run -p 8080:80 -h name -v /a:/b alpine")
            .publish
            .len(),
        1
    );
    let Command::Rm(rm) = parse("coop rm -fv a").command else {
        panic!()
    };
    assert!(rm.force && rm.volumes);
    let Command::Down(down) = parse("coop down -v -t 3").command else {
        panic!()
    };
    assert!(down.volumes);
    assert_eq!(down.timeout.map(|t| t.to_string()).as_deref(), Some("3s"));
    let Command::Kill(kill) = parse("coop kill -s HUP web").command else {
        panic!()
    };
    assert_eq!(kill.signal.number(), 1);
}

#[test]
fn global_options_stand_anywhere() {
    for line in [
        "coop --root /r --verbose ps",
        "coop ps --root /r --verbose",
        "coop image ls --root /r --verbose",
        "coop image --root /r ls --verbose",
        "coop run --root /r --verbose alpine",
    ] {
        let cli = parse(line);
        assert_eq!(cli.global.root.as_deref(), Some(Path::new("/r")), "{line}");
        assert!(cli.global.verbose, "{line}");
    }
    assert_eq!(
        parse("coop --debug ps").global.level(),
        Some(log::LevelFilter::Debug)
    );
    assert_eq!(
        parse("coop ps --log-level trace").global.level(),
        Some(log::LevelFilter::Trace)
    );
    assert_eq!(parse("coop ps").global.level(), None);
}

#[test]
fn run_tells_the_image_from_the_command() {
    let words = |line| {
        let args = run(line);
        let image = args.image().map(str::to_owned);
        let rootfs = args.rootfs.as_ref().map(|dir| dir.display().to_string());
        (
            image.or(rootfs).unwrap_or_default(),
            args.command().join(" "),
        )
    };
    let is = |what: &str, command: &str| (what.to_owned(), command.to_owned());
    assert_eq!(words("coop run alpine"), is("alpine", ""));
    assert_eq!(words("coop run alpine sh -c ls"), is("alpine", "sh -c ls"));
    assert_eq!(
        words("coop run -it alpine ls -it --rm"),
        is("alpine", "ls -it --rm")
    );
    assert_eq!(words("coop run alpine -- ls"), is("alpine", "-- ls"));
    assert_eq!(words("coop run -- alpine ls"), is("alpine", "ls"));
    assert_eq!(
        words("coop run --image alpine sh -c ls"),
        is("alpine", "sh -c ls")
    );
    assert_eq!(words("coop run --image alpine -- -x"), is("alpine", "-x"));
    assert_eq!(words("coop run --image alpine"), is("alpine", ""));
    assert_eq!(
        words("coop run --rootfs /r -- /bin/sh -c 'a b'"),
        is("/r", "/bin/sh -c a b")
    );
    assert_eq!(
        words("coop run --rootfs /r /bin/sh -c x"),
        is("/r", "/bin/sh -c x")
    );
    assert!(!run("coop run alpine ls --rm").rm);
}

#[test]
fn the_line_of_the_readme() {
    assert_debug_snapshot!(run(
        "coop run --rootfs DIR --memory 64M --cpu 50000 --pids 64 --hostname sandbox \
         -- /bin/sh -c 'hostname; ps'"
    ));
}

#[test]
fn every_option_of_run() {
    assert!(run("coop run -d alpine").detach);
    assert_debug_snapshot!(run(
        "coop run -it --rm --name n --usage --rootfs /r --rootfs-mode rw --read-only \
         -v /a:/b:ro -v data:/c --tmpfs /t:size=1m -m 1g --memory-swap -1 --memory-reservation 1m \
         --cpus 1.5 -c 512 --cpuset-cpus 0-1 --cpuset-mems 0 --pids-limit -1 --ulimit nofile=5 \
         -h host -p 80:80 -p 127.0.0.1:53:53/udp --network none -e A=b -e C --env-file f \
         -u 1:2 -w /w --entrypoint e -l x=y -l z --stop-signal INT --stop-timeout 5 \
         --cap-add NET_ADMIN --cap-drop ALL --userns host --health-cmd 'a b' \
         --health-interval 1s --health-timeout 2s --health-retries 3 --health-start-period 4s \
         --health-start-interval 5s x"
    ));
}

#[test]
fn exec_ends_its_options_at_the_command() {
    let Command::Exec(exec) = parse("coop exec -it -e A=1 -u me -w /x web sh -c 'a b' -x").command
    else {
        panic!()
    };
    assert!(exec.interactive && exec.tty && !exec.detach);
    assert_eq!(exec.name, "web");
    assert_eq!(exec.command, ["sh", "-c", "a b", "-x"]);
    let Command::Exec(exec) = parse("coop exec web -- -x").command else {
        panic!()
    };
    assert_eq!(exec.command, ["-x"]);
}

#[test]
fn images_have_docker_s_short_cuts() {
    assert!(matches!(parse("coop images -q").command, Command::Images(args) if args.quiet));
    assert!(matches!(parse("coop rmi a b").command, Command::Rmi(args) if args.names.len() == 2));
    for line in ["coop image ls", "coop image list"] {
        assert!(matches!(
            parse(line).command,
            Command::Image(ImageArgs {
                command: ImageCommand::Ls(_)
            })
        ));
    }
    assert!(matches!(
        parse("coop image import - x").command,
        Command::Image(ImageArgs { command: ImageCommand::Import(args) })
            if args.source == Path::new("-") && args.name.as_deref() == Some("x")
    ));
}

#[test]
fn what_is_wrong_is_said_with_a_hint() {
    let lines = [
        "coop run",
        "coop run --memmory 64M alpine",
        "coop run --memory 64q alpine",
        "coop run --cpu 0.5 alpine",
        "coop run --cpu 50% --cpus 1 alpine",
        "coop run --image a --rootfs b",
        "coop run --rootfs-mode ro alpine",
        "coop run -p 80:http alpine",
        "coop run --network ip/vlan alpine",
        "coop run --userns private alpine",
        "coop run --ulimit files=3 alpine",
        "coop exec web",
        "coop up -d --usage",
        "coop run -d --usage alpine",
        "coop pss",
        "coop restarts web",
        "coop logs --tail some",
    ];
    let all: Vec<String> = lines
        .iter()
        .map(|line| format!("$ {line}\n{}", refused(line)))
        .collect();
    assert_snapshot!(all.join("\n"));
}
