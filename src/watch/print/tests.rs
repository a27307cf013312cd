//! A migration as a person reads it.

use std::time::Duration;

use super::*;
use crate::decide::causes::Cause::PairMissing;
use crate::decide::continuity::timeline::{PodSight, Sight, Timeline};
use crate::domain::{MigrationEnd, MigrationPhase};

const CREATED: UnixTime = Duration::from_secs(1_000_000);

fn at(millis: u64) -> UnixTime {
    CREATED + Duration::from_millis(millis)
}

fn mk_observed(timeline: Timeline) -> Observed {
    Observed {
        namespace: "default".to_owned(),
        name: "move-web".to_owned(),
        uid: "1".to_owned(),
        vm: "web".to_owned(),
        vmi_uid: None,
        timeline,
    }
}

fn bound() -> Sight<'static> {
    Sight {
        phase: MigrationPhase::Running,
        created: Some(CREATED),
        source: Some("a"),
        pod: Some(PodSight {
            node: Some("b"),
            created: Some(CREATED),
            bound: Some(at(2_000)),
        }),
        ..Sight::default()
    }
}

/// What is printed of a migration that is bound, has a fault, and ends so.
fn printed(end: MigrationEnd) -> String {
    let mut timeline = Timeline::new(Some(CREATED), at(100));
    let mut news = timeline.see(&bound(), at(2_300));
    let message = "1 of 1 ports, 5 s after the target pod was bound";
    news.extend(timeline.find(PairMissing, message.to_owned(), at(7_000)));
    let ended = Sight {
        domain_ready: Some(at(9_000)),
        end: Some(end),
        ..bound()
    };
    news.extend(timeline.see(&ended, at(12_345)));
    let mut printer = Printer::new(Layout::plain("kubectl berth"), false);
    let observed = mk_observed(timeline);
    let texts = news.iter().map(|news| printer.news(&observed, news));
    let text = texts.collect::<String>();
    anstream::adapter::strip_str(&text).to_string()
}

#[test]
fn each_stage_and_each_finding_is_a_line_with_the_time_since_the_creation() {
    let expect = "\
default/move-web: migration of web from a
       0.0 s    created
       0.0 s    target pod made
       2.0 s    target pod bound to b
       7.0 s    ‼ BRT0307 the ports of the VM do not name the target's chassis: 1 of 1
                ports, 5 s after the target pod was bound
                Set `continuity.mode: Prepare`: berth then writes the pair before the pod is bound.
                Otherwise update Kube-OVN to 1.15.14, 1.16.3 or newer.
       9.0 s    VM on the target
      12.3 s    done
‼ the VM is on the target; nothing was seen of its ports
";
    assert_eq!(printed(MigrationEnd::Succeeded), expect);
}

#[test]
fn a_failure_says_where_to_look() {
    let text = printed(MigrationEnd::Failed);
    let last = text.lines().rev().take(2).collect::<Vec<_>>();
    assert_eq!(
        last,
        [
            "  say why",
            "× the migration failed, and the VM is where it was; `kubectl describe vmim -n default move-web` may"
        ]
    );
}

#[test]
fn what_is_waited_for_has_the_phase_and_the_rates_that_kubevirt_gives() {
    let mut timeline = Timeline::new(Some(CREATED), at(100));
    timeline.see(&bound(), at(2_300));
    let observed = mk_observed(timeline);
    let copied = Copied {
        total_bytes: Some(8_589_934_592.0),
        remaining_bytes: Some(5_368_709_120.0),
        bytes_per_second: Some(125_829_120.0),
        dirty_bytes_per_second: Some(2048.0),
        ..Copied::default()
    };
    let stuck = Copied {
        dirty_bytes_per_second: Some(125_829_121.0),
        ..copied
    };
    let again = Copied {
        processed_bytes: Some(12_884_901_889.0),
        ..copied
    };
    for (copied, expect) in [
        (None, ""),
        (
            Some(&copied),
            ", 5.0 GiB of 8.0 GiB left, 120.0 MiB/s, 2.0 KiB/s written again",
        ),
        (
            Some(&stuck),
            ", 5.0 GiB of 8.0 GiB left, 120.0 MiB/s, 120.0 MiB/s written again, not converging",
        ),
        (
            Some(&again),
            ", 5.0 GiB of 8.0 GiB left, 120.0 MiB/s, 2.0 KiB/s written again, not converging",
        ),
    ] {
        assert_eq!(
            awaited(&observed, copied),
            format!("Running: KubeVirt copies the VM{expect}")
        );
    }
}

#[test]
fn the_first_line_says_that_ovn_is_not_read() {
    let layout = Layout::plain("berth");
    assert_eq!(
        Printer::new(layout, true).waiting("default/web"),
        "waiting for a migration of default/web\n"
    );
    assert_eq!(
        Printer::new(layout, false).waiting("default/web"),
        "waiting for a migration of default/web
OVN is not read: set --ovn-sb ENDPOINTS to see the VM's ports, and --ovn-nb to see who wrote the
pair of chassis
"
    );
}
