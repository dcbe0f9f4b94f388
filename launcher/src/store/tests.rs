//! The store as several processes see it, on a real file system.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::Errno;

use super::state::tests::sample;
use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::new(Dirs::below(temp.path()));
    (temp, store)
}

fn files_below(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| 1 + files_below(&entry.path()))
        .sum()
}

#[test]
fn a_container_can_be_created_found_changed_and_removed_without_a_trace() {
    let (temp, store) = store();
    let mut state = sample("web-1");
    store
        .create(&state, &serde_json::json!({"hostname": "web"}))
        .unwrap();
    store.sync(&state.id).unwrap();

    let config: serde_json::Value = store.load_config(&state.id).unwrap();
    assert_eq!(config["hostname"], "web");
    assert_eq!(store.load_state(&state.id).unwrap(), state);
    assert_eq!(store.list().unwrap(), [state.clone()]);
    for what in [
        state.id.as_str(),
        state.id.short(),
        "web-1",
        &state.id.as_str()[..4],
    ] {
        assert_eq!(store.resolve(what).unwrap(), state.id);
    }
    let mode = store
        .dirs()
        .container(&state.id)
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);

    state.set_stopped(Some(3));
    store.save_state(&state).unwrap();
    store.sync(&state.id).unwrap();
    assert_eq!(store.load_state(&state.id).unwrap().exit_code, Some(3));
    assert_eq!(
        files_below(&store.dirs().container(&state.id)),
        2,
        "no temporary file stays"
    );

    store.make_container_run(&state.id).unwrap();
    store.remove(&state.id).unwrap();
    store.remove(&state.id).unwrap();
    // data, data/containers, data/names, run, run/containers, run/by-stack, and what happened:
    // run/events
    assert_eq!(files_below(temp.path()), 7);
    let events = store.events().read().unwrap();
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["create", "destroy"]);
    assert!(matches!(
        store.load_state(&state.id),
        Err(StoreError::Gone { .. })
    ));
    assert!(matches!(
        store.save_state(&state),
        Err(StoreError::Gone { .. })
    ));
    assert!(matches!(
        store.lock(&state.id),
        Err(StoreError::Gone { .. })
    ));
}

#[test]
fn an_empty_store_is_no_error() {
    let (temp, store) = store();
    assert!(store.list().unwrap().is_empty());
    assert!(store.stacks().unwrap().is_empty());
    assert!(matches!(
        store.resolve("web"),
        Err(StoreError::NotFound { .. })
    ));
    assert_eq!(files_below(temp.path()), 0, "looking makes nothing");
}

#[test]
fn a_name_in_use_is_refused_with_its_owner_and_leaves_nothing() {
    let (temp, store) = store();
    let first = sample("web");
    store.create(&first, &()).unwrap();
    let before = files_below(temp.path());
    let error = store.create(&sample("web"), &()).unwrap_err();
    assert!(
        matches!(&error, StoreError::NameInUse { name, id } if name.as_str() == "web" && *id == first.id)
    );
    assert!(error.to_string().contains(first.id.short()), "{error}");
    assert_eq!(files_below(temp.path()), before);
}

#[test]
fn a_name_whose_creator_was_killed_is_free_again() {
    let (_temp, store) = store();
    let lost = sample("web");
    store.create(&lost, &()).unwrap();
    // As a kill leaves it: the name taken, the directory never renamed into place.
    let containers = store.dirs().containers();
    let half = containers.join(format!(".new-{}", lost.id));
    std::fs::rename(containers.join(lost.id.as_str()), &half).unwrap();
    assert!(store.list().unwrap().is_empty());
    assert!(matches!(
        store.resolve("web"),
        Err(StoreError::NotFound { .. })
    ));
    let next = sample("web");
    store.create(&next, &()).unwrap();
    assert_eq!(store.resolve("web").unwrap(), next.id);
    // The same id again, over what the killed process had begun.
    let mut again = sample("again");
    again.id = lost.id.clone();
    store.create(&again, &()).unwrap();
    assert!(!half.exists());
}

#[test]
fn sweep_takes_what_killed_processes_left_and_nothing_else() {
    let (_temp, store) = store();
    let kept = sample("kept");
    store.create(&kept, &()).unwrap();
    store.make_container_run(&kept.id).unwrap();
    let lost = sample("lost");
    store.create(&lost, &()).unwrap();
    store.make_container_run(&lost.id).unwrap();
    let containers = store.dirs().containers();
    std::fs::rename(
        containers.join(lost.id.as_str()),
        containers.join(format!(".old-{}", lost.id)),
    )
    .unwrap();
    assert_eq!(
        store.sweep().unwrap().removed.len(),
        3,
        "directory, name, live directory"
    );
    assert_eq!(store.sweep().unwrap(), Swept::default());
    assert_eq!(store.resolve("kept").unwrap(), kept.id);
    assert!(store.dirs().container_run(&kept.id).exists());
}

