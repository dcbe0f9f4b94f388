use proptest::prelude::*;

use super::*;

fn line(container_id: u32, host_id: u32, size: u32) -> IdMapping {
    IdMapping {
        container_id,
        host_id,
        size,
    }
}

#[test]
fn ids_are_translated_within_the_map_only() {
    let maps = IdMaps::single_range(1_000_000, 65_536);
    assert_eq!(maps.host_uid(0), Some(1_000_000));
    assert_eq!(maps.host_gid(65_535), Some(1_065_535));
    assert_eq!(maps.host_uid(65_536), None);
}

#[test]
fn a_kept_id_is_the_users_own_and_the_others_close_up_around_it() {
    let ranges = [range(100_000, 1000), range(500_000, 500)];
    let maps = IdMaps::keeping((1000, 1200), (1000, 100), &ranges, &ranges);
    assert_eq!(
        maps.uids,
        [
            line(0, 100_000, 1000),
            line(1000, 1000, 1),
            line(1001, 500_000, 500)
        ]
    );
    assert_eq!(
        maps.gids,
        [
            line(0, 100_000, 1000),
            line(1000, 500_000, 200),
            line(1200, 100, 1),
            line(1201, 500_200, 300)
        ]
    );
    maps.validate().unwrap();
    assert_eq!(maps.last_gid_up_to(65_535), Some(1500));
    assert_eq!(maps.last_gid_up_to(1100), Some(1100));
    // A user beyond all that a container has otherwise.
    let far = IdMaps::keeping((900_000, 0), (900_000, 7), &ranges[..1], &ranges[..1]);
    assert_eq!(
        far.uids,
        [line(0, 100_000, 1000), line(900_000, 900_000, 1)]
    );
    assert_eq!(far.gids, [line(0, 7, 1), line(1, 100_000, 1000)]);
}

#[test]
fn what_the_outer_namespace_has_not_is_named() {
    let parent = IdMaps::rootless(1000, 1000, &[range(100_000, 10)], &[range(100_000, 20)]);
    let map = |host_id, size| IdMaps::single_range(host_id, size);
    assert_eq!(map(1, 10).outside_of(&parent), None);
    assert_eq!(
        map(1, 11).outside_of(&parent),
        Some(("uid", line(0, 1, 11)))
    );
    // Both lines have some, but the kernel wants them within one.
    assert_eq!(map(0, 2).outside_of(&parent), Some(("uid", line(0, 0, 2))));
    assert_eq!(map(5, 3).host_ranges(), [range(5, 3)]);
}

proptest! {
    #[test]
    fn a_kept_id_makes_a_map_that_the_kernel_takes(
        inside in 0..200_000_u32, counts in prop::collection::vec(1..70_000_u32, 0..4)
    ) {
        let mut start = 1_000_000;
        let ranges: Vec<_> = counts.iter().map(|count| {
            let range = range(start, *count);
            start += 100_000;
            range
        }).collect();
        let maps = IdMaps::keeping((inside, inside), (inside, inside), &ranges, &ranges);
        maps.validate().unwrap();
        prop_assert_eq!(maps.host_uid(inside), Some(inside));
        let size: u32 = maps.uids.iter().map(|line| line.size).sum();
        prop_assert_eq!(size, counts.iter().sum::<u32>() + 1);
    }
}

fn range(start: u32, count: u32) -> IdRange {
    IdRange { start, count }
}

#[test]
fn a_rootless_user_is_root_inside_and_its_subordinate_ids_follow() {
    let subs = [
        IdRange {
            start: 100_000,
            count: 10,
        },
        IdRange {
            start: 500_000,
            count: 5,
        },
    ];
    let maps = IdMaps::rootless(1000, 1001, &subs, &subs[..1]);
    assert_eq!(
        maps.uids,
        [line(0, 1000, 1), line(1, 100_000, 10), line(11, 500_000, 5)]
    );
    assert_eq!(maps.host_gid(0), Some(1001));
    maps.validate().unwrap();
}

#[test]
fn the_same_ids_inside_and_outside_are_an_identity_however_many_lines_they_are() {
    let same = vec![line(0, 0, 1), line(1, 1, 65_536)];
    let maps = IdMaps {
        uids: same.clone(),
        gids: same,
    };
    assert!(maps.is_identity());
    assert!(!IdMaps::single_range(1, 65_536).is_identity());
    // Whatever the namespace of this test is.
    let own = IdMaps::identity().unwrap();
    assert!(own.is_identity());
    own.validate().unwrap();
}

#[test]
fn maps_that_the_kernel_refuses_are_refused_with_the_reason() {
    assert_eq!(check(&[]), Err(MapDefect::Empty));
    assert_eq!(
        check(&[line(0, 0, 0)]),
        Err(MapDefect::ZeroSize { line: 1 })
    );
    assert_eq!(
        check(&[line(0, u32::MAX, 1)]),
        Err(MapDefect::Overflow { line: 1 })
    );
    check(&[line(0, 0, u32::MAX)]).unwrap();
    assert_eq!(
        check(&[line(0, 100, 10), line(10, 109, 1)]),
        Err(MapDefect::Overlap {
            first: 1,
            second: 2
        })
    );
    assert_eq!(
        check(&[line(0, 100, 10), line(9, 200, 1)]),
        Err(MapDefect::Overlap {
            first: 1,
            second: 2
        })
    );
    let lines = |n: u32| (0..n).map(|i| line(i, i, 1)).collect::<Vec<_>>();
    check(&lines(340)).unwrap();
    assert_eq!(check(&lines(341)), Err(MapDefect::TooLong));
    // Fewer lines, but more than a page of text.
    let wide: Vec<_> = (0..200)
        .map(|i| line(2_000_000_000 + i, 3_000_000_000 + i, 1))
        .collect();
    assert_eq!(check(&wide), Err(MapDefect::TooLong));
}

#[test]
fn the_text_is_the_one_of_proc() {
    assert_eq!(
        render(&[line(0, 1000, 1), line(1, 100_000, 65_535)]),
        "0 1000 1\n1 100000 65535\n"
    );
}

proptest! {
    #[test]
    fn a_valid_map_translates_every_id_to_exactly_one(
        lines in prop::collection::vec((0..500_u32, 0..500_u32, 1..50_u32), 1..8)
    ) {
        let map: Vec<_> = lines.into_iter().map(|(c, h, s)| line(c, h, s)).collect();
        prop_assume!(check(&map).is_ok());
        let mut seen = std::collections::HashSet::new();
        for id in 0..600 {
            if let Some(host) = host_id(&map, id) {
                prop_assert!(seen.insert(host));
                prop_assert_eq!(container_id(&map, host), Some(id));
            }
        }
        prop_assert_eq!(seen.len() as u32, map.iter().map(|l| l.size).sum::<u32>());
    }

    #[test]
    fn checking_and_translating_never_panic(
        lines in prop::collection::vec(any::<(u32, u32, u32)>(), 0..20), id in any::<u32>()
    ) {
        let map: Vec<_> = lines.into_iter().map(|(c, h, s)| line(c, h, s)).collect();
        let _ = (check(&map), host_id(&map, id), container_id(&map, id));
    }
}
