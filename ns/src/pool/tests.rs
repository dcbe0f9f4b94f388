use proptest::prelude::*;

use super::*;

const BASE: u32 = 0x4000_0000;
const SIZE: u32 = IDS_PER_CONTAINER;

fn pool(dir: &tempfile::TempDir, ranges: u32) -> IdPool {
    IdPool::new(dir.path().join("ids"), BASE, ranges * SIZE)
}

fn range(start: u32, count: u32) -> IdRange {
    IdRange { start, count }
}

#[test]
fn an_owner_keeps_its_range_and_two_owners_never_share() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(&dir, 3);
    let web = pool.lease("web").unwrap();
    assert_eq!(web, range(BASE, SIZE));
    assert_eq!(pool.lease("db-1").unwrap(), range(BASE + SIZE, SIZE));
    assert_eq!(pool.lease("web").unwrap(), web);
    assert_eq!(pool.leases().unwrap().len(), 2);
}

#[test]
fn a_released_range_is_leased_again_and_releasing_twice_is_fine() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(&dir, 2);
    let first = pool.lease("a").unwrap();
    pool.lease("b").unwrap();
    let full = pool.lease("c").unwrap_err();
    assert!(matches!(full, PoolError::Exhausted { leases: 2, .. }));
    pool.release("a").unwrap();
    pool.release("a").unwrap();
    pool.release("never").unwrap();
    assert_eq!(pool.lease("c").unwrap(), first);
}

#[test]
fn named_ids_are_shared_with_those_who_name_them_and_with_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(&dir, 3);
    let given = pool.lease("given").unwrap();
    let (users, groups) = (range(BASE + SIZE, SIZE), range(5, 10));
    for owner in ["a", "b"] {
        // The same for users and groups, as a map mostly has it.
        pool.lease_named(owner, &[users, users, groups]).unwrap();
    }
    assert_eq!(
        pool.lease_named("c", &[range(given.end() as u32 - 1, 2)]),
        Err(PoolError::InUse {
            range: range(given.end() as u32 - 1, 2),
            holder: "given".to_owned()
        })
    );
    assert_eq!(pool.lease("next").unwrap(), range(BASE + 2 * SIZE, SIZE));
    pool.share("neighbour", "a").unwrap();
    pool.release_several(&["a", "b"]).unwrap();
    assert!(matches!(
        pool.lease("more").unwrap_err(),
        PoolError::Exhausted { .. }
    ));
    pool.release("neighbour").unwrap();
    assert_eq!(pool.lease("more").unwrap(), users);
}

#[test]
fn exact_ids_are_given_unless_somebody_has_one_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(&dir, 3);
    // Across the borders of the grid: two slots are taken by it.
    let odd = range(BASE + 10, SIZE);
    pool.lease_exact("odd", odd).unwrap();
    pool.lease_exact("odd", odd).unwrap();
    assert_eq!(pool.lease("next").unwrap(), range(BASE + 2 * SIZE, SIZE));
    assert_eq!(
        pool.lease_exact("thief", range(BASE + SIZE, 20)),
        Err(PoolError::InUse {
            range: range(BASE + SIZE, 20),
            holder: "odd".to_owned()
        })
    );
    assert!(matches!(
        pool.lease_exact("odd", range(5, 5)),
        Err(PoolError::HasOther { .. })
    ));
}

#[test]
fn an_owner_that_cannot_be_a_file_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let pool = pool(&dir, 1);
    for owner in ["", "a/b", "a\0", &"x".repeat(233), "=a"] {
        assert!(matches!(pool.lease(owner), Err(PoolError::InvalidOwner(_))));
    }
    pool.lease(&"x".repeat(232)).unwrap();
}

#[test]
fn the_pool_of_the_last_ids_does_not_run_over() {
    let dir = tempfile::tempdir().unwrap();
    let pool = IdPool::new(dir.path(), u32::MAX - SIZE, SIZE);
    pool.lease("a").unwrap();
    assert!(matches!(pool.lease("b"), Err(PoolError::Exhausted { .. })));
}

#[test]
fn a_directory_that_cannot_be_made_is_named_with_its_errno() {
    let error = IdPool::new("/proc/nowhere", 0, SIZE)
        .lease("a")
        .unwrap_err();
    assert_eq!(error.to_string(), "open id lease directory /proc/nowhere");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.downcast_ref(), Some(&Errno::NOENT));
}

proptest! {
    #[test]
    fn a_lease_is_read_back_from_its_file_name(
        owner in "[^/\0=][^/\0]{0,50}", start in any::<u32>(), count in any::<u32>()
    ) {
        let mut lease = Lease { owner, range: range(start, count), named: false };
        let name = file_name(&lease.owner, lease.range);
        prop_assert_eq!(parse_file_name(&name), Some(lease.clone()));
        lease.named = true;
        let name = file_name(&format!("={}", lease.owner), lease.range);
        prop_assert_eq!(parse_file_name(&name), Some(lease));
    }

    #[test]
    fn the_range_found_free_is_free_and_in_the_pool(
        mut taken in prop::collection::vec((BASE - 9..BASE + 9 * SIZE, 1..3 * SIZE), 0..12)
    ) {
        taken.sort_unstable();
        let leases: Vec<_> = taken
            .into_iter()
            .map(|(start, count)| Lease { owner: "x".to_owned(), range: range(start, count), named: false })
            .collect();
        let ids = range(BASE, 8 * SIZE);
        match first_free(ids, &leases) {
            Some(free) => {
                prop_assert!(leases.iter().all(|lease| !lease.range.overlaps(free)));
                prop_assert!(free.start >= BASE && free.end() <= ids.end());
            }
            None => for slot in 0..8 {
                let candidate = range(BASE + slot * SIZE, SIZE);
                prop_assert!(leases.iter().any(|lease| lease.range.overlaps(candidate)));
            }
        }
    }
}