#[test]
fn a_removal_that_was_killed_half_way_can_be_finished() {
    let (_temp, store) = store();
    let state = sample("web");
    store.create(&state, &()).unwrap();
    let containers = store.dirs().containers();
    std::fs::rename(
        containers.join(state.id.as_str()),
        containers.join(format!(".old-{}", state.id)),
    )
    .unwrap();
    store.remove(&state.id).unwrap();
    assert_eq!(store.sweep().unwrap(), Swept::default());
}

#[test]
fn damaged_files_are_named_and_do_not_hide_other_containers() {
    let (_temp, store) = store();
    let good = sample("good");
    let torn = sample("torn");
    store.create(&good, &()).unwrap();
    store.create(&torn, &()).unwrap();
    let path = store.dirs().container(&torn.id).join("state.json");
    for garbage in ["", "{", "\0\0\0\0", "{\"id\":\"../..\"}"] {
        std::fs::write(&path, garbage).unwrap();
        let error = store.load_state(&torn.id).unwrap_err();
        assert!(error.to_string().contains("state.json"), "{error}");
        assert_eq!(store.list().unwrap(), std::slice::from_ref(&good));
    }
    assert_eq!(store.resolve("torn").unwrap(), torn.id);
    store.remove(&torn.id).unwrap();
    store.create(&sample("torn"), &()).unwrap();
}

#[test]
fn an_ambiguous_start_lists_the_candidates_and_a_slip_of_the_finger_is_guessed() {
    let (_temp, store) = store();
    for (first, name) in [("abc1", "front"), ("abc2", "back")] {
        let mut state = sample(name);
        state.id = ContainerId::parse(&format!("{first}{}", "0".repeat(60))).unwrap();
        store.create(&state, &()).unwrap();
    }
    let error = store.resolve("abc").unwrap_err();
    let StoreError::Ambiguous { candidates, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(candidates.len(), 2);
    assert!(
        error.to_string().contains("abc100000000 (front)"),
        "{error}"
    );
    assert!(store.resolve("abc2").is_ok());
    let error = store.resolve("frnot").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no such container: \"frnot\" (did you mean front?)"
    );
    for hostile in ["", "..", "../containers", "/etc", "a\0b"] {
        assert!(
            matches!(store.resolve(hostile), Err(StoreError::NotFound { .. })),
            "{hostile:?}"
        );
    }
}

#[test]
fn one_command_at_a_time_holds_a_container() {
    let (_temp, store) = store();
    let state = sample("web");
    store.create(&state, &()).unwrap();
    let held = store.lock(&state.id).unwrap();
    assert!(store.try_lock(&state.id).unwrap().is_none());
    drop(held);
    assert!(store.try_lock(&state.id).unwrap().is_some());
}

#[test]
fn who_waits_for_a_container_that_is_removed_is_told() {
    let (_temp, store) = store();
    let state = sample("web");
    store.create(&state, &()).unwrap();
    let held = store.lock(&state.id).unwrap();
    let waiting = store.open_container(&state.id).unwrap();
    assert!(!waiting.attempt().unwrap());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            waiting.wait().unwrap();
            still_there(waiting, &state.id)
        });
        store.remove(&state.id).unwrap();
        drop(held);
        assert!(matches!(
            waiter.join().unwrap(),
            Err(StoreError::Gone { .. })
        ));
    });
}

#[test]
fn a_stack_has_one_supervisor_and_a_dead_one_is_replaced() {
    let (temp, store) = store();
    let stack = StackName::parse("shop").unwrap();
    assert_eq!(store.supervisor(&stack).unwrap(), None);
    let lock = store.stack_lock(&stack).unwrap().unwrap();
    assert!(store.stack_lock(&stack).unwrap().is_none());
    assert_eq!(
        store.supervisor(&stack).unwrap(),
        Some(rustix::process::getpid())
    );
    assert_eq!(store.stacks().unwrap(), std::slice::from_ref(&stack));
    // Killed: the kernel drops the lock, the file stays, with a pid that is no more.
    drop(lock);
    let path = temp.path().join("run/stacks/shop/lock");
    std::fs::write(&path, "1 999999999999\n").unwrap();
    assert_eq!(store.supervisor(&stack).unwrap(), None);
    let lock = store.stack_lock(&stack).unwrap().unwrap();
    store.remove_stack(&stack, lock).unwrap();
    assert!(store.stacks().unwrap().is_empty());
}

#[test]
fn stacks_are_known_by_their_containers_as_well() {
    let (_temp, store) = store();
    store.create(&sample("web"), &()).unwrap();
    assert_eq!(store.stacks().unwrap(), [StackName::parse("shop").unwrap()]);
}

