//! The first and the last release with each bug, and those around them that do not have it.

use std::collections::BTreeSet;

use super::*;

/// The ranges of each bug: the last release before the range, the first release in it, the last in it and
/// the first after it. All of them were made; `-` is for a side on which a range is open, and there the
/// release in it is an old one, or the newest when the row was written.
const RANGES: [(Advisory, &[&str]); Advisory::COUNT] = [
    (Advisory::MachineTypeIgnored, &["- 0.59.2 1.5.0 1.5.1"]),
    (
        Advisory::CpuVendorIgnored,
        &["- 0.59.2 1.6.3 1.6.4", "1.6.6 1.7.0 1.7.0 1.7.1"],
    ),
    (Advisory::VirtioNetFeatures, &["1.6.6 1.7.0 1.9.0 -"]),
    (Advisory::HyperThreadingFeature, &["1.7.4 1.8.0 1.9.0 -"]),
    (Advisory::TargetOnSourceNode, &["- 0.59.2 1.9.0 -"]),
    (Advisory::PortNeverPrepared, &["- 1.12.0 1.13.2 1.13.3"]),
    (
        Advisory::PortPreparedLate,
        &["1.13.2 1.13.3 1.14.12 1.14.13"],
    ),
    (
        Advisory::SecondMigrationStuck,
        &["1.13.2 1.13.3 1.14.11 1.14.12"],
    ),
    (
        Advisory::StaleMigrationState,
        &[
            "1.14.20 1.14.21 1.14.30 1.14.31",
            "1.14.41 1.15.0 1.15.2 1.15.3",
        ],
    ),
    (
        Advisory::PortPreparedOnce,
        &[
            "1.14.20 1.14.21 1.15.13 1.15.14",
            "1.15.24 1.16.0 1.16.2 1.16.3",
        ],
    ),
    (
        Advisory::OtherPortsNotPrepared,
        &["1.14.20 1.14.21 1.15.8 1.15.9"],
    ),
    (
        Advisory::PortGroupsLost,
        &[
            "1.12.33 1.12.34 1.12.35 1.13.0",
            "1.13.13 1.13.14 1.15.10 1.15.11",
            "1.15.24 1.16.0 1.16.0 1.16.1",
        ],
    ),
    (Advisory::RequestedChassisLost, &["1.13.2 1.13.3 1.16.3 -"]),
    (Advisory::HotplugVolumesStall, &["1.14.20 1.14.21 1.16.3 -"]),
    (Advisory::UnderlayStaleAddress, &["1.14.5 1.14.6 1.16.3 -"]),
    (Advisory::DuplicateAddress, &["- 1.12.0 1.16.3 -"]),
    (Advisory::FalseLostPort, &["- 1.12.0 1.13.5 1.13.6"]),
    (Advisory::ReadyBeforeFlows, &["- 20.12.0 26.03.2 26.09.0"]),
    (
        Advisory::MultichassisStall,
        &[
            "22.12.0 22.12.1 22.12.2 23.03.0",
            "23.03.0 23.03.1 23.09.5 23.09.6",
            "23.09.6 24.03.0 24.03.3 24.03.4",
            "24.03.9 24.09.0 24.09.0 24.09.1",
        ],
    ),
];

#[test]
fn a_bug_is_in_its_first_and_last_release_and_not_in_those_around() {
    assert_eq!(RANGES.map(|(advisory, _)| advisory), Advisory::ALL);
    for (advisory, ranges) in RANGES {
        let row = advisory.row();
        assert_eq!(row.affected.len(), ranges.len(), "{advisory:?}");
        for range in ranges {
            let has: Vec<Option<bool>> = range
                .split(' ')
                .map(|release| Some(row.affects(Version::parse(release)?)))
                .collect();
            let [earlier, Some(true), Some(true), after] = has[..] else {
                panic!("{advisory:?} {range}: {has:?}");
            };
            assert_ne!(earlier, Some(true), "{advisory:?} {range}");
            assert_ne!(after, Some(true), "{advisory:?} {range}");
            let open = (range.starts_with('-'), range.ends_with('-'));
            assert_eq!((earlier.is_none(), after.is_none()), open, "{range}");
        }
    }
}

#[test]
fn a_row_has_its_own_code_and_texts_and_a_page_of_its_bug() {
    let texts: BTreeSet<&str> = Advisory::ALL.iter().map(|it| it.row().text).collect();
    assert_eq!(texts.len(), Advisory::COUNT);
    for (index, advisory) in Advisory::ALL.into_iter().enumerate() {
        let row = advisory.row();
        assert_eq!(row.code, format!("BRT05{:02}", index + 1));
        assert!(matches!(row.severity, Severity::Warning | Severity::Info));
        assert!(
            row.source.starts_with("https://github.com/"),
            "{advisory:?}"
        );
        assert!(!row.text.ends_with('.'), "{advisory:?}");
        for text in [row.symptom, row.shows, row.remedy] {
            assert!(text.ends_with('.'), "{text}");
        }
    }
}

#[test]
fn the_ranges_of_a_row_are_in_order_and_its_remedy_names_where_they_end() {
    for advisory in Advisory::ALL {
        let row = advisory.row();
        let mut end = None;
        for range in row.affected {
            if let (Some(from), Some(before)) = (range.from, range.before) {
                assert!(from < before, "{advisory:?}");
            }
            assert!(end.is_none_or(|end| Some(end) < range.from), "{advisory:?}");
            end = range.before;
            let named = range.before.map_or_else(
                || "No release with a fix is known".to_owned(),
                |fixed| fixed.to_string(),
            );
            assert!(row.remedy.contains(&named), "{advisory:?}: {named}");
        }
    }
}

#[test]
fn the_releases_of_a_row_are_written_for_people() {
    for (advisory, expect) in [
        (Advisory::MachineTypeIgnored, "KubeVirt before 1.5.1"),
        (
            Advisory::CpuVendorIgnored,
            "KubeVirt before 1.6.4, from 1.7.0 to before 1.7.1",
        ),
        (Advisory::VirtioNetFeatures, "KubeVirt from 1.7.0 on"),
        (Advisory::TargetOnSourceNode, "every release of KubeVirt"),
        (Advisory::ReadyBeforeFlows, "OVN before 26.09.0"),
    ] {
        assert_eq!(advisory.row().releases(), expect);
    }
}
