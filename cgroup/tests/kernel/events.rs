use coop_cgroup::{Controller, Error, Limits, Max, Version};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::support::{Group, on_each};

fn readable(watch: &coop_cgroup::OomWatch, seconds: i64) -> bool {
    let mut fds = [PollFd::new(watch, PollFlags::IN)];
    poll(
        &mut fds,
        Some(&Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        }),
    )
    .unwrap()
        == 1
}

#[test]
fn running_out_of_memory_is_an_event() {
    on_each(&[Controller::Memory], |hierarchy| {
        let mut group = Group::new(hierarchy, "oom-event");
        let limits = Limits {
            memory_max: Some(Max::At(16 << 20)),
            ..Limits::default()
        };
        group.cgroup.apply(&limits).unwrap();
        let swap = Limits {
            memory_swap: Some(Max::At(16 << 20)),
            ..limits
        };
        group.cgroup.apply_available(&swap).unwrap();
        let watch = group.cgroup.watch_oom().unwrap();
        assert!(!readable(&watch, 0));
        assert_eq!(watch.drain().unwrap(), 0);
        let mut hog = group.sh("exec dd if=/dev/zero of=/dev/null bs=100M count=1");
        assert!(readable(&watch, 60));
        assert_eq!(hog.signal(), Some(9));
        assert_eq!(watch.drain().unwrap(), 1);
        assert!(!readable(&watch, 0), "drained");
    });
}

#[test]
fn a_watch_on_a_removed_group_does_not_fail() {
    on_each(&[Controller::Memory], |hierarchy| {
        let group = Group::new(hierarchy, "oom-removed");
        let watch = group.cgroup.watch_oom().unwrap();
        hierarchy.remove(group.cgroup.path()).unwrap();
        if hierarchy.version() != Version::V2 {
            assert!(readable(&watch, 60));
        }
        assert_eq!(watch.drain().unwrap(), 0);
    });
}

#[test]
fn a_watch_without_the_controller_says_so() {
    on_each(&[], |hierarchy| {
        if hierarchy.controllers().contains(Controller::Memory) {
            return;
        }
        let group = Group::new(hierarchy, "no-watch");
        let error = group.cgroup.watch_oom().unwrap_err();
        assert!(matches!(
            error,
            Error::NoController {
                controller: Controller::Memory,
                ..
            }
        ));
    });
}