#[test]
fn an_error_says_which_file_and_why() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("data"), "").unwrap();
    let store = Store::new(Dirs::below(temp.path()));
    let error = store.create(&sample("web"), &()).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::NOTDIR));
    assert!(error.to_string().contains("data/containers"), "{error}");
}

/// Run by [`of_many_processes_one_gets_the_name`] in processes of its own.
#[test]
#[ignore = "part of another test"]
fn helper_create_in_a_process_of_its_own() {
    let Some(root) = std::env::var_os("COOP_STORE_TEST") else {
        return;
    };
    let store = Store::new(Dirs::below(Path::new(&root)));
    for round in 0..40 {
        let state = sample(&format!("name-{round}"));
        match store.create(&state, &"config") {
            Ok(()) => {
                println!("WON {round}");
                assert_eq!(store.resolve(&format!("name-{round}")).unwrap(), state.id);
            }
            // The owner is complete as soon as its name counts.
            Err(StoreError::NameInUse { id, .. }) => {
                assert_eq!(store.load_config::<String>(&id).unwrap(), "config");
            }
            Err(error) => panic!("{error}"),
        }
        for state in store.list().unwrap() {
            store.load_config::<String>(&state.id).unwrap();
        }
    }
}

#[test]
fn of_many_processes_one_gets_the_name_and_readers_see_whole_containers() {
    let (temp, store) = store();
    let processes: Vec<_> = (0..6)
        .map(|_| {
            Command::new("/proc/self/exe")
                .args(["--ignored", "--exact", "--nocapture"])
                .arg(
                    concat!(module_path!(), "::helper_create_in_a_process_of_its_own")
                        .split_once("::")
                        .unwrap()
                        .1,
                )
                .env("COOP_STORE_TEST", temp.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut won: Vec<String> = Vec::new();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        won.extend(
            text.lines()
                .filter_map(|line| Some(line[line.find("WON ")?..].to_owned())),
        );
    }
    won.sort();
    let all = won.len();
    won.dedup();
    assert_eq!((all, won.len()), (40, 40), "each name has one winner");
    assert_eq!(store.list().unwrap().len(), 40);
    assert_eq!(store.sweep().unwrap(), Swept::default());
}

#[test]
fn a_create_that_is_killed_at_any_moment_blocks_nothing() {
    let (temp, store) = store();
    for _ in 0..30 {
        let mut child = Command::new("/proc/self/exe")
            .args(["--ignored", "--exact"])
            .arg(
                concat!(module_path!(), "::helper_create_in_a_process_of_its_own")
                    .split_once("::")
                    .unwrap()
                    .1,
            )
            .env("COOP_STORE_TEST", temp.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Kill it somewhere between two creates: when the next container has appeared.
        let before = store.ids().unwrap().len();
        while store.ids().unwrap().len() == before && child.try_wait().unwrap().is_none() {}
        child.kill().unwrap();
        child.wait().unwrap();
        for state in store.list().unwrap() {
            store.load_config::<String>(&state.id).unwrap();
        }
        if before >= 39 {
            break;
        }
    }
    store.sweep().unwrap();
    for round in 0..40 {
        let name = format!("name-{round}");
        match store.resolve(&name) {
            Ok(id) => store.remove(&id).unwrap(),
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        store.create(&sample(&name), &()).unwrap();
    }
}

#[test]
fn a_stack_is_found_without_a_look_at_others_also_when_its_index_is_gone() {
    let (temp, store) = store();
    let of = |name: &str| {
        let stack = StackName::parse(name).unwrap();
        let names = { store.of_stack(&stack).unwrap().into_iter() };
        names
            .map(|state| state.name.to_string())
            .collect::<Vec<_>>()
    };
    let create = |name: &str| {
        let mut state = sample(name);
        state.stack = StackName::parse(name).unwrap();
        store.create(&state, &serde_json::json!({})).unwrap();
        state
    };
    assert_eq!(of("shop"), [""; 0]);
    let web = create("web");
    let other = create("other");
    assert_eq!(
        (of("web"), of("other")),
        (vec!["web".into()], vec!["other".into()])
    );
    // After a reboot, or an upgrade.
    std::fs::remove_dir_all(store.dirs().by_stack()).unwrap();
    assert_eq!(of("web"), ["web"]);
    // What a killed command leaves in it is no container.
    let stale = store.dirs().by_stack().join("web").join(other.id.as_str());
    std::fs::write(&stale, "").unwrap();
    assert_eq!(of("web"), ["web"]);
    store.remove(&other.id).unwrap();
    store.sweep().unwrap();
    assert!(!stale.exists());
    store.remove(&web.id).unwrap();
    assert_eq!(of("web"), [""; 0]);
    assert!(!store.dirs().by_stack().join("web").exists());
    drop(temp);
}
